"""Netting: whatever is owed, everything adds up to zero, and nothing depends on the order."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.netting import THROUGH, bilateral, net
from settlement.obligation import HOUSE, POOL, Obligation, PathLine, Position

PARTIES = ["fuel", "grocer", "pharmacy", "wine", HOUSE, POOL]
CURRENCIES = ["CNY", "EUR"]
THROUGHS = st.sampled_from([{}, {"fuel": "grocer"}, {"fuel": "grocer", "grocer": "wine"}])
MINIMUMS = st.dictionaries(
    st.tuples(st.sampled_from(PARTIES), st.sampled_from(CURRENCIES)), st.integers(0, 5_000)
)

Balances = dict[tuple[str, str], int]


@st.composite
def obligations(draw: st.DrawFn) -> list[Obligation]:
    lines = draw(
        st.lists(
            st.tuples(
                st.sampled_from(PARTIES),
                st.sampled_from(PARTIES),
                st.integers(1, 10_000),
                st.sampled_from(CURRENCIES),
            ).filter(lambda line: line[0] != line[1])
        )
    )
    return [
        Obligation(number, debtor, creditor, amount, currency, "burn")
        for number, (debtor, creditor, amount, currency) in enumerate(lines, start=1)
    ]


@st.composite
def openings(draw: st.DrawFn) -> Balances:
    """Balances that add up to zero in each currency, as every closing does."""
    balances: Balances = defaultdict(int)
    for line in draw(obligations()):
        balances[line.creditor, line.currency] += line.amount
        balances[line.debtor, line.currency] -= line.amount
    return dict(balances)


def _net(
    lines: list[Obligation],
    opening: Balances,
    through: Mapping[str, str] | None = None,
    minimums: Balances | None = None,
) -> tuple[tuple[Obligation, ...], tuple[Position, ...]]:
    due = {} if minimums is None else minimums
    return net(
        lines,
        opening,
        seen=(),
        through=through or {},
        minimum_due=lambda party, currency: due.get((party, currency)),
    )


@given(obligations(), openings(), THROUGHS, MINIMUMS)
def test_nets_openings_instructions_and_closings_add_up_to_zero(
    lines: list[Obligation], opening: Balances, through: dict[str, str], minimums: Balances
) -> None:
    _, positions = _net(lines, opening, through, minimums)
    for currency in CURRENCIES:
        at = [line for line in positions if line.currency == currency]
        for field in ("net", "opening", "instructed", "closing"):
            assert sum(getattr(line, field) for line in at) == 0, (currency, field)


@given(st.data(), obligations(), openings(), THROUGHS, MINIMUMS)
def test_the_order_of_the_obligations_does_not_matter(
    data: st.DataObject,
    lines: list[Obligation],
    opening: Balances,
    through: dict[str, str],
    minimums: Balances,
) -> None:
    shuffled = data.draw(st.permutations(lines))
    assert (
        _net(lines, opening, through, minimums)[1] == _net(shuffled, opening, through, minimums)[1]
    )


@given(obligations(), openings(), THROUGHS, MINIMUMS)
def test_a_position_is_the_sum_of_the_lines_that_name_the_party(
    lines: list[Obligation], opening: Balances, through: dict[str, str], minimums: Balances
) -> None:
    owed, positions = _net(lines, opening, through, minimums)
    for at in positions:
        mine = [line for line in owed if line.currency == at.currency]
        assert at.receivable == sum(line.amount for line in mine if line.creditor == at.party)
        assert at.payable == sum(line.amount for line in mine if line.debtor == at.party)
        assert at.opening == opening.get((at.party, at.currency), 0)
    assert {(line.party, line.currency) for line in positions} >= {
        key for key, balance in opening.items() if balance
    }


@given(obligations(), obligations())
def test_netting_two_halves_gives_what_netting_the_whole_gives(
    one: list[Obligation], other: list[Obligation]
) -> None:
    whole = {(at.party, at.currency): at.net for at in _net(one + other, {})[1]}
    parts: Balances = defaultdict(int)
    for half in (one, other):
        for at in _net(half, {})[1]:
            parts[at.party, at.currency] += at.net
    assert whole == dict(parts)


@given(obligations(), openings(), THROUGHS, MINIMUMS)
def test_an_indirect_participant_is_left_with_nothing(
    lines: list[Obligation], opening: Balances, through: dict[str, str], minimums: Balances
) -> None:
    owed, positions = _net(lines, opening, through, minimums)
    for at in positions:
        if at.party in through:
            assert (at.closing, at.instructed) == (0, 0)
    for line in owed[len(lines) :]:
        party = line.reason.removeprefix(THROUGH)
        assert {line.debtor, line.creditor} == {party, through[party]}


@given(obligations(), openings(), MINIMUMS)
def test_a_balance_is_paid_whole_or_carried_forward_whole(
    lines: list[Obligation], opening: Balances, minimums: Balances
) -> None:
    _, positions = _net(lines, opening, {}, minimums)
    for at in positions:
        if at.party == HOUSE:
            continue
        balance = at.opening + at.net
        minimum = minimums.get((at.party, at.currency))
        is_paid = at.party != POOL and minimum is not None and abs(balance) >= minimum
        assert at.instructed == (balance if is_paid else 0)


def test_a_store_passes_through_its_dealer_to_headquarters() -> None:
    lines = [Obligation(1, HOUSE, "store", 700, "CNY", "redeem")]
    owed, positions = _net(lines, {}, {"dealer": "headquarters", "store": "dealer"})
    assert [(line.debtor, line.creditor, line.amount, line.reason) for line in owed[1:]] == [
        ("dealer", "headquarters", 700, "through:dealer"),
        ("store", "dealer", 700, "through:store"),
    ]
    assert {at.party: at.net for at in positions} == {
        "dealer": 0,
        "headquarters": 700,
        HOUSE: -700,
        "store": 0,
    }


def test_a_debt_of_an_indirect_participant_is_owed_by_the_one_it_settles_through() -> None:
    owed, _ = _net([Obligation(1, "store", HOUSE, 5, "CNY", "burn")], {}, {"store": "dealer"})
    assert (owed[1].debtor, owed[1].creditor, owed[1].amount) == ("dealer", "store", 5)


def test_settling_through_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        _net([], {}, {"a": "b", "b": "a"})


def test_the_pair_matrix_leaves_own_redemptions_out() -> None:
    def path(number: int, origin: str, redeemer: str, amount: int) -> PathLine:
        return PathLine(number, origin, redeemer, "redemption", amount, Decimal(1), amount, "CNY")

    lines = [
        path(1, "a", "b", 10),
        path(2, "a", "b", -4),
        path(3, "b", "b", 9),
        path(4, "b", "a", 2),
    ]
    assert bilateral(lines) == {("a", "b", "CNY"): 6, ("b", "a", "CNY"): 2}
