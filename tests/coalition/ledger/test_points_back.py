"""Points that come back: what they first pay, and how long they live. What lapsed is gone."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.world import Balance, World, done, merchant

from coalition.earning.validity import Validity
from coalition.ledger.commands import BurnAnswer, EarnAnswer, ReversalAnswer


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    telecom = replace(merchant("telecom"), validity=Validity(days=10))
    island = replace(merchant("island"), time_zone="Pacific/Auckland")
    await made.sync([telecom, merchant("retail"), merchant("fuel"), island])
    await made.enrol("ann")
    return made


async def earned(world: World, at: str, points: int) -> EarnAnswer:
    answer = done(await world.earn("ann", at, points))
    assert isinstance(answer, EarnAnswer)
    return answer


async def burned(
    world: World, points: int, *, at: str = "retail", hold_seconds: int | None = None
) -> BurnAnswer:
    answer = done(await world.burn("ann", at, points, hold_seconds=hold_seconds))
    assert isinstance(answer, BurnAnswer)
    return answer


async def reversed_earn(
    world: World, earn: EarnAnswer, points: int | None = None, *, amount: int | None = None
) -> ReversalAnswer:
    answer = done(await world.reverse_earn(earn, points, amount=amount))
    assert isinstance(answer, ReversalAnswer)
    return answer


# ---------------------------------------------------------------- expired is not spent


async def test_an_earn_that_expired_unspent_is_reversed_for_nothing(world: World) -> None:
    gone = await earned(world, "telecom", 100)
    world.pass_days(11)
    await earned(world, "telecom", 60)
    answer = await reversed_earn(world, gone)
    assert (answer.points, answer.legs, answer.owed, answer.available) == (0, (), 0, 60)
    assert await world.balance("ann") == Balance(60, 0, 0)
    again = await world.reverse_earn(gone)
    assert getattr(again, "code", None) == "already_reversed"
    assert await world.breaches() == []


@pytest.mark.parametrize("parts", [(80,), (30, 50), (50, 30), (1, 79), (40, 20, 20)])
async def test_what_expired_of_an_earn_counts_first_however_it_is_cut_up(
    world: World, parts: tuple[int, ...]
) -> None:
    earn = await earned(world, "telecom", 100)
    await burned(world, 60)
    world.pass_days(11)
    answers = [await reversed_earn(world, earn, part) for part in parts]
    # 40 expired; of the 60 that were spent, 40 are owed.
    assert sum(answer.owed for answer in answers) == 40
    assert await world.balance("ann") == Balance(0, 0, 40)
    rest = await reversed_earn(world, earn)
    assert (rest.points, rest.owed) == (20, 20)
    assert await world.breaches() == []


@pytest.mark.parametrize("parts", [(10_000,), (2_500, 7_500), (9_999, 1), (3_333, 3_333, 3_334)])
async def test_what_expired_counts_first_by_amount_too(
    world: World, parts: tuple[int, ...]
) -> None:
    earn = done(await world.earn("ann", "telecom", amount=10_000))
    assert isinstance(earn, EarnAnswer)
    await burned(world, 60)
    world.pass_days(11)
    for part in parts:
        await reversed_earn(world, earn, amount=part)
    assert await world.balance("ann") == Balance(0, 0, 60)


async def test_one_group_that_expires_an_earn_and_reverses_it_takes_nothing(world: World) -> None:
    earn = await earned(world, "telecom", 100)
    await earned(world, "retail", 5)
    world.pass_days(11)
    # No job came by: the reversal itself finds the day passed.
    answer = await reversed_earn(world, earn, 70)
    assert (answer.points, answer.owed) == (0, 0)
    assert (await reversed_earn(world, earn)).points == 0


# ---------------------------------------------------------------- what comes back pays first


async def test_a_void_pays_what_is_owed_to_the_origin_of_what_it_gives_back(world: World) -> None:
    earn = await earned(world, "telecom", 100)
    held = await burned(world, 100, hold_seconds=600)
    assert (await reversed_earn(world, earn)).owed == 100
    answer = done(await world.void(held))
    assert isinstance(answer, BurnAnswer)
    assert answer.available == 0
    assert await world.balance("ann") == Balance(0, 0, 0)
    assert await world.breaches() == []


async def test_a_hold_that_lapses_pays_what_is_owed(world: World) -> None:
    earn = await earned(world, "telecom", 100)
    await burned(world, 100, hold_seconds=600)
    await reversed_earn(world, earn, 30)
    world.pass_days(1)
    await world.expire()
    assert await world.balance("ann") == Balance(70, 0, 0)
    assert await world.breaches() == []


async def test_what_a_capture_leaves_pays_what_is_owed(world: World) -> None:
    earn = await earned(world, "telecom", 100)
    held = await burned(world, 100, hold_seconds=600)
    await reversed_earn(world, earn, 50)
    answer = done(await world.capture(held, 70))
    assert isinstance(answer, BurnAnswer)
    assert (answer.points, answer.available) == (70, 0)
    assert await world.balance("ann") == Balance(0, 0, 20)
    assert await world.breaches() == []


async def test_a_reversed_burn_pays_each_origin_what_is_owed_to_it_and_says_what_came_back(
    world: World,
) -> None:
    telecom, fuel = await earned(world, "telecom", 100), await earned(world, "fuel", 50)
    await earned(world, "retail", 10)
    burn = await burned(world, 160)
    await reversed_earn(world, telecom, 90)
    await reversed_earn(world, fuel)
    answer = done(await world.reverse_burn(burn))
    assert isinstance(answer, ReversalAnswer)
    assert (answer.points, sum(leg.points for leg in answer.legs)) == (160, 160)
    assert answer.available == 20
    assert await world.balance("ann") == Balance(20, 0, 0)
    assert await world.breaches() == []


async def test_points_pay_a_debt_in_a_later_window_as_a_correction_of_their_own(
    world: World,
) -> None:
    earn = await earned(world, "fuel", 100)
    burn = await burned(world, 100)
    await reversed_earn(world, earn)
    world.pass_days(35)
    await world.close()
    await world.reverse_burn(burn, 60)
    [*_, paid] = await world.legs("ann")
    assert (paid.kind, paid.points, paid.window, paid.about) == ("clawback", 60, 2, 1)
    assert await world.balance("ann") == Balance(0, 0, 40)
    assert await world.breaches() == []


# ---------------------------------------------------------------- how long they live


async def last_day(world: World) -> date | None:
    [lot] = await world.lots("ann")
    return lot.expires_on


async def test_points_whose_day_passed_while_held_live_their_days_after_others_came_back_first(
    world: World,
) -> None:
    await earned(world, "telecom", 20)
    world.pass_days(10)
    first = await burned(world, 10)
    held = await burned(world, 10, hold_seconds=30 * 86_400)
    world.pass_days(1)
    await world.reverse_burn(first)
    captured = done(await world.capture(held))
    assert isinstance(captured, BurnAnswer)
    # The till's day of the capture lies after the lot's first last day, and before the one it has.
    world.pass_days(20)
    await world.reverse_burn(captured)
    assert await last_day(world) == world.now.date() + timedelta(days=30)


async def test_a_till_whose_date_is_already_tomorrow_takes_no_day_away(world: World) -> None:
    await earned(world, "telecom", 20)
    world.pass_days(10)
    # 20:00 at the house is 01:00 of the next day at the island's till.
    world.now += timedelta(hours=8)
    early = await burned(world, 10, at="retail")
    ahead = await burned(world, 10, at="island")
    world.pass_days(1)
    await world.reverse_burn(early)
    world.pass_days(20)
    await world.reverse_burn(ahead)
    assert await last_day(world) == world.now.date() + timedelta(days=30)


async def test_a_late_burn_of_points_that_had_days_left_gains_none_by_its_reversal(
    world: World,
) -> None:
    await earned(world, "telecom", 20)
    world.pass_days(9)
    long_ago = world.now
    burn = await burned(world, 20)
    world.pass_days(5)
    await world.reverse_burn(burn)
    until = await last_day(world)
    assert until == world.now.date() + timedelta(days=30)
    late = done(await world.burn("ann", "retail", 20, on=long_ago))
    assert isinstance(late, BurnAnswer)
    world.pass_days(5)
    await world.reverse_burn(late)
    assert await last_day(world) == until


async def test_a_leg_from_before_its_last_day_was_kept_goes_by_its_lot(world: World) -> None:
    await earned(world, "telecom", 20)
    world.pass_days(9)
    burn = await burned(world, 20)
    await crowd.change(world.engine, "update leg set good_until = null")
    world.pass_days(5)
    await world.reverse_burn(burn)
    assert await last_day(world) == world.now.date() + timedelta(days=30)
