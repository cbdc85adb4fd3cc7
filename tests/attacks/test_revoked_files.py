"""A stolen key sends a file of 250,000 rows and is revoked: the file went on posting to its end.

What a file may is looked at before each group of its rows, so the groups here are small, and a file
is stopped between two of them by what the test does at that moment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from tests.coalition.api.conftest import HOUSE, TERMS, World
from tests.coalition.api.test_batches import (
    assert_ledger_is_right,
    finished,
    ndjson,
    results,
    send,
    spooled,
)
from tests.coalition.api.test_codes import assert_problem
from tests.owner import owner

from coalition.batches import posting
from coalition.errors import Code
from coalition.keys import store as key_store
from coalition.ledger.commands import Outcome, Refused, Request
from coalition.ledger.post import Ledger
from coalition.terms.store import sync

ROWS, GROUP_ROWS = 400, 20


@pytest.fixture
def after_three_groups(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Has something done once, when the third group of a file is posted."""
    monkeypatch.setattr(posting, "GROUP_ROWS", GROUP_ROWS)
    right = posting.post_rows
    groups = 0

    def arrange(act: Callable[[], Awaitable[Any]]) -> None:
        async def acted(ledger: Ledger, rows: list[Request | Refused]) -> list[Outcome]:
            nonlocal groups
            groups += 1
            outcomes = await right(ledger, rows)
            if groups == 3:
                await act()
            return outcomes

        monkeypatch.setattr(posting, "post_rows", acted)

    return arrange


async def file_of(world: World, code: str = "telecom", rows: int = ROWS) -> bytes:
    card = await world.till(code).enrol()
    return ndjson(
        *({"op": "earn", "key": f"k{n}", "card": card, "amount": 10_000} for n in range(rows))
    )


async def assert_stopped(world: World, batch_id: str, words: str, folder: Path) -> None:
    await finished(world.till("house"), batch_id)
    async with asyncio.timeout(60):
        # Its group is recorded before the file is dropped.
        while True:
            if spooled(folder) == []:
                break
            await asyncio.sleep(0.02)
    view = await finished(world.till("house"), batch_id)
    assert view["status"] == "failed"
    assert words in view["reason"], view
    assert view["rows"] == view["posted"] == 3 * GROUP_ROWS, "what was posted stays, and is counted"
    assert len(await results(world.till("house"), batch_id)) == 3 * GROUP_ROWS
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from lot")) == 3 * GROUP_ROWS
    await assert_ledger_is_right(world)


async def test_a_revoked_keys_file_ends_with_the_group_that_is_being_posted(
    world: World, after_three_groups: Any, tmp_path: Path
) -> None:
    till = world.till("telecom")

    async def revoke() -> None:
        async with world.engine.begin() as connection:
            await key_store.revoke(connection, till.bearer, world.clock.now)

    after_three_groups(revoke)
    batch_id = await send(till, await file_of(world))
    await assert_stopped(world, batch_id, "not good any more", tmp_path)


async def test_a_file_ends_once_its_keys_last_day_is_past(
    world: World, after_three_groups: Any, tmp_path: Path
) -> None:
    till = world.till("telecom")

    async def let_the_day_pass() -> None:
        today = world.clock.now.date()
        async with world.engine.begin() as connection:
            await key_store.expire(connection, till.bearer, today, world.clock.now)
        world.clock.pass_(days=2)

    after_three_groups(let_the_day_pass)
    # Another key of its merchant's, and the house's, ask how it went.
    batch_id = await send(till, await file_of(world))
    await assert_stopped(world, batch_id, "not good any more", tmp_path)


async def test_a_file_whose_key_lost_its_scope_ends(
    world: World, after_three_groups: Any, tmp_path: Path
) -> None:
    async def narrow() -> None:
        async with owner(world.engine).begin() as connection:
            await connection.execute(text("update api_key set scopes = '{burn}'"))

    after_three_groups(narrow)
    batch_id = await send(world.till("telecom"), await file_of(world))
    await assert_stopped(world, batch_id, "lost the scope earn", tmp_path)


async def test_a_suspended_merchants_file_ends(
    world: World, after_three_groups: Any, tmp_path: Path
) -> None:
    async def suspend() -> None:
        terms = [one if one.code != "telecom" else replace(one, suspended=True) for one in TERMS]
        async with world.engine.begin() as connection:
            await sync(connection, HOUSE, terms, world.clock.now)

    after_three_groups(suspend)
    batch_id = await send(world.till("telecom"), await file_of(world))
    await assert_stopped(world, batch_id, "telecom is suspended", tmp_path)


async def test_a_file_is_cancelled_for_good_and_once(
    world: World, after_three_groups: Any, tmp_path: Path
) -> None:
    till, house = world.till("telecom"), world.till("house")
    answers = []
    batch_id = ""

    async def cancel() -> None:
        for one in (till, till, house):
            answers.append(await one.post(f"/v1/batches/{batch_id}/cancel", key=None))

    after_three_groups(cancel)
    file = await file_of(world)
    batch_id = await send(till, file)
    await assert_stopped(world, batch_id, "cancelled", tmp_path)
    assert [answer.status_code for answer in answers] == [200] * 3
    for answer in answers:
        view = answer.json()
        assert (view["status"], view["reason"]) == ("failed", "cancelled")
    again = await finished(till, await send(till, file))
    assert (again["status"], again["replayed"], again["rows"]) == ("done", 3 * GROUP_ROWS, ROWS)


async def test_a_file_that_waits_is_cancelled_and_leaves_the_disk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coalition.batches.service.BATCHES_AT_ONCE", 0)
    till = world.till("telecom")
    batch_id = await send(till, await file_of(world))
    assert len(spooled(tmp_path)) == 1
    view = (await till.post(f"/v1/batches/{batch_id}/cancel")).json()
    assert (view["status"], view["reason"], view["rows"]) == ("failed", "cancelled", 0)
    assert spooled(tmp_path) == []


async def test_only_its_merchant_and_the_house_cancel_a_file_and_a_done_one_stays_done(
    world: World,
) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    batch_id = await send(telecom, await file_of(world, rows=3))
    await finished(telecom, batch_id)
    path = f"/v1/batches/{batch_id}/cancel"
    assert_problem(await retail.post(path), Code.NOT_FOUND)
    members = await world.key("telecom", "members")
    headers = {"Authorization": f"Bearer {members}"}
    assert_problem(await world.client.post(path, headers=headers), Code.SCOPE_MISSING)
    assert (await telecom.post(path)).json()["status"] == "done"
