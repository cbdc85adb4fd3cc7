"""Points that lapse so many months after their origin's points last moved."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant, noon

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.read import card_view, lot_view


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Ann has 100 points of idle since 1 January, that live 3 months without a movement."""
    world = World(engine)
    idle = replace(merchant("idle"), validity=Validity(inactive_months=3), lateness_days_max=366)
    await world.sync([idle, merchant("other")])
    for name in ("ann", "bob"):
        await world.enrol(name)
    done(await world.earn("ann", "idle", 100))
    return world


async def _last_days(world: World, name: str = "ann") -> list[date]:
    async with world.engine.connect() as connection:
        card = world.people[name].card
        view = await card_view(connection, card, world.ledger.book, world.now)
    assert view is not None
    return list(view.expiring)


async def _burned(world: World, points: int, **more: int) -> ask.BurnAnswer:
    answer = done(await world.burn("ann", "other", points, **more))  # type: ignore[arg-type]
    assert isinstance(answer, ask.BurnAnswer)
    return answer


async def test_points_lapse_after_so_many_months_without_a_movement(world: World) -> None:
    assert await _last_days(world) == [date(2026, 4, 1)]
    world.now = noon(date(2026, 4, 1))
    assert await world.expire() == (0, 0)
    world.pass_days(1)
    assert await _last_days(world) == []
    assert await world.expire() == (0, 100)
    assert await world.breaches() == []


async def test_an_earn_of_the_origin_moves_all_of_its_points_and_rewrites_no_lot(
    world: World,
) -> None:
    before = await world.lots("ann")
    world.now = noon(date(2026, 2, 15))
    done(await world.earn("ann", "idle", 10))
    done(await world.earn("ann", "other", 10))
    assert await _last_days(world) == [date(2026, 5, 15)]
    assert (await world.lots("ann"))[:1] == before
    async with world.engine.connect() as connection:
        lot = await lot_view(connection, world.people["ann"].member_id, before[0].number)
    assert lot is not None
    assert lot.expires_on == date(2026, 5, 15)
    world.now = noon(date(2026, 5, 15))
    assert await world.expire() == (0, 0)
    world.pass_days(1)
    assert await world.expire() == (0, 110)
    assert await world.breaches() == []


async def test_a_redemption_of_its_points_moves_them_and_undoing_it_takes_nothing_back(
    world: World,
) -> None:
    world.now = noon(date(2026, 2, 15))
    burned = await _burned(world, 10)
    assert await _last_days(world) == [date(2026, 5, 15)]
    done(await world.reverse_burn(burned))
    assert await _last_days(world) == [date(2026, 5, 15)]
    assert await world.breaches() == []


async def test_a_hold_moves_them_when_it_is_captured(world: World) -> None:
    world.now = noon(date(2026, 2, 1))
    voided = await _burned(world, 10, hold_seconds=60)
    done(await world.void(voided))
    assert await _last_days(world) == [date(2026, 4, 1)]
    held = await _burned(world, 10, hold_seconds=2_000_000)
    world.now = noon(date(2026, 2, 15))
    done(await world.capture(held))
    assert await _last_days(world) == [date(2026, 5, 15)]
    assert await world.breaches() == []


async def test_another_origins_movements_move_nothing(world: World) -> None:
    world.now = noon(date(2026, 2, 15))
    done(await world.earn("ann", "other", 50))
    done(await world.burn("ann", "other", 20, world.take("only", only="other")))
    assert await _last_days(world) == [date(2026, 4, 1)]


async def test_a_late_purchase_moves_them_from_its_own_day_on(world: World) -> None:
    world.now = noon(date(2026, 3, 20))
    done(await world.earn("ann", "idle", 10, on=noon(date(2026, 2, 1))))
    assert await _last_days(world) == [date(2026, 5, 1)]
    done(await world.earn("ann", "idle", 10, on=noon(date(2026, 1, 20))))
    assert await _last_days(world) == [date(2026, 5, 1)]


async def test_a_purchase_too_late_to_be_worth_anything_earns_nothing(world: World) -> None:
    world.now = noon(date(2026, 8, 1))
    outcome = await world.earn("ann", "idle", 10, on=noon(date(2026, 4, 20)))
    assert isinstance(outcome, ask.Refused)
    assert outcome.code is Code.NOTHING_EARNED


async def test_what_lapsed_is_not_brought_back_by_a_movement(world: World) -> None:
    world.now = noon(date(2026, 4, 2))
    earned = done(await world.earn("ann", "idle", 10))
    assert isinstance(earned, ask.EarnAnswer)
    assert earned.available == 10
    assert await world.breaches() == []


async def test_points_that_were_held_over_their_day_come_back_with_days_of_grace(
    world: World,
) -> None:
    world.now = noon(date(2026, 3, 20))
    held = await _burned(world, 100, hold_seconds=20 * 86_400)
    world.now = noon(date(2026, 4, 9))
    done(await world.lapse("ann"))
    assert await _last_days(world) == [date(2026, 5, 9)]
    assert held.status == "held"
    assert await world.breaches() == []


async def test_given_points_live_as_long_as_with_their_giver(world: World) -> None:
    world.now = noon(date(2026, 2, 1))
    done(await world.transfer("ann", "bob", 40, "idle"))
    assert await _last_days(world, "bob") == [date(2026, 4, 1)]
    world.now = noon(date(2026, 3, 1))
    done(await world.burn("bob", "other", 10))
    assert await _last_days(world, "bob") == [date(2026, 6, 1)]
    assert await _last_days(world) == [date(2026, 4, 1)]
    assert await world.breaches() == []


async def test_a_gift_brings_back_nothing_that_its_taker_lost(world: World) -> None:
    world.now = noon(date(2026, 3, 1))
    done(await world.earn("bob", "idle", 30))
    world.now = noon(date(2026, 4, 2))
    done(await world.transfer("bob", "ann", 5, "idle"))
    assert (await world.balance("ann")).available == 5
    assert await world.breaches() == []


async def test_a_burn_takes_first_what_lapses_first(world: World) -> None:
    """What lapses when is asked of the movements: the days in the lots do not tell."""
    quick = replace(merchant("quick"), validity=Validity(days=60))
    await world.sync([quick])
    done(await world.earn("ann", "quick", 50))
    world.now += timedelta(minutes=1)
    answer = await _burned(world, 60)
    assert [leg.points for leg in answer.legs] == [50, 10]


async def test_a_replay_answers_the_same_though_the_points_moved(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, points=10), "idle")
    [first] = await world.ledger.post([request])
    world.now = noon(date(2026, 2, 15))
    done(await world.earn("ann", "idle", 10))
    assert isinstance(first, ask.Done)
    [again] = await world.ledger.post([request])
    assert again == ask.Done(first.answer, replayed=True)


@pytest.mark.parametrize(
    "change",
    ["delete from activity", "update activity set last_moved_on = last_moved_on - 1"],
)
async def test_the_database_takes_no_movement_back(world: World, change: str) -> None:
    async with world.engine.begin() as connection:
        with pytest.raises(DBAPIError, match=r"never changed|permission denied"):
            await connection.execute(text(change))


async def test_where_no_terms_are_by_inactivity_nothing_is_noted(engine: AsyncEngine) -> None:
    world = World(engine)
    await world.sync([merchant("one")])
    await world.enrol("ann")
    done(await world.earn("ann", "one", 10))
    done(await world.burn("ann", "one", 10))
    async with engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from activity")) == 0
