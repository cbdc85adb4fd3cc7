"""Who a key is: what is asked of the database, and what is remembered of a key that was right."""

import pytest
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
