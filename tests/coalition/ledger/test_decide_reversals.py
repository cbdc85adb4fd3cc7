"""Reversing an earn by amount, decided in memory: how it is cut up makes no difference."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.world import HOUSE, merchant

from coalition.earning.rates import Rate
from coalition.ledger.commands import Done, Earn, EarnAnswer, Refused, Request, ReverseEarn
from coalition.ledger.decide import decide
from coalition.ledger.earned import EarnPart, EarnRow
from coalition.ledger.state import Account, Card, Member, State
from coalition.terms.book import Book, Merchant
from settlement.window import Window

NOW = datetime(2026, 1, 10, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
WINDOW = Window(1, "2026-01", datetime(2025, 12, 31, 16, tzinfo=UTC), NOW.replace(day=31), "open")
CARD, TELECOM = 9000000000000001, 2


def book(rate: Rate) -> Book:
    terms = replace(merchant("telecom"), rates=(rate,))
    return Book(
        house=HOUSE,
        house_zone=ZONE,
        merchants={TELECOM: Merchant(TELECOM, terms, ZONE)},
        ids={"house": 0, "telecom": TELECOM},
        codes={0: "house", TELECOM: "telecom"},
        windows=(WINDOW,),
    )


def earned(amount: int, terms: Book) -> State | None:
    """A ledger in memory with one earn of `amount` minor units; None where that earns nothing."""
    state = State(WINDOW, cards={CARD: Card(1, "active", NOW)})
    state.members[1] = Member(Account(1, 0, 0, 0, 0, None), lots_loaded=True)
    outcome = decide(Request(Earn(CARD, NOW, amount=amount), TELECOM, NOW), state, terms)
    if isinstance(outcome, Refused):
        return None
    assert isinstance(outcome.answer, EarnAnswer)
    points, on = outcome.answer.points, date(2026, 1, 10)
    state.members[1].earns[1] = EarnRow(
        1,
        1,
        TELECOM,
        CARD,
        points,
        amount,
        on,
        1,
        None,
        0,
        0,
        NOW,
        [EarnPart(2, TELECOM, points, 0)],
    )
    return state


def reverse(state: State, terms: Book, amount: int) -> None:
    outcome = decide(Request(ReverseEarn(1, 1, amount=amount), TELECOM, NOW), state, terms)
    left = state.members[1].earns[1].points - state.members[1].earns[1].reversed_points
    # Once every point is back, the small change that is left of the purchase has none to give.
    assert isinstance(outcome, Done) or (left == 0 and outcome.code == "already_reversed")


rates = st.builds(
    Rate,
    st.just("*"),
    st.sampled_from([Decimal(1), Decimal("1.5"), Decimal("0.3"), Decimal(7)]),
    st.sampled_from([1, 50, 100, 333]),
)


@given(rates, st.integers(1, 5_000), st.data())
def test_an_earn_reversed_by_amount_in_any_parts_leaves_the_same_points(
    rate: Rate, amount: int, data: st.DataObject
) -> None:
    terms = book(rate)
    at_once, in_parts = earned(amount, terms), earned(amount, terms)
    if at_once is None or in_parts is None:
        return
    cuts = sorted(data.draw(st.sets(st.integers(1, amount), min_size=1, max_size=5)))
    parts = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    for part in data.draw(st.permutations(parts)):
        reverse(in_parts, terms, part)
    reverse(at_once, terms, cuts[-1])
    assert in_parts.members[1].account.available == at_once.members[1].account.available


@given(rates, st.integers(1, 5_000))
def test_the_whole_amount_takes_every_point_back(rate: Rate, amount: int) -> None:
    terms = book(rate)
    state = earned(amount, terms)
    if state is None:
        return
    reverse(state, terms, amount)
    assert state.members[1].account.available == 0
