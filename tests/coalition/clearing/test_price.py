"""What points cost: who pays whom for which kind of movement, at which of the dated prices."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.clearing.price import Party, Tally, in_force, price, price_table
from coalition.terms.prices import Price
from coalition.terms.terms import Breakage
from settlement.money import amount_at_price
from settlement.obligation import Obligation, PathLine

DAY = date(2017, 3, 10)
START = date(2017, 3, 1)
PARTIES = {
    "telecom": Party("CNY"),
    "retail": Party("CNY"),
    "airline": Party("EUR"),
    "house": Party("CNY", "house"),
    "pool": Party("CNY", "pool"),
}


def _price(
    origin: str,
    burn: str = "0",
    issue: str = "0",
    redeem: str | None = None,
    redeemer: str | None = None,
    day: date = START,
) -> Price:
    return Price(
        origin,
        redeemer,
        day,
        Decimal(issue),
        Decimal(burn),
        None if redeem is None else Decimal(redeem),
    )


def _owed(obligations: Iterable[Obligation]) -> list[tuple[str, str, int, str]]:
    return [(due.debtor, due.creditor, due.amount, due.currency) for due in obligations]


def _priced(
    tallies: Iterable[Tally], *prices: Price, parties: Mapping[str, Party] = PARTIES
) -> tuple[tuple[PathLine, ...], tuple[Obligation, ...]]:
    lines = price(tallies, price_table(prices), parties)
    return tuple(lines.paths), tuple(lines.obligations)


def test_worked_example_of_four_paths() -> None:
    paths, obligations = _priced(
        [
            Tally("telecom", "retail", "redemption", DAY, 1_200),
            Tally("retail", "retail", "redemption", DAY, 300),
            Tally("retail", "telecom", "redemption", DAY, 300),
        ],
        _price("telecom", burn="0.010"),
        _price("retail", burn="0.008"),
    )
    assert [(line.origin, line.redeemer, line.quantity, line.amount) for line in paths] == [
        ("retail", "retail", 300, 0),
        ("retail", "telecom", 300, 240),
        ("telecom", "retail", 1_200, 1_200),
    ]
    assert _owed(obligations) == [
        ("retail", "house", 240, "CNY"),
        ("house", "telecom", 240, "CNY"),
        ("telecom", "house", 1_200, "CNY"),
        ("house", "retail", 1_200, "CNY"),
    ]


@pytest.mark.parametrize("kind", ["redemption", "cash_out", "donation"])
def test_points_given_back_swap_debtor_and_creditor(kind: str) -> None:
    paths, obligations = _priced(
        [Tally("telecom", "retail", kind, DAY, -200, "2017-02")], _price("telecom", burn="0.01")
    )
    assert [(line.quantity, line.amount, line.about) for line in paths] == [(-200, -200, "2017-02")]
    assert paths[0].is_correction
    assert _owed(obligations) == [
        ("house", "telecom", 200, "CNY"),
        ("retail", "house", 200, "CNY"),
    ]


@pytest.mark.parametrize(
    ("issue", "breakage", "expected"),
    [
        ("0", "issuer", []),
        ("0", "house", [("telecom", "house", 100, "CNY")]),
        ("0", "pool", [("telecom", "pool", 100, "CNY")]),
        ("0.02", "issuer", [("house", "telecom", 200, "CNY")]),
        ("0.02", "house", []),
        ("0.02", "pool", [("house", "pool", 200, "CNY")]),
    ],
)
def test_breakage_belongs_to_whom_the_terms_say(
    issue: str, breakage: Breakage, expected: Any
) -> None:
    parties = PARTIES | {"telecom": Party("CNY", breakage)}
    tally = Tally("telecom", "telecom", "expiry", DAY, 100)
    prices = _price("telecom", burn="0.01", issue=issue)
    paths, obligations = _priced([tally], prices, parties=parties)
    assert _owed(obligations) == expected
    assert [line.amount for line in paths] == [expected[0][2] if expected else 0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("issue", [("telecom", "house", 300, "CNY")]),
        ("clawback", [("house", "telecom", 300, "CNY")]),
        ("adjustment", [("house", "telecom", 300, "CNY")]),
        ("transfer", []),
        ("redemption", []),
    ],
)
def test_the_issue_price_follows_points_into_and_out_of_circulation(
    kind: str, expected: Any
) -> None:
    tally = Tally("telecom", "telecom", kind, DAY, 100)
    _, obligations = _priced([tally], _price("telecom", burn="0.05", issue="0.03"))
    assert _owed(obligations) == expected


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([], []),
        ([_price("telecom", burn="0.01")], [("telecom", "house", 100), ("house", "retail", 100)]),
        (
            [_price("telecom", burn="0.01"), _price("retail", burn="9", redeem="0.009")],
            [("telecom", "house", 100), ("house", "retail", 90)],
        ),
        (
            [_price("telecom", burn="0.01"), _price("telecom", burn="0.02", redeemer="retail")],
            [("telecom", "house", 200), ("house", "retail", 200)],
        ),
        (
            [
                _price("telecom", burn="0.01"),
                _price("retail", redeem="0.009"),
                _price("telecom", burn="0.02", redeem="0.015", redeemer="retail"),
            ],
            [("telecom", "house", 200), ("house", "retail", 150)],
        ),
        ([_price("telecom", burn="0.01", day=date(2017, 3, 11))], []),
        ([_price("retail", redeem="0.009")], [("house", "retail", 90)]),
    ],
)
def test_a_pairs_own_price_comes_before_the_merchants(prices: list[Price], expected: Any) -> None:
    _, obligations = _priced([Tally("telecom", "retail", "redemption", DAY, 100)], *prices)
    assert [(due.debtor, due.creditor, due.amount) for due in obligations] == expected


def test_a_redeemers_price_is_in_the_redeemers_currency_and_a_default_in_the_origins() -> None:
    tally = Tally("telecom", "airline", "redemption", DAY, 1_000)
    _, agreed = _priced([tally], _price("telecom", burn="0.01"), _price("airline", redeem="0.001"))
    _, default = _priced([tally], _price("telecom", burn="0.01"))
    assert _owed(agreed)[1] == ("house", "airline", 100, "EUR")
    assert _owed(default)[1] == ("house", "airline", 1_000, "CNY")


def test_the_house_owes_itself_nothing() -> None:
    tallies = [
        Tally("house", "retail", "redemption", DAY, 100),
        Tally("telecom", "house", "donation", DAY, 100),
    ]
    _, obligations = _priced(tallies, _price("house", burn="0.01"), _price("telecom", burn="0.01"))
    assert _owed(obligations) == [("house", "retail", 100, "CNY"), ("telecom", "house", 100, "CNY")]


@pytest.mark.parametrize(
    ("day", "expected"),
    [(date(2017, 2, 28), None), (START, "0.01"), (date(2017, 3, 14), "0.01"),
     (date(2017, 3, 15), "0.03"), (date(2018, 1, 1), "0.03")],
)  # fmt: skip
def test_the_price_in_force_is_the_latest_that_has_begun_and_the_last_one_recorded(
    day: date, expected: Any
) -> None:
    change = date(2017, 3, 15)
    table = price_table(
        [
            _price("telecom", burn="0.02", day=change),
            _price("telecom", burn="0.01"),
            _price("telecom", burn="0.03", day=change),
        ]
    )
    found = in_force(table, "telecom", None, day)
    assert (found and found.burn_price) == (expected and Decimal(expected))


def test_spans_of_days_with_one_price_are_one_line_and_rounded_once() -> None:
    tallies = [
        Tally("telecom", "retail", "redemption", date(2017, 3, day), 1) for day in range(1, 6)
    ]
    other = [_price("retail", burn="1", day=date(2017, 3, day)) for day in range(1, 6)]
    paths, obligations = _priced(tallies, _price("telecom", burn="0.005"), *other)
    assert [(line.quantity, line.amount) for line in paths] == [(5, 2)]
    assert [due.amount for due in obligations] == [2, 2]


def test_a_correction_and_a_late_item_of_one_path_are_two_lines() -> None:
    tallies = [Tally("telecom", "retail", "redemption", DAY, n, "2017-02") for n in (-200, 50)]
    paths, _ = _priced(tallies, _price("telecom", burn="0.01"))
    assert [(line.quantity, line.is_correction) for line in paths] == [(50, False), (-200, True)]


def test_points_that_cancel_out_are_no_line() -> None:
    tallies = [Tally("telecom", "retail", "redemption", DAY, points) for points in (5, -5)]
    assert _priced(tallies, _price("telecom", burn="1")) == ((), ())


TALLIES = st.lists(
    st.builds(
        Tally,
        st.sampled_from(["telecom", "retail", "airline"]),
        st.sampled_from(["telecom", "retail", "airline", "house"]),
        st.sampled_from(["redemption", "expiry", "issue", "clawback", "transfer", "donation"]),
        st.dates(date(2017, 2, 20), date(2017, 4, 10)),
        st.integers(-(10**12), 10**12).filter(bool),
        st.sampled_from([None, "2017-01", "2017-02"]),
    ),
    max_size=30,
)
PRICES = [
    _price("telecom", burn="0.010005", issue="0.001", redeem="0.009999"),
    _price("telecom", burn="0.02", day=date(2017, 3, 15)),
    _price("retail", burn="0.008"),
    _price("airline", burn="0.3", issue="0.25", redeem="0.111111"),
    _price("airline", burn="0.4", redeem="0.35", redeemer="retail"),
]


@given(st.data(), TALLIES)
def test_the_order_of_the_tallies_does_not_matter(
    data: st.DataObject, tallies: list[Tally]
) -> None:
    assert _priced(data.draw(st.permutations(tallies)), *PRICES) == _priced(tallies, *PRICES)


@given(TALLIES)
def test_points_are_kept_and_every_amount_is_points_times_price_rounded_once(
    tallies: list[Tally],
) -> None:
    paths, obligations = _priced(tallies, *PRICES)
    assert sum(line.quantity for line in paths) == sum(tally.points for tally in tallies)
    for line in paths:
        assert line.amount == amount_at_price(line.quantity, line.price, line.currency)
        assert (line.about is None) or line.is_correction == (
            line.quantity < 0 or line.kind == "clawback"
        )
    for due in obligations:
        assert due.quantity is not None
        assert due.unit_price is not None
        assert due.amount == amount_at_price(due.quantity, due.unit_price, due.currency) > 0
    assert [due.obligation_no for due in obligations] == list(range(1, len(obligations) + 1))
