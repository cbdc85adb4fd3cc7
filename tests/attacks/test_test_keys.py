"""A developer's coal_test_ key, in a till's code or on a laptop, moves real points.

A test key works on a test coalition or nowhere: it sees and moves no live point, whatever the live
database says of it, and a live key no test point.
"""

import pytest
from tests.coalition.api.conftest import PEPPER, Till, World

from coalition.keys import store as key_store
from coalition.keys.key import mint


async def _test_key_of_before(world: World, merchant: str) -> str:
    """A test key in the live database, as they were made before."""
    async with world.engine.begin() as connection:
        made = await key_store.create(
            connection,
            pepper=PEPPER,
            merchant=merchant,
            scopes=["earn", "burn", "members", "statements"],
            live=False,
            label="",
            now=world.clock.now,
        )
    return made.text


@pytest.mark.parametrize("is_known", [True, False])
async def test_without_a_test_coalition_a_test_key_is_refused_and_told_why(
    world: World, is_known: bool
) -> None:
    live = world.till("telecom")
    card = await live.enrol()
    await live.earn(card, 100)
    key = await _test_key_of_before(world, "telecom") if is_known else mint(live=False).text
    test, before = Till(world.client, key), await world.rows()
    for answer in (
        await test.post("/v1/earns", {"card": card, "points": 5}),
        await test.post("/v1/burns", {"card": card, "points": 5}),
        await test.send("/v1/batches", b"{}", **{"Content-Type": "application/x-ndjson"}),
        await test.get(f"/v1/cards/{card}"),
        await test.post(f"/v1/cards/{card}/block"),
        await test.get("/v1/windows"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert "no test coalition" in answer.json()["detail"]
    assert await world.rows() == before
