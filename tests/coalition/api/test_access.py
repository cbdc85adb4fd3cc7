"""Who a key is: what is asked of the database, and what is remembered of a key that was right."""

from datetime import datetime

import pytest
from sqlalchemy import text
from tests.coalition.api.conftest import PEPPER, World
from tests.world import SEAL_KEY

from coalition import database
from coalition.edge.access import Access
from coalition.errors import CoalitionError, Code
from coalition.keys import store as key_store


async def test_a_mistyped_key_is_refused_without_a_look_up() -> None:
    nowhere = database.create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", SEAL_KEY)
    access = Access(nowhere, PEPPER, 0)
    with pytest.raises(CoalitionError) as refused:
        await access.authenticate("Bearer coal_live_0123456789AB_mistyped")
    assert refused.value.code is Code.UNAUTHENTICATED
    await nowhere.dispose()


async def test_one_key_is_remembered_once_however_it_is_spaced(world: World) -> None:
    access = Access(world.engine, PEPPER, 0)
    for spaces in range(1, 20):
        spelt = "Bearer" + " " * spaces + world.keys["telecom"]
        assert (await access.authenticate(spelt)).code == "telecom"
    assert len(access._proved) == 1


async def test_a_key_that_was_right_is_looked_up_again_when_its_time_is_over(world: World) -> None:
    now_s = 100.0
    access = Access(world.engine, PEPPER, 0, lambda: now_s)
    authorization = f"Bearer {world.keys['telecom']}"
    await access.authenticate(authorization)
    async with world.engine.begin() as connection:
        parsed = world.keys["telecom"].split("_")[2]
        await key_store.revoke(connection, parsed, world.clock.now)
    # Known for a while, and then no longer.
    assert (await access.authenticate(authorization)).code == "telecom"
    now_s += 2.0
    with pytest.raises(CoalitionError) as refused:
        await access.authenticate(authorization)
    assert refused.value.code is Code.UNAUTHENTICATED


async def _used_at(world: World, code: str) -> datetime | None:
    async with world.engine.connect() as connection:
        found: datetime | None = await connection.scalar(
            text(
                "select last_used_at from api_key join merchant using (merchant_id)"
                " where code = :code"
            ),
            {"code": code},
        )
        return found


async def test_when_a_key_was_used_is_written_in_the_background_once_a_minute(
    world: World,
) -> None:
    now_s = 100.0
    access = Access(world.engine, PEPPER, 0, lambda: now_s, world.clock)

    async def use_after(seconds: int) -> datetime | None:
        nonlocal now_s
        now_s += seconds
        world.clock.pass_(seconds=seconds)
        await access.authenticate(f"Bearer {world.keys['telecom']}")
        await access.note_uses()
        return await _used_at(world, "telecom")

    first = world.clock.now
    await access.authenticate(f"Bearer {world.keys['telecom']}")
    assert await _used_at(world, "telecom") is None
    assert await use_after(0) == first
    assert await use_after(30) == first
    assert await use_after(30) == world.clock.now
    # Not by whoever only names it.
    assert await _used_at(world, "retail") is None


async def test_a_use_that_could_not_be_written_is_written_later(world: World) -> None:
    nowhere = database.create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", SEAL_KEY)
    access = Access(world.engine, PEPPER, 0, clock=world.clock)
    await access.authenticate(f"Bearer {world.keys['telecom']}")
    access._engine = nowhere
    with pytest.raises(OSError, match="1"):
        await access.note_uses()
    access._engine = world.engine
    await access.note_uses()
    assert await _used_at(world, "telecom") == world.clock.now
    await nowhere.dispose()
