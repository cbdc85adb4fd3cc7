"""Points are pending until the time in which the goods may be returned is over."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.ledger.test_load import loaded_by
from tests.world import HOUSE, Balance, World, done, merchant, noon

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.read import CardView, card_view

FORTNIGHT = timedelta(days=14)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """slow's points can be burned after 14 days, and live 30; fast's at once, and for ever."""
    world = World(engine)
    slow = replace(merchant("slow"), validity=Validity(days=30, usable_after_days=14))
    await world.sync([slow, merchant("fast")])
    for name in ("ann", "bob"):
        await world.enrol(name)
    return world


async def _card(world: World, name: str = "ann") -> CardView:
    async with world.engine.connect() as connection:
        view = await card_view(connection, world.people[name].card, world.ledger.book, world.now)
    assert view is not None
    return view


async def _earned(world: World, at: str, points: int) -> ask.EarnAnswer:
    answer = done(await world.earn("ann", at, points))
    assert isinstance(answer, ask.EarnAnswer)
    return answer


async def _code(world: World, points: int, take: ask.Take | None = None) -> Code | None:
    outcome = await world.burn("ann", "fast", points, take)
    return outcome.code if isinstance(outcome, ask.Refused) else None


async def _remaining(world: World) -> list[int]:
    return [lot.remaining for lot in await world.lots("ann")]


async def test_pending_points_are_shown_and_not_available(world: World) -> None:
    first = await _earned(world, "fast", 40)
    earned = await _earned(world, "slow", 100)
    usable_on = world.now.date() + FORTNIGHT
    assert (first.available, earned.available) == (40, 40)
    assert [lot.active_from for lot in (*first.lots, *earned.lots)] == [None, usable_on]
    view = await _card(world)
    assert (view.available, view.pending, view.pending_from) == (40, 100, {usable_on: 100})
    assert view.origins == {world.ledger.book.ids["fast"]: 40}
    # What expires when is told of all.
    assert view.expiring == {world.now.date() + timedelta(days=30): 100}
    assert await world.balance("ann") == Balance(140, 0, 0)


async def test_pending_points_are_neither_burned_held_nor_given_away(world: World) -> None:
    await _earned(world, "fast", 40)
    await _earned(world, "slow", 100)
    slow = world.ledger.book.ids["slow"]
    for take in (
        ask.Take(),
        ask.Take("own_first"),
        ask.Take("only", only=slow),
        world.take("mix", mix={"slow": 41}),
    ):
        assert await _code(world, 41, take) is Code.INSUFFICIENT_POINTS
    held = await world.burn("ann", "slow", 41, hold_seconds=60)
    given = await world.transfer("ann", "bob", 41, "fast")
    for outcome in (held, given):
        assert isinstance(outcome, ask.Refused)
        assert outcome.detail == "41 points were asked; 40 are available, and 100 are pending."
    # The pending ones expire first, and are passed over.
    answer = done(await world.burn("ann", "slow", 40))
    assert isinstance(answer, ask.BurnAnswer)
    assert [world.code(leg.origin_id) for leg in answer.legs] == ["fast"]
    assert answer.available == 0
    assert await world.breaches() == []


async def test_pending_points_are_good_from_their_day_on_though_no_job_ran(world: World) -> None:
    await _earned(world, "slow", 100)
    midnight = world.now.replace(hour=0) + FORTNIGHT
    world.now = midnight - timedelta(seconds=1)
    assert await _code(world, 100) is Code.INSUFFICIENT_POINTS
    world.now = midnight
    assert (await _card(world)).available == 100
    assert await _code(world, 100) is None
    assert await world.breaches() == []


async def test_the_houses_date_makes_points_good_and_not_the_tills(world: World) -> None:
    """Where the till is, it is the 15th day already; the house still has the 14th."""
    await world.sync(
        [
            replace(merchant("slow"), time_zone="Pacific/Auckland"),
            replace(
                merchant("east"),
                time_zone="Pacific/Auckland",
                validity=Validity(usable_after_days=14),
            ),
        ],
        HOUSE,
    )
    await _earned(world, "east", 10)
    midnight = world.now.replace(hour=0) + FORTNIGHT
    world.now = midnight - timedelta(hours=1)
    outcome = await world.burn("ann", "east", 10)
    assert isinstance(outcome, ask.Refused)
    world.now = midnight
    done(await world.burn("ann", "east", 10))


async def test_a_purchase_posted_late_is_pending_from_its_own_day_on(world: World) -> None:
    world.pass_days(20)
    late = done(await world.earn("ann", "slow", 10, on=world.now - timedelta(days=10)))
    assert isinstance(late, ask.EarnAnswer)
    assert late.lots[0].active_from == world.now.date() + timedelta(days=4)
    late = done(await world.earn("ann", "slow", 10, on=world.now - timedelta(days=20)))
    assert isinstance(late, ask.EarnAnswer)
    assert late.available == 10


async def test_a_replay_answers_what_was_available_then(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, points=100), "slow")
    [first] = await world.ledger.post([request])
    world.pass_days(20)
    done(await world.burn("ann", "fast", 60))
    [again] = await world.ledger.post([replace(request, now=world.now)])
    assert isinstance(first, ask.Done)
    assert again == ask.Done(first.answer, replayed=True)
    assert isinstance(first.answer, ask.EarnAnswer)
    assert first.answer.available == 0


async def test_a_return_takes_its_own_points_then_pending_ones_then_others(world: World) -> None:
    old = await _earned(world, "slow", 100)
    world.pass_days(14)
    await _earned(world, "slow", 60)
    returned = await _earned(world, "slow", 50)
    assert await _code(world, 30) is None
    # Of the old one all is reversed: 70 are its own, 30 come from what is pending.
    done(await world.reverse_earn(old))
    assert await _remaining(world) == [0, 30, 50]
    world.pass_days(1)
    assert isinstance(returned, ask.EarnAnswer)
    done(await world.reverse_earn(returned, 40))
    assert await _remaining(world) == [0, 30, 10]
    assert await world.breaches() == []


async def test_a_return_leaves_what_the_member_can_burn_while_there_is_pending(
    world: World,
) -> None:
    first = await _earned(world, "slow", 20)
    await _earned(world, "slow", 100)
    world.pass_days(14)
    assert await _code(world, 20) is None
    await _earned(world, "slow", 50)
    # 20 of the first are spent, 100 usable, 50 pending: those go first, though they expire last.
    done(await world.reverse_earn(first))
    assert await _remaining(world) == [0, 100, 30]
    assert (await _card(world)).available == 100


async def test_pending_points_pay_what_is_owed_to_their_origin(world: World) -> None:
    first = await _earned(world, "slow", 100)
    world.pass_days(14)
    assert await _code(world, 100) is None
    done(await world.reverse_earn(first))
    assert (await world.balance("ann")).owed == 100
    second = await _earned(world, "slow", 130)
    assert await world.balance("ann") == Balance(30, 0, 0)
    assert second.available == 0
    assert (await _card(world)).pending == 30
    assert await world.breaches() == []


async def test_pending_points_expire_as_others_do(world: World) -> None:
    await _earned(world, "slow", 100)
    world.pass_days(31)
    assert await world.expire() == (0, 100)
    assert (await _card(world)).available == 0
    assert await world.breaches() == []


async def test_what_was_given_is_good_at_once(world: World) -> None:
    await _earned(world, "slow", 100)
    world.pass_days(14)
    done(await world.transfer("ann", "bob", 100, "slow"))
    assert [lot.active_from for lot in await world.lots("bob")] == [None]
    assert (await _card(world, "bob")).available == 100


async def test_a_burn_loads_no_pending_lot_in_place_of_one_that_it_takes(world: World) -> None:
    """Pending lots expire first here: counted among what a burn takes, they would hide the rest."""
    for _ in range(3):
        await _earned(world, "slow", 50)
    await _earned(world, "fast", 30)
    await _earned(world, "fast", 30)
    burn = ask.Burn(world.people["ann"].card, 30, world.now)
    lots = await loaded_by(world, burn)
    assert sorted(lot.active_from is None for lot in lots) == [False] * 3 + [True]
    assert await _code(world, 30) is None
    assert await _remaining(world) == [50, 50, 50, 0, 30]


async def test_a_burn_still_knows_when_what_it_did_not_load_expires(world: World) -> None:
    """Pending lots are loaded whole, and say nothing of the others."""
    soon = replace(merchant("soon"), validity=Validity(days=10))
    await world.sync([soon])
    for _ in range(2):
        await _earned(world, "soon", 50)
        world.pass_days(1)
    await _earned(world, "slow", 50)
    assert await _code(world, 50) is None
    assert await world.breaches() == []
    world.now = noon(date(2026, 1, 13))
    assert await world.expire() == (0, 50)


async def test_a_group_over_midnight_takes_by_each_requests_own_day(world: World) -> None:
    await _earned(world, "slow", 50)
    await _earned(world, "fast", 50)
    card, midnight = world.people["ann"].card, world.now.replace(hour=0) + FORTNIGHT
    before, after = midnight - timedelta(seconds=1), midnight + timedelta(seconds=1)
    group = [
        replace(world.request(ask.Burn(card, 20, at), "fast"), now=at) for at in (before, after)
    ]
    origins = []
    for outcome in await world.ledger.post(group):
        answer = done(outcome)
        assert isinstance(answer, ask.BurnAnswer)
        origins.append([world.code(leg.origin_id) for leg in answer.legs])
        world.now = after
    assert origins == [["fast"], ["slow"]]
    assert await world.breaches() == []


async def test_points_that_would_lapse_before_they_are_good_are_not_earned(
    engine: AsyncEngine,
) -> None:
    world = World(engine)
    await world.sync([replace(merchant("odd"), validity=Validity(days=3, usable_after_days=5))])
    await world.enrol("ann")
    outcome = await world.earn("ann", "odd", 10)
    assert isinstance(outcome, ask.Refused)
    assert outcome.code is Code.NOTHING_EARNED
    assert "2026-01-06" in outcome.detail


async def test_a_window_counts_pending_points_once_as_issued(world: World) -> None:
    earned = await _earned(world, "slow", 100)
    world.pass_days(5)
    done(await world.reverse_earn(earned, 40))
    world.now = noon(date(2026, 2, 2))
    [label] = await world.close()
    result = await world.result(label)
    counted = {(path.kind, path.quantity) for path in result.paths}
    assert counted == {("issue", 100), ("clawback", 40)}
    assert await world.breaches() == []
