"""Points that live to the end of a period: there they are void, or a share of them lives on."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant, noon

from coalition.earning.validity import Validity
from coalition.ledger import commands as ask
from coalition.ledger.read import CardView, card_view
from coalition.terms.prices import Price
from coalition.terms.terms import Terms

EVEN = "FREQ=MONTHLY;BYMONTH=2,4,6,8,10,12;BYMONTHDAY=20"
ENDS = [date(2026, 2, 20), date(2026, 4, 20), date(2026, 6, 20)]
PRICES = (Price("all", None, date(2025, 1, 1), Decimal(0), Decimal("0.01")),)


def _terms(code: str, share: str) -> Terms:
    return replace(
        merchant(code),
        validity=Validity(period_rule=EVEN, carried_share=Decimal(share)),
        breakage="house",
        prices=tuple(replace(price, origin=code) for price in PRICES),
    )


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """void's points are void at the end of a period; of half's, half live on."""
    world = World(engine)
    await world.sync([_terms("void", "0"), _terms("half", "0.5"), merchant("other")])
    for name in ("ann", "bob"):
        await world.enrol(name)
    return world


async def _card(world: World) -> CardView:
    async with world.engine.connect() as connection:
        view = await card_view(connection, world.people["ann"].card, world.ledger.book, world.now)
    assert view is not None
    return view


async def _open(world: World, name: str = "ann") -> list[tuple[int, date | None]]:
    return [(lot.remaining, lot.expires_on) for lot in await world.lots(name) if lot.remaining]


def _after(world: World, end: date) -> None:
    world.now = noon(end + timedelta(days=1))


async def test_one_period_one_zeroing(world: World) -> None:
    done(await world.earn("ann", "void", 100))
    world.now = noon(ENDS[0])
    assert await world.expire() == (0, 0)
    _after(world, ENDS[0])
    done(await world.earn("ann", "void", 30))
    assert await _open(world) == [(30, ENDS[1])]
    assert await world.expire() == (0, 0)
    assert await world.breaches() == []


async def test_a_share_of_an_origins_points_lives_on_in_the_same_lots(world: World) -> None:
    for points in (51, 30, 20):
        done(await world.earn("ann", "half", points))
        world.pass_days(1)
    _after(world, ENDS[0])
    # Of 101, 50 live on: the newest. The card knows it before any job has come by.
    assert (await _card(world)).expiring == {ENDS[1]: 50}
    assert await world.expire() == (0, 51)
    assert await _open(world) == [(30, ENDS[1]), (20, ENDS[1])]
    assert (await _card(world)).available == 50
    _after(world, ENDS[1])
    assert await world.expire() == (0, 25)
    assert await _open(world) == [(5, ENDS[2]), (20, ENDS[2])]
    assert await world.breaches() == []


async def test_a_single_point_lapses_in_the_end(world: World) -> None:
    done(await world.earn("ann", "half", 1))
    _after(world, ENDS[0])
    assert await world.expire() == (0, 1)


async def test_it_makes_no_difference_when_somebody_looks(world: World) -> None:
    await world.enrol("cyd")
    for name in ("ann", "bob"):
        done(await world.earn(name, "half", 33))
    _after(world, ENDS[0])
    done(await world.lapse("bob"))
    done(await world.earn("cyd", "half", 68))
    for name in ("ann", "bob"):
        # Nobody looks at what its taker has when it is given something.
        done(await world.transfer("cyd", name, 34, "half"))
    _after(world, ENDS[2])
    await world.expire()
    left = [await _open(world, name) for name in ("ann", "bob")]
    assert [sum(points for points, _ in lots) for lots in left] == [12, 12]
    assert left[0] == left[1]
    assert await world.breaches() == []


async def test_a_return_finds_carried_points_and_owes_nothing_for_those_that_lapsed(
    world: World,
) -> None:
    earned = done(await world.earn("ann", "half", 100))
    assert isinstance(earned, ask.EarnAnswer)
    _after(world, ENDS[0])
    reversed_ = done(await world.reverse_earn(earned))
    assert isinstance(reversed_, ask.ReversalAnswer)
    assert (reversed_.points, reversed_.owed) == (50, 0)
    assert await _open(world) == []
    assert await world.breaches() == []


async def test_points_held_over_the_end_come_back_with_days_of_grace(world: World) -> None:
    done(await world.earn("ann", "half", 100))
    world.now = noon(date(2026, 2, 10))
    done(await world.burn("ann", "other", 100, hold_seconds=20 * 86_400))
    world.now = noon(date(2026, 3, 2))
    done(await world.lapse("ann"))
    assert await _open(world) == [(100, date(2026, 4, 1))]
    # And a share of them is carried, as of others.
    _after(world, date(2026, 4, 1))
    assert await world.expire() == (0, 50)
    assert await _open(world) == [(50, ENDS[1])]
    assert await world.breaches() == []


async def test_a_replay_answers_the_day_that_was_granted(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, points=10), "half")
    [first] = await world.ledger.post([request])
    _after(world, ENDS[0])
    done(await world.lapse("ann"))
    assert isinstance(first, ask.Done)
    [again] = await world.ledger.post([request])
    assert again == ask.Done(first.answer, replayed=True)


async def test_terms_that_carry_no_more_do_not_reach_what_was_earned(world: World) -> None:
    done(await world.earn("ann", "half", 100))
    await world.sync([_terms("void", "0"), _terms("half", "0"), merchant("other")])
    world.pass_days(1)
    done(await world.earn("ann", "half", 10))
    _after(world, ENDS[0])
    assert await world.expire() == (0, 60)
    assert await _open(world) == [(50, ENDS[1])]


async def test_only_what_is_void_is_breakage_and_issued_points_count_once(world: World) -> None:
    done(await world.earn("ann", "half", 100))
    world.now = noon(date(2026, 2, 1))
    [january] = await world.close()
    _after(world, ENDS[0])
    await world.expire()
    world.now = noon(date(2026, 3, 1))
    [february] = await world.close()
    counted = []
    for label in (january, february):
        result = await world.result(label)
        counted.append({(path.kind, path.quantity, path.amount) for path in result.paths})
    assert counted == [{("issue", 100, 0)}, {("expiry", 50, 50)}]
    assert await world.breaches() == []
