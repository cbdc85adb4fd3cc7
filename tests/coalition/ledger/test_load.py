"""Which lots are loaded for a burn: as many as it needs, and never too few."""

import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.earning.validity import Validity
from coalition.ledger import commands as ask
from coalition.ledger.connection import KeptConnection
from coalition.ledger.load import load
from coalition.ledger.state import Lot
from coalition.terms.terms import Terms

CODES = ["quick", "slow", "never"]


def _terms() -> Iterator[Terms]:
    for code, validity in zip(
        CODES, (Validity(days=5), Validity(days=60), Validity()), strict=True
    ):
        yield replace(merchant(code), validity=validity)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Ann has lots of 10 points, out of order: they expire on days 6 to 12, 61 to 63, and never."""
    world = World(engine)
    await world.sync(list(_terms()))
    await world.enrol("ann")
    for code in ("never", "slow", "quick", "quick", "slow", "quick"):
        await world.earn("ann", code, 10)
        world.pass_days(1)
    return world


async def _loaded(world: World, *points: int, take: ask.Take | None = None) -> list[date | None]:
    """Until when the lots are good that a group with such burns loads, in the order taken."""
    card = world.people["ann"].card
    burns = [ask.Burn(card, each, world.now, take or ask.Take()) for each in points]
    return await _loaded_by(world, *burns)


async def _loaded_by(world: World, *group: ask.Command) -> list[date | None]:
    return [lot.expires_on for lot in await loaded_by(world, *group)]


async def loaded_by(world: World, *group: ask.Command) -> list[Lot]:
    """The open lots of the one member that a group is about, as far as they are loaded."""
    kept = KeptConnection(world.engine)
    driver = await kept.driver()
    await driver.execute("begin")
    requests = [world.request(command, "slow") for command in group]
    state, _ = await load(driver, requests, world.ledger.book)
    await driver.execute("rollback")
    await kept.close()
    [member] = state.members.values()
    return member.lots_in_order()


async def test_a_burn_dated_before_lots_that_it_would_take_loads_all(world: World) -> None:
    every = [lot.expires_on for lot in await world.lots("ann")]
    card, on = world.people["ann"].card, world.now - timedelta(days=5)
    assert len(await _loaded_by(world, ask.Burn(card, 10, on))) == len(every)
    # Not where all that it takes was earned by then.
    assert len(await _loaded_by(world, ask.Burn(card, 10, world.now - timedelta(days=1)))) == 1
    outcome = done(await world.burn("ann", "slow", 20, on=on))
    assert isinstance(outcome, ask.BurnAnswer)
    assert [world.code(leg.origin_id) for leg in outcome.legs] == ["slow", "never"]


async def test_a_burn_loads_the_lots_that_it_takes_and_no_more(world: World) -> None:
    every = [lot.expires_on for lot in await world.lots("ann")]
    in_order = sorted(every, key=lambda day: day or date.max)
    assert None in every
    assert await _loaded(world, 1) == in_order[:1]
    assert await _loaded(world, 10) == in_order[:1]
    assert await _loaded(world, 11) == in_order[:2]
    assert await _loaded(world, 10, 5, 6) == in_order[:3]
    assert await _loaded(world, 60) == in_order
    assert await _loaded(world, 61) == in_order


async def test_a_burn_that_chooses_its_points_loads_every_open_lot(world: World) -> None:
    slow = world.ledger.book.ids["slow"]
    for take in (ask.Take("own_first"), ask.Take("only", only=slow), world.take("mix", mix={})):
        assert len(await _loaded(world, 1, take=take)) == 6


async def test_a_burn_that_empties_what_it_loaded_still_knows_when_the_rest_expires(
    world: World,
) -> None:
    [first, second] = await _loaded(world, 11)
    assert first is not None
    assert second is not None
    done(await world.burn("ann", "slow", 10))
    assert await world.breaches() == []
    world.pass_days((second - world.now.date()).days + 1)
    assert await world.expire() == (0, 10)
    assert await world.breaches() == []


async def test_a_hold_loads_every_open_lot(world: World) -> None:
    card = world.people["ann"].card
    held = ask.Burn(card, 1, world.now, hold_seconds=60)
    assert len(await _loaded_by(world, held)) == 6


async def test_an_earn_finds_what_has_lapsed_meanwhile(world: World) -> None:
    world.pass_days(20)
    done(await world.earn("ann", "never", 1))
    assert (await world.balance("ann")).available == 60 - 30 + 1
    assert await world.expire() == (0, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_burned_together_the_oldest_points_go_first(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    held: list[ask.BurnAnswer] = []
    for _ in range(12):
        group = _group(world, chance)
        for outcome in await world.ledger.post(group):
            if isinstance(outcome, ask.Done) and isinstance(outcome.answer, ask.BurnAnswer):
                held += [outcome.answer] if outcome.answer.status == "held" else []
        if held and chance.random() < 0.3:
            done(await world.void(held.pop()))
        world.now += timedelta(hours=chance.choice([1, 12, 36]))
        assert await world.breaches() == [], f"seed {seed}"
        assert not await _taken_out_of_order(world), f"seed {seed}"
    world.pass_days(70)
    await world.expire()
    assert await world.breaches() == [], f"seed {seed}"


def _group(world: World, chance: random.Random) -> list[ask.Request]:
    card = world.people["ann"].card
    commands: list[ask.Command] = []
    for _ in range(chance.randint(1, 4)):
        if chance.random() < 0.4:
            commands.append(ask.Earn(card, world.now, points=chance.randint(1, 15)))
        else:
            hold = 2_000_000 if chance.random() < 0.3 else None
            commands.append(ask.Burn(card, chance.randint(1, 25), world.now, hold_seconds=hold))
    return [world.request(command, chance.choice(CODES)) for command in commands]


async def _taken_out_of_order(world: World) -> list[str]:
    """Lots that lost points while one that expires before them, and was there, kept some."""
    async with world.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        rows = await driver.fetch(_OUT_OF_ORDER)
    return [str(tuple(row)) for row in rows]


# A leg of a redemption at which an older lot of the same member was open, had points then, and has
# more points now than it gave back since: it should have been taken first.
_OUT_OF_ORDER = """
select leg.lot_no, older.lot_no as passed_over, leg.posting_no
from leg join lot taken using (member_id, lot_no)
join lot older on older.member_id = leg.member_id and older.lot_no < leg.posting_no
    and (coalesce(older.expires_on, '9999-12-31'), older.earned_at, older.lot_no)
      < (coalesce(taken.expires_on, '9999-12-31'), taken.earned_at, taken.lot_no)
where leg.kind = 'redemption' and leg.points > 0
  -- A refund may have moved a day since.
  and taken.first_expires_on is null and older.first_expires_on is null
  and older.points > (select coalesce(sum(l.points), 0) from leg l where l.member_id = leg.member_id
                      and l.lot_no = older.lot_no and l.posting_no <= leg.posting_no)
"""
