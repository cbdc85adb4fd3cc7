"""What a member may spend on one day: whose day it is, what counts, and what does not."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner
from tests.world import FIRST_DAY, HOUSE, World, done, merchant, noon

from coalition import migrations
from coalition.errors import Code
from coalition.ledger.commands import Burn, BurnAnswer, Command, Done, Outcome, Refused, Transfer
from coalition.ledger.limits import spent_on
from coalition.ledger.post import Ledger
from coalition.ledger.state import Account
from coalition.verify import verify

A_DAY_MAX = 100
# In Auckland it is tomorrow when it is noon in Shanghai's summer and evening.
FAR_EAST = "Pacific/Auckland"


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    limited = replace(merchant("retail"), points_per_member_per_day_max=A_DAY_MAX)
    await made.sync([replace(limited, time_zone=FAR_EAST), merchant("telecom")])
    await made.enrol("ann")
    await made.enrol("bob")
    done(await made.earn("ann", "telecom", 1_000))
    return made


def code(outcome: Outcome) -> Code | None:
    return outcome.code if isinstance(outcome, Refused) else None


async def spend(world: World, points: int, at: str = "retail") -> Code | None:
    return code(await world.burn("ann", at, points))


async def test_all_that_one_group_takes_counts_together(world: World) -> None:
    ann, bob = world.people["ann"], world.people["bob"]
    commands: list[Command] = [
        Burn(ann.card, 40, world.now),
        Transfer(ann.card, bob.card, 40),
        Burn(ann.card, 30, world.now, hold_seconds=60),
        Burn(ann.card, 20, world.now),
        Transfer(ann.card, bob.card, 1),
    ]
    outcomes = await world.ledger.post([world.request(each, "retail") for each in commands])
    assert [code(each) for each in outcomes] == [
        None, None, Code.LIMIT_REACHED, None, Code.LIMIT_REACHED,
    ]  # fmt: skip
    assert await world.breaches() == []


async def test_a_merchants_limit_binds_who_asks_there_and_counts_what_went_elsewhere(
    world: World,
) -> None:
    assert await spend(world, 99, "telecom") is None
    assert await spend(world, 2) is Code.LIMIT_REACHED
    assert await spend(world, 500, "telecom") is None
    assert await spend(world, 1) is Code.LIMIT_REACHED


async def test_the_day_is_the_houses_and_not_the_tills(world: World) -> None:
    world.now = noon(FIRST_DAY) + timedelta(hours=6)
    assert await spend(world, 100) is None
    # Midnight has come in Auckland, and not yet in Shanghai.
    world.now += timedelta(hours=5, minutes=59)
    assert await spend(world, 1) is Code.LIMIT_REACHED
    world.now += timedelta(minutes=1)
    assert await spend(world, 100) is None
    assert await world.breaches() == []


async def test_two_clocks_that_differ_at_midnight_do_not_make_the_day_new(world: World) -> None:
    midnight = noon(FIRST_DAY) + timedelta(hours=12)
    ahead, behind = midnight + timedelta(seconds=1), midnight - timedelta(seconds=1)
    taken = []
    for now in [ahead, behind] * 3:
        world.now = now
        taken.append(await spend(world, 60))
    assert taken == [None, *[Code.LIMIT_REACHED] * 5]
    assert await world.breaches() == []


async def test_a_clock_that_was_a_year_ahead_does_not_stop_the_member_for_a_year(
    world: World,
) -> None:
    world.pass_days(360)
    assert await spend(world, 100) is None
    world.pass_days(-360)
    assert await spend(world, 100) is None
    assert await spend(world, 1) is Code.LIMIT_REACHED
    assert await world.breaches() == []


def test_what_was_spent_before_today_does_not_count() -> None:
    account = Account(1, 0, 0, 0, 9, None, date(2026, 3, 5), 70, 4)
    days = [date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 6)]
    assert [spent_on(account, day) for day in days] == [0, 70, 70, 0]
    assert spent_on(Account(1, 0, 0, 0, 9, None), days[0]) == 0


async def test_what_a_refused_burn_would_have_spent_does_not_count(world: World) -> None:
    assert code(await world.burn("ann", "telecom", 5_000)) is Code.INSUFFICIENT_POINTS
    assert await spend(world, 100) is None


async def test_neither_lapsing_nor_taking_an_earn_back_is_spending(world: World) -> None:
    earned = done(await world.earn("ann", "telecom", 50))
    await world.reverse_earn(earned)  # type: ignore[arg-type]
    await world.lapse("ann")
    assert await spend(world, 100) is None
    assert await world.breaches() == []


async def test_a_replay_is_answered_whatever_was_spent_since(world: World) -> None:
    request = world.request(Burn(world.people["ann"].card, 60, world.now), "retail")
    first = done((await world.ledger.post([request]))[0])
    assert await spend(world, 40) is None
    assert await world.ledger.post([request]) == [Done(first, replayed=True)]
    assert await world.breaches() == []


async def test_history_that_is_imported_spends_nothing(engine: AsyncEngine) -> None:
    world = World(engine)
    await world.sync([merchant("telecom")], replace(HOUSE, points_per_member_per_day_max=A_DAY_MAX))
    await world.enrol("ann")
    importing = World(engine)
    importing.ledger, importing.people = Ledger(engine, imports=True), world.people
    await importing.ledger.start()
    done(await importing.earn("ann", "telecom", 1_000))
    for _ in range(3):
        importing._keys += 10
        assert isinstance(done(await importing.burn("ann", "telecom", 90)), BurnAnswer)
    world._keys = 1_000
    assert await spend(world, 100, "telecom") is None
    assert await spend(world, 1, "telecom") is Code.LIMIT_REACHED
    assert await world.breaches() == []


async def test_the_migration_lets_keys_that_burn_transfer_and_counts_from_then_on(
    world: World,
) -> None:
    script = Path(migrations.__file__).parent / "versions" / "0012_limits.sql"
    done(await world.burn("ann", "telecom", 70))
    async with owner(world.engine).begin() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        for column in ("spent_on", "spent_points", "spent_after_no"):
            await driver.execute(f"alter table account drop column {column}")
        await driver.execute("drop table pin")
        await driver.execute("alter table api_key drop constraint api_key_scopes_check")
        await driver.execute("alter table api_key add constraint api_key_scopes_check check (true)")
        for key_id, scopes in (("a" * 12, "{earn,burn}"), ("b" * 12, "{members}")):
            await connection.execute(
                text(
                    "insert into api_key (key_id, merchant_id, slot, is_live, scopes, secret_hmac,"
                    " created_at) values (:key_id, 2, :slot, true, cast(:scopes as text[]),"
                    " decode(repeat('00', 32), 'hex'), now())"
                ),
                {"key_id": key_id, "scopes": scopes.strip("{}").split(","),
                 "slot": 1 + (key_id[0] == "b")},
            )  # fmt: skip
        await driver.execute(script.read_text(encoding="utf-8"))
        rows = await connection.execute(text("select scopes from api_key order by key_id"))
        assert [row[0] for row in rows] == [["earn", "burn", "transfer"], ["members"]]
        spent = await connection.execute(text("select spent_on, spent_points from account"))
        assert {tuple(row) for row in spent} == {(None, 0)}
        assert await verify(connection) == []
