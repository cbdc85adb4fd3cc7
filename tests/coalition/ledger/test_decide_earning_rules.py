"""Earns of several lots, decided in memory: any parts of a return end as the whole would."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.world import HOUSE, merchant

from coalition.earning.rules.fixed import FixedRule
from coalition.earning.rules.multiplier import MultiplierRule
from coalition.earning.rules.rate import RateRule
from coalition.earning.rules.table import EarnRule
from coalition.ledger.commands import Done, Earn, EarnAnswer, Request, ReverseEarn
from coalition.ledger.decide import decide
from coalition.ledger.earned import EarnPart, EarnRow
from coalition.ledger.state import Account, Card, Member, State
from coalition.terms.book import Book, Merchant
from settlement.window import Window

NOW = datetime(2026, 1, 10, 4, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
WINDOW = Window(1, "2026-01", NOW, datetime(2026, 1, 31, 16, tzinfo=UTC), "open")
CARD, TELECOM, RETAIL, FUEL = 9, 2, 3, 4
IDS = {"house": 0, "telecom": TELECOM, "retail": RETAIL, "fuel": FUEL}
PAYERS = st.sampled_from(
    [
        (),
        (("retail", Decimal(1)),),
        (("telecom", Decimal("0.3")), ("retail", Decimal("0.3")), ("fuel", Decimal("0.4"))),
    ]
)
RULES: st.SearchStrategy[EarnRule] = st.one_of(
    st.builds(
        lambda points, payers: RateRule(name="rate", points=points, per=100, paid_by=payers),
        st.sampled_from([Decimal("0.7"), Decimal(3)]),
        PAYERS,
    ),
    st.builds(
        lambda points, payers: FixedRule(name="fixed", points=points, paid_by=payers),
        st.integers(1, 50),
        PAYERS,
    ),
    st.builds(
        lambda factor, payers: MultiplierRule(name="factor", factor=factor, paid_by=payers),
        st.sampled_from([Decimal("1.3"), Decimal(2)]),
        PAYERS,
    ),
)
rules = st.lists(RULES, unique_by=lambda rule: rule.name, max_size=3).map(tuple)


def book(rules: tuple[EarnRule, ...]) -> Book:
    terms = {TELECOM: replace(merchant("telecom"), rules=rules)}
    terms |= {one: merchant(code) for code, one in IDS.items() if one > TELECOM}
    return Book(
        house=HOUSE,
        house_zone=ZONE,
        merchants={one: Merchant(one, held, ZONE) for one, held in terms.items()},
        ids=IDS,
        codes={one: code for code, one in IDS.items()},
        windows=(WINDOW,),
    )


def earned(amount: int, terms: Book, spent: list[int]) -> State:
    """A ledger in memory with one earn, of whose lots so many points each are gone already."""
    state = State(WINDOW, cards={CARD: Card(1, "active", NOW)})
    member = state.members[1] = Member(Account(1, 0, 0, 0, 0, None), lots_loaded=True)
    outcome = decide(Request(Earn(CARD, NOW, amount=amount), TELECOM, NOW), state, terms)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, EarnAnswer)
    lots = list(member.lots.values())
    for lot, points in zip(lots, spent, strict=False):
        lot.remaining -= min(points, lot.remaining)
    member.account.available = sum(lot.remaining for lot in lots)
    parts = [EarnPart(lot.lot_no, lot.origin_id, lot.points, 0) for lot in lots]
    points, on = outcome.answer.points, date(2026, 1, 10)
    member.earns[1] = EarnRow(1, 1, TELECOM, CARD, points, amount, on, 1, None, 0, 0, NOW, parts)
    return state


def back(state: State, terms: Book, points: int) -> None:
    outcome = decide(Request(ReverseEarn(1, 1, points), TELECOM, NOW), state, terms)
    assert isinstance(outcome, Done)


def left(state: State) -> tuple[dict[int, int], dict[int, int]]:
    """What is left in each lot, and what each origin is owed."""
    member = state.members[1]
    debts = {origin: points for origin, points in member.debts.items() if points}
    return {lot.lot_no: lot.remaining for lot in member.lots.values()}, debts


@given(rules, st.integers(100, 5_000), st.lists(st.integers(0, 60), max_size=5), st.data())
def test_an_earn_reversed_in_any_parts_leaves_each_lot_as_at_once(
    rules: tuple[EarnRule, ...], amount: int, spent: list[int], data: st.DataObject
) -> None:
    terms = book(rules)
    at_once, in_parts = earned(amount, terms, spent), earned(amount, terms, spent)
    whole = in_parts.members[1].earns[1].points
    cuts = sorted(data.draw(st.sets(st.integers(1, whole), min_size=1, max_size=5)))
    parts = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    for points in data.draw(st.permutations(parts)):
        back(in_parts, terms, points)
    back(at_once, terms, cuts[-1])
    assert left(in_parts) == left(at_once)


@given(rules, st.integers(100, 5_000), st.lists(st.integers(0, 60), max_size=5), st.data())
def test_a_whole_reversal_takes_or_is_owed_of_each_origin_what_it_gave(
    rules: tuple[EarnRule, ...], amount: int, spent: list[int], data: st.DataObject
) -> None:
    terms = book(rules)
    state = earned(amount, terms, spent)
    member = state.members[1]
    missing = dict.fromkeys(IDS.values(), 0)
    for lot in member.lots.values():
        missing[lot.origin_id] += lot.points - lot.remaining
    first = data.draw(st.integers(0, member.earns[1].points))
    for points in (first, member.earns[1].points - first):
        if points:
            back(state, terms, points)
    remaining, debts = left(state)
    assert set(remaining.values()) == {0}
    assert debts == {origin: points for origin, points in missing.items() if points}
