"""One merchant's large files keep another's small one waiting for as long as they take.

What is looked at is the order in which groups of rows are posted, never how long that takes.
"""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.batches.test_posting import NOW, WAIT_S, batch_when, cards, earns, is_done
from tests.world import HOUSE, merchant

from coalition.batches import posting, rota, service
from coalition.batches.rota import TURN_S, Rota
from coalition.batches.service import BatchService
from coalition.batches.spool import Intake
from coalition.batches.store import Batch
from coalition.clearing.service import ensure_first_window
from coalition.ledger.commands import Outcome, Refused, Request
from coalition.ledger.post import Ledger
from coalition.terms.store import sync

A, B, C = 1, 2, 3


def batch(merchant_id: int) -> Batch:
    return Batch(uuid4(), merchant_id, frozenset(), "ndjson", 0, "running", 0, 0, 0, 0, 0, 0, None)


def test_the_next_file_is_of_whom_was_served_least_recently() -> None:
    turns = Rota()
    first, second, other, third = batch(A), batch(A), batch(B), batch(C)
    assert turns.next_of([first, second, other]) is first, "the oldest, where nobody was served"
    turns.begin(first, 0)
    assert turns.next_of([second, other, third]) is other
    turns.begin(other, 1)
    turns.end(first, 2)
    turns.end(other, 3)
    assert turns.next_of([second, third]) is third
    turns.begin(third, 4)
    turns.end(third, 5)
    assert turns.next_of([batch(C), batch(B), second]) is second


def test_nobody_holds_two_places_while_another_waits() -> None:
    turns = Rota()
    first, second = batch(A), batch(A)
    turns.begin(first, 0)
    turns.begin(second, 0)
    assert not turns.must_give_way(second.batch_id, 100), "nobody waits"
    turns.note_waiting([batch(A)])
    assert not turns.must_give_way(second.batch_id, 100), "its own merchant waits"
    turns.note_waiting([batch(A), batch(B)])
    assert turns.must_give_way(second.batch_id, 0)
    assert not turns.must_give_way(first.batch_id, 0), "one place is enough for one who waits"


def test_each_has_its_turn_and_gives_way_to_a_third() -> None:
    turns = Rota()
    first, second = batch(A), batch(B)
    turns.begin(first, 0)
    turns.begin(second, 1)
    turns.note_waiting([batch(C)])
    assert not turns.must_give_way(first.batch_id, TURN_S / 2)
    assert turns.must_give_way(first.batch_id, TURN_S)
    assert not turns.must_give_way(second.batch_id, TURN_S + 1)


@pytest.fixture
async def ledger(engine: AsyncEngine) -> Ledger:
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [merchant("telecom"), merchant("retail")], NOW)
        await ensure_first_window(connection, HOUSE)
    ledger = Ledger(engine)
    await ledger.start()
    return ledger


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whose groups were posted, in order."""
    monkeypatch.setattr(posting, "GROUP_ROWS", 10)
    right = posting.post_rows
    posted: list[int] = []

    async def noted(ledger: Ledger, rows: list[Request | Refused]) -> list[Outcome]:
        posted.extend({row.merchant_id for row in rows if isinstance(row, Request)})
        return await right(ledger, rows)

    monkeypatch.setattr(posting, "post_rows", noted)
    return posted


async def admitted(posts: BatchService, code: str, rows: int) -> UUID:
    members = await cards(posts.ledger.engine, 5)
    batch_id = uuid4()
    with posts.create(batch_id) as file:
        intake = Intake(file)
        intake.write(
            earns(members, rows).replace(b'"key":"', b'"key":"%s-' % batch_id.hex.encode())
        )
        merchant_id = posts.ledger.book.ids[code]
        scopes: Any = frozenset({"earn"})
        await posts.admit(batch_id, file, intake, "ndjson", merchant_id, scopes, None)
    return batch_id


async def test_merchants_take_turns_group_by_group(
    ledger: Ledger, tmp_path: Path, order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCHES_AT_ONCE", 1)
    monkeypatch.setattr(rota, "TURN_S", 0.0)
    posts = BatchService(ledger, tmp_path, lambda: NOW)
    files = [await admitted(posts, "telecom", 60) for _ in range(3)]
    files.append(await admitted(posts, "retail", 60))
    await posts.start()
    for one in files:
        ended = await batch_when(ledger.engine, one, is_done)
        assert (ended.status, ended.posted) == ("done", 60)
    await posts.stop()
    telecom, retail = ledger.book.ids["telecom"], ledger.book.ids["retail"]
    assert order.count(retail) == 6
    assert order.index(retail) <= 2, order
    last = len(order) - 1 - order[::-1].index(retail)
    assert order[: last + 1].count(telecom) <= 7, order


async def test_a_merchant_that_comes_later_waits_for_no_file_of_another(
    ledger: Ledger, tmp_path: Path, order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    retail = ledger.book.ids["retail"]
    let, noted = asyncio.Semaphore(0), posting.post_rows

    async def let_one_by_one(ledger: Ledger, rows: list[Request | Refused]) -> list[Outcome]:
        if any(isinstance(row, Request) and row.merchant_id == retail for row in rows):
            return await noted(ledger, rows)
        async with asyncio.timeout(WAIT_S):
            await let.acquire()
        return await noted(ledger, rows)

    monkeypatch.setattr(posting, "post_rows", let_one_by_one)
    posts = BatchService(ledger, tmp_path, lambda: NOW)
    large = [await admitted(posts, "telecom", 1_500) for _ in range(3)]
    await posts.start()
    begun = 0
    while begun < 2:
        let.release()
        await asyncio.sleep(0.05)
        found = [await batch_when(ledger.engine, one, lambda _: True) for one in large]
        begun = sum(one.row_count > 0 for one in found)
    small = await admitted(posts, "retail", 10)
    posts.wake()
    # So many groups are not even half of the two files that are at work.
    for _ in range(100):
        let.release()
        await asyncio.sleep(0.1)
        if is_done(await batch_when(ledger.engine, small, lambda _: True)):
            break
    assert retail in order
    for _ in range(450):
        let.release()
    for one in large:
        ended = await batch_when(ledger.engine, one, is_done)
        assert (ended.status, ended.posted) == ("done", 1_500)
    await posts.stop()
