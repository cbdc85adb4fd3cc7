"""Cards guessed by file, 34,000 a second: a row spent nothing of what a request spends.

Rows and requests now spend from one bucket, and whoever counts a key's unknown cards is told of
those in its files, and may have them rest.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.api.conftest import PEPPER, Serve, World
from tests.coalition.api.test_batches import NDJSON, ndjson
from tests.coalition.batches.test_posting import NOW, batch_when, is_done

from coalition.audit.actor import of_key
from coalition.batches import posting
from coalition.batches.service import BatchService
from coalition.batches.spool import Intake
from coalition.keys import store as key_store
from coalition.ledger.post import Ledger

PER_SECOND, ROWS = 40, 100
# A card number with a right check digit that nobody has.
NOBODYS = "9999999999999995"


async def test_rows_are_no_faster_than_requests_and_leave_them_room(serve: Serve) -> None:
    world: World = await serve(requests_per_second_max=PER_SECOND)
    till = world.till("telecom")
    # A card without points: an unknown one would have the file rest for that.
    card = await till.enrol()
    rows = ({"op": "burn", "key": f"k{n}", "card": card, "points": 1} for n in range(ROWS))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    answer = await till.send("/v1/batches", ndjson(*rows), **NDJSON)
    batch_id = UUID(hex=answer.json()["batch_id"].removeprefix("bat_"))
    await batch_when(world.engine, batch_id, lambda batch: batch.row_count > 0)
    assert (await till.get(f"/v1/batches/{answer.json()['batch_id']}")).status_code == 200
    batch = await batch_when(world.engine, batch_id, is_done)
    assert (batch.status, batch.refused) == ("done", ROWS)
    # One second's worth may come at once. However slow the machine is, it took no less.
    assert loop.time() - began_s >= (ROWS - PER_SECOND) / PER_SECOND


async def key_of(engine: AsyncEngine, code: str) -> str:
    async with engine.begin() as connection:
        made = await key_store.create(
            connection, pepper=PEPPER, merchant=code, scopes=["burn"], live=True, label="", now=NOW
        )
    return made.key_id


async def guessed(posts: BatchService, code: str, key_id: str | None) -> UUID:
    batch_id = uuid4()
    with posts.create(batch_id) as file:
        intake = Intake(file)
        rows = ({"op": "burn", "key": f"k{n}", "card": NOBODYS, "points": 1} for n in range(ROWS))
        intake.write(ndjson(*rows))
        merchant_id = posts.ledger.book.ids[code]
        scopes = frozenset({"burn"})
        actor = None if key_id is None else of_key(key_id)
        await posts.admit(batch_id, file, intake, "ndjson", merchant_id, scopes, actor)
    return batch_id


def counting(told: dict[str, int], free: int) -> Callable[[str, int], float]:
    """A key rests for an hour once it asked for more unknown cards than are free."""

    def note(key_id: str, count: int) -> float:
        told[key_id] = told.get(key_id, 0) + count
        return 3_600.0 if told[key_id] > free else 0.0

    return note


async def test_a_key_that_guesses_has_its_files_rest_and_no_other(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "GROUP_ROWS", 10)
    engine = ledger.engine
    told: dict[str, int] = {}
    posts = BatchService(ledger, tmp_path, lambda: NOW, note_unknown_cards=counting(told, 30))
    guesser, other = await key_of(engine, "telecom"), await key_of(engine, "retail")
    files = [await guessed(posts, "telecom", guesser) for _ in range(2)]
    await posts.start()
    await _rests(engine, files, told, guesser)
    told[other] = -1_000
    honest = await guessed(posts, "retail", other)
    house = await guessed(posts, "telecom", None)
    posts.wake()
    for one in (honest, house):
        assert (await batch_when(engine, one, is_done)).refused == ROWS
    await _rests(engine, files, told, guesser)
    assert told[guesser] <= 30 + 2 * 10, "a group more for each of two files at once"
    assert told.keys() == {guesser, other}, "the house's own act is nobody's guess"
    await posts.stop()
    for one in files:
        assert (await batch_when(engine, one, lambda _: True)).status == "running"


async def _rests(engine: AsyncEngine, files: list[UUID], told: dict[str, int], key_id: str) -> None:
    """Wait until the key has to rest, and all that was let through is recorded."""
    async with asyncio.timeout(60):
        while True:
            found = [await batch_when(engine, one, lambda _: True) for one in files]
            rows = sum(batch.row_count for batch in found)
            if told.get(key_id, 0) > 30 and rows == told[key_id]:
                return
            await asyncio.sleep(0.02)
