"""A party's statement: what it shows adds up, and it shows nothing of what others do."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import pytest

from settlement.netting import net
from settlement.obligation import BURN, REDEEM, Lines, Obligation, PathLine, Result
from settlement.statement import NOTHING_OWED, OWED_TO_YOU, YOU_OWE, build
from settlement.window import Window

WINDOW = Window(
    2,
    "2017-04",
    datetime(2017, 3, 31, 16, tzinfo=UTC),
    datetime(2017, 4, 30, 16, tzinfo=UTC),
    "closed",
    statement_format=3,
    opens_offset_s=8 * 3600,
    closes_offset_s=8 * 3600,
    digest=bytes(range(32)),
)

# The lines of a path, what they owe, and the redeemers' sides.
Part = tuple[list[PathLine], list[Obligation], list[PathLine]]


class Row(Protocol):
    """A row of any of a statement's tables."""

    def _asdict(self) -> dict[str, Any]: ...


def _cross(
    number: int,
    origin: str,
    redeemer: str,
    quantity: int,
    pays: int,
    gets: int,
    about: str | None = None,
    kind: str = "redemption",
) -> Part:
    """Both sides of a path, and what they owe, for `pays` and `gets` minor units a unit."""
    lines = Lines()
    for side, (unit, reason, *between) in enumerate(
        ((pays, BURN, origin, "house"), (gets, REDEEM, "house", redeemer))
    ):
        line = PathLine(
            10 * number + side, origin, redeemer, kind, quantity, Decimal(unit) / 100,
            quantity * unit, "CNY", about, reason,
        )  # fmt: skip
        lines.add(line, *between)
    return lines.paths, lines.obligations, lines.tills


def _own(number: int, origin: str, quantity: int, kind: str = "redemption") -> Part:
    reason = "own" if kind == "redemption" else kind
    line = PathLine(10 * number, origin, origin, kind, quantity, Decimal(0), 0, "CNY", None, reason)
    return [line], [], []


def example() -> Result:
    parts = [
        _cross(1, "telecom", "retail", 1_200, 3, 2),
        _own(2, "retail", 300),
        _cross(3, "retail", "telecom", 300, 2, 2),
        _cross(4, "fuel", "telecom", 77, 5, 4),
        _cross(5, "fuel", "wine", 999, 6, 6),
        _cross(6, "telecom", "retail", -200, 3, 2, "2017-03"),
        _cross(7, "fuel", "retail", 50, 7, 7, "2017-02"),
        _own(8, "telecom", 5_000, "issue"),
        _own(9, "retail", 40, "transfer"),
    ]
    paths = [path for part in parts for path in part[0]]
    obligations, positions = net(
        [due for part in parts for due in part[1]],
        {("retail", "CNY"): -500, ("house", "CNY"): 500},
        seen=(),
        through={"wine": "telecom"},
        minimum_due=lambda party, currency: 0 if party == "retail" else None,
    )
    tills = [till for part in parts for till in part[2]]
    return Result(tuple(paths), obligations, positions, tuple(tills))


def _asdicts(table: Iterable[Row]) -> list[dict[str, Any]]:
    return [row._asdict() for row in table]


def _rows(table: Iterable[Row], *fields: str) -> set[tuple[Any, ...]]:
    return {tuple(row[field] for field in fields) for row in _asdicts(table)}


def test_a_statement_shows_own_and_cross_paths_with_the_price_this_party_pays_or_gets() -> None:
    retail = build(example(), WINDOW, "retail", "Retail")
    shown = _rows(retail.lines, "path", "origin", "redeemer", "quantity", "price", "direction")
    assert shown == {
        ("cross as redeemer", "telecom", "retail", 1_200, Decimal("0.02"), OWED_TO_YOU),
        ("own", "retail", "retail", 300, Decimal(0), NOTHING_OWED),
        ("cross as origin", "retail", "telecom", 300, Decimal("0.02"), YOU_OWE),
        ("as issuer", "retail", "retail", 40, Decimal(0), NOTHING_OWED),
    }


def test_corrections_and_late_items_name_the_window_they_belong_to() -> None:
    retail = build(example(), WINDOW, "retail", "Retail")
    shown = _rows(retail.corrections, "window", "what", "origin", "quantity", "amount", "direction")
    assert shown == {
        ("2017-03", "given back", "telecom", 200, 400, YOU_OWE),
        ("2017-02", "late", "fuel", 50, 350, OWED_TO_YOU),
    }


@pytest.mark.parametrize("party", ["telecom", "retail", "fuel", "wine", "house"])
def test_lines_and_corrections_add_up_to_receivable_and_payable(party: str) -> None:
    statement = build(example(), WINDOW, party, party.title())
    rows = [
        *_asdicts(statement.lines),
        *_asdicts(statement.corrections),
    ]
    (summary,) = _asdicts(statement.summary)
    for direction, total in ((OWED_TO_YOU, "receivable"), (YOU_OWE, "payable")):
        amounts = [row["amount"] for row in rows if row["direction"] == direction]
        assert sum(amounts) == summary[total], direction
    for row in rows:
        if row["price"] is not None:
            assert row["quantity"] * row["price"] * 100 == row["amount"]


