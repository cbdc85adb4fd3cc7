"""Taking from lots and giving back, as properties: no database, lots of any shape."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.commands import Take
from coalition.ledger.state import Account, Lot, Member
from coalition.ledger.take import Short, Taken, give_back, take_lots

AT = datetime(2026, 1, 10, tzinfo=UTC)
ORIGINS = (2, 3, 4)
REDEEMER = 3


def lot(number: int, origin_id: int, remaining: int, lives_days: int | None) -> Lot:
    until = None if lives_days is None else AT.date() + timedelta(days=lives_days)
    earned_at = AT - timedelta(hours=number % 3)
    return Lot(
        1, number, number, origin_id, "purchase", remaining, remaining, earned_at, AT.date(),
        until, 1,
    )  # fmt: skip


shapes = st.lists(
    st.tuples(
        st.sampled_from(ORIGINS), st.integers(1, 50), st.none() | st.integers(0, 3)
    ),
    max_size=8,
)  # fmt: skip
takes = st.one_of(
    st.just(Take()),
    st.just(Take("own_first")),
    st.sampled_from(ORIGINS).map(lambda origin: Take("only", only=origin)),
    st.dictionaries(st.sampled_from(ORIGINS), st.integers(1, 60), min_size=1).map(
        lambda mix: Take("mix", mix=tuple(mix.items()))
    ),
)


def lots_of(shape: list[tuple[int, int, int | None]]) -> list[Lot]:
    """The lots in the order in which the ledger offers them."""
    lots = [lot(number, *one) for number, one in enumerate(shape, start=1)]
    member = Member(Account(1, 0, 0, 0, 0, None), {one.lot_no: one for one in lots})
    return member.lots_in_order()


def asked_of(take: Take, points: int) -> int:
    return sum(part for _, part in take.mix) or points


def on_offer(lots: list[Lot], take: Take) -> dict[int, tuple[int, int]]:
    """By origin of a mix: how much is asked, and how much is there."""
    there = {origin: sum(x.remaining for x in lots if x.origin_id == origin) for origin in ORIGINS}
    return {origin: (part, there[origin]) for origin, part in take.mix}


def test_lots_are_offered_by_last_day_then_by_when_they_were_earned() -> None:
    offered = lots_of([(2, 5, None), (2, 5, 2), (2, 5, 1), (3, 5, 1), (2, 5, 2)])
    assert [one.lot_no for one in offered] == [4, 3, 2, 5, 1]


@given(shapes, st.integers(1, 200), takes)
def test_what_is_taken_adds_up_and_no_lot_gives_more_than_it_has(
    shape: list[tuple[int, int, int | None]], points: int, take: Take
) -> None:
    points = asked_of(take, points)
    taken = take_lots(lots_of(shape), points, take, REDEEMER)
    if isinstance(taken, Short):
        return
    assert sum(part for _, part in taken) == points
    assert all(0 < part <= one.remaining for one, part in taken)
    assert len({one.lot_no for one, _ in taken}) == len(taken)


@given(shapes, st.integers(1, 200), takes)
def test_it_is_short_exactly_when_there_is_not_enough(
    shape: list[tuple[int, int, int | None]], points: int, take: Take
) -> None:
    lots = lots_of(shape)
    points = asked_of(take, points)
    taken = take_lots(lots, points, take, REDEEMER)
    if take.order == "mix":
        enough = all(part <= there for part, there in on_offer(lots, take).values())
    else:
        fitting = [x for x in lots if take.only in (None, x.origin_id)]
        enough = points <= sum(x.remaining for x in fitting)
    assert isinstance(taken, Short) != enough
    if isinstance(taken, Short):
        assert taken.there < taken.asked


@given(shapes, st.integers(1, 200), takes)
def test_a_lot_is_touched_only_when_those_before_it_are_empty(
    shape: list[tuple[int, int, int | None]], points: int, take: Take
) -> None:
    lots = lots_of(shape)
    taken = take_lots(lots, asked_of(take, points), take, REDEEMER)
    if isinstance(taken, Short):
        return
    for origin in ORIGINS if take.order == "mix" else (take.only,):
        offered = [x for x in lots if origin in (None, x.origin_id)]
        if take.order == "own_first":
            own = [x for x in offered if x.origin_id == REDEEMER]
            offered = own + [x for x in offered if x.origin_id != REDEEMER]
        parts = [(x, part) for x, part in taken if origin in (None, x.origin_id)]
        assert [x.lot_no for x, _ in parts] == [x.lot_no for x in offered][: len(parts)]
        assert all(part == x.remaining for x, part in parts[:-1])


@given(st.sampled_from(ORIGINS), st.integers(1, 9))
def test_nothing_there_is_short_of_everything(origin: int, points: int) -> None:
    assert take_lots([], points, Take(), REDEEMER) == Short(None, points, 0)
    only = Take("only", only=origin)
    assert take_lots([], points, only, REDEEMER) == Short(origin, points, 0)


# ---------------------------------------------------------------- giving back


def burn_of(taken: Taken) -> BurnRow:
    row = BurnRow(
        1, 99, REDEEMER, "redemption", sum(part for _, part in taken), 0, "posted",
        date(2026, 1, 10), None, 1, None, None, legs=[],
    )  # fmt: skip
    for place, (one, part) in enumerate(taken, start=1):
        row.legs.append(_leg(one.lot_no, one.origin_id, 99, part, place))
        one.remaining -= part
    return row


def _leg(lot_no: int, origin_id: int, posting_no: int, points: int, place: int) -> Leg:
    return Leg(
        1, lot_no, posting_no, 99, origin_id, REDEEMER, "redemption", points, date(2026, 1, 10), 1,
        None, place,
    )  # fmt: skip


def put_back(row: BurnRow, points: int, lots: dict[int, Lot], posting_no: int) -> None:
    """What a reversal writes, in as far as it moves points."""
    for place, (leg, part) in enumerate(give_back(row.taken(), points), start=1):
        row.legs.append(_leg(leg.lot_no, leg.origin_id, posting_no, -part, place))
        lots[leg.lot_no].remaining += part


def splits(points: int) -> st.SearchStrategy[list[int]]:
    cuts = st.sets(st.integers(1, points), max_size=4)
    return cuts.map(lambda at: [b - a for a, b in pairwise(sorted({0, *at, points}))])


@given(st.data(), shapes.filter(bool), st.sampled_from([Take(), Take("own_first")]))
def test_whatever_the_parts_a_burn_given_back_leaves_the_lots_as_they_were(
    data: st.DataObject, shape: list[tuple[int, int, int | None]], take: Take
) -> None:
    offered = lots_of(shape)
    lots = {one.lot_no: one for one in offered}
    before = {number: one.remaining for number, one in lots.items()}
    points = data.draw(st.integers(1, sum(before.values())))
    taken = take_lots(offered, points, take, REDEEMER)
    assert not isinstance(taken, Short)
    row = burn_of(taken)
    for posting_no, part in enumerate(data.draw(splits(points)), start=100):
        put_back(row, part, lots, posting_no)
    assert {number: one.remaining for number, one in lots.items()} == before
    assert row.taken() == []


@given(st.data(), shapes.filter(bool))
def test_a_part_given_back_in_any_split_leaves_what_giving_it_back_at_once_leaves(
    data: st.DataObject, shape: list[tuple[int, int, int | None]]
) -> None:
    total = sum(remaining for _, remaining, _ in shape)
    points = data.draw(st.integers(1, total))
    back = data.draw(st.integers(1, points))
    left = []
    for parts in ([back], data.draw(splits(back))):
        offered = lots_of(shape)
        taken = take_lots(offered, points, Take(), REDEEMER)
        assert not isinstance(taken, Short)
        row = burn_of(taken)
        for posting_no, part in enumerate(parts, start=100):
            put_back(row, part, {one.lot_no: one for one in offered}, posting_no)
        left.append([(one.lot_no, one.remaining) for one in offered])
    assert left[0] == left[1]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.data())
def test_what_was_taken_last_goes_back_first(parts: list[int], data: st.DataObject) -> None:
    legs = [(_leg(n, 2, 99, part, n), part) for n, part in enumerate(parts, start=1)]
    points = data.draw(st.integers(1, sum(parts)))
    returned = give_back(legs, points)
    assert sum(part for _, part in returned) == points
    numbers = [leg.lot_no for leg, _ in returned]
    assert numbers == list(range(len(parts), len(parts) - len(numbers), -1))
    assert all(part == leg.points for leg, part in returned[:-1])