def test_the_summary_chains_from_opening_to_closing() -> None:
    (row,) = _asdicts(build(example(), WINDOW, "retail", "Retail").summary)
    assert row == {
        "currency": "CNY", "opening": -500, "receivable": 2_400 + 350, "payable": 600 + 400,
        "net": 1_750, "instructed": 1_250, "closing": 0,
    }  # fmt: skip


@pytest.mark.parametrize("party", ["telecom", "retail", "wine"])
def test_a_merchant_sees_nothing_of_what_others_do_among_themselves(party: str) -> None:
    statement = build(example(), WINDOW, party, party.title())
    for table in (statement.lines, statement.corrections, statement.matrix):
        for row in _asdicts(table):
            assert party in (row["origin"], row["redeemer"])


def test_a_redeemer_does_not_see_what_the_origin_pays() -> None:
    telecom = build(example(), WINDOW, "telecom", "Telecom")
    from_fuel = [row for row in _asdicts(telecom.lines) if row["origin"] == "fuel"]
    assert [(row["price"], row["amount"]) for row in from_fuel] == [(Decimal("0.04"), 308)]


def _abroad(*cents_and_yen: tuple[int, str, int, str, int]) -> Result:
    """fuel's points at a till in Japan: for each line a quantity, what it pays and what it gets."""
    lines = Lines()
    for quantity, pays, cents, gets, yen in cents_and_yen:
        for price, amount, currency, reason in (
            (pays, cents, "EUR", BURN), (gets, yen, "JPY", REDEEM),
        ):  # fmt: skip
            line = PathLine(
                lines.next_no, "fuel", "tokyo", "redemption", quantity, Decimal(price), amount,
                currency, None, reason,
            )  # fmt: skip
            sides = ("fuel", "house") if reason == BURN else ("house", "tokyo")
            lines.add(line, *sides)
    return Result(tuple(lines.paths), tuple(lines.obligations), (), tuple(lines.tills))


def test_a_line_that_rounds_to_nothing_shows_each_side_its_own_price_and_currency() -> None:
    result = _abroad((1, "0.001", 0, "0.4", 0))
    shown = {
        party: [(line.price, line.currency) for line in build(result, WINDOW, party, party).lines]
        for party in ("fuel", "tokyo", "house")
    }
    assert shown == {
        "fuel": [(Decimal("0.001"), "EUR")],
        "tokyo": [(Decimal("0.4"), "JPY")],
        "house": [(Decimal("0.001"), "EUR")],
    }


def test_a_pair_is_one_row_of_the_redeemers_matrix_whatever_rounds_to_nothing() -> None:
    result = _abroad((1, "0.001", 0, "0.4", 0), (51, "0.01", 51, "1", 51))
    (row,) = build(result, WINDOW, "tokyo", "Tokyo").matrix
    assert row == ("fuel", "tokyo", 52, 0, 51, "JPY")


def test_points_that_cost_nothing_make_no_second_row_of_the_matrix() -> None:
    result = _abroad((51, "0.01", 51, "1", 51))
    free = PathLine(
        3, "fuel", "tokyo", "redemption", 1, Decimal(0), 0, "EUR", "2017-03", REDEEM
    )  # fmt: skip
    result = replace(result, tills=(free, *result.tills))
    assert build(result, WINDOW, "tokyo", "Tokyo").matrix == (("fuel", "tokyo", 52, 0, 51, "JPY"),)


def test_the_matrix_holds_own_row_and_column_after_corrections_and_no_other_kind() -> None:
    telecom = build(example(), WINDOW, "telecom", "Telecom")
    shown = _rows(telecom.matrix, "origin", "redeemer", "quantity", "you_owe", "owed_to_you")
    assert shown == {
        ("telecom", "retail", 1_000, 3_000, 0),
        ("retail", "telecom", 300, 0, 600),
        ("fuel", "telecom", 77, 0, 308),
    }


def test_the_house_sees_every_pair() -> None:
    house = build(example(), WINDOW, "house", "House")
    shown = _rows(house.matrix, "origin", "redeemer", "quantity", "you_owe", "owed_to_you")
    assert ("fuel", "wine", 999, 5_994, 5_994) in shown
    assert ("telecom", "retail", 1_000, 2_000, 3_000) in shown
    assert len(shown) == 6


def test_a_net_passed_through_is_a_line_of_both_parties() -> None:
    result = example()
    parent = build(result, WINDOW, "telecom", "Telecom")
    child = build(result, WINDOW, "wine", "Wine")
    line = ("passed through", "wine", "telecom", 5_994)
    fields = ("path", "origin", "redeemer", "amount", "direction")
    assert (*line, OWED_TO_YOU) in _rows(parent.lines, *fields)
    assert (*line, YOU_OWE) in _rows(child.lines, *fields)


def test_a_party_without_any_movement_gets_an_empty_statement() -> None:
    nobody = build(example(), WINDOW, "nobody", "Nobody")
    tables = (nobody.summary, nobody.lines, nobody.corrections, nobody.matrix)
    assert [len(table) for table in tables] == [0, 0, 0, 0]
