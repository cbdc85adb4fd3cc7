"""The queue in front of the ledger: bounded, fair to each request, and nothing lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import asyncpg
import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import asked, earn, key
from tests.world import SEAL_KEY

from coalition import database, logs
from coalition.errors import CoalitionError, Code
from coalition.ledger import group_commit, post
from coalition.ledger.commands import Done, Outcome, Refused
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger

PATIENT_MS = crowd.WAIT_S_MAX * 1_000


@pytest.fixture
async def ledger(engine: AsyncEngine) -> Ledger:
    await crowd.found(engine, members=3)
    ledger = Ledger(engine)
    await ledger.start()
    return ledger


@pytest.fixture
async def outside(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Somebody else's connections to the same database."""
    outside = database.create_engine(database_url, SEAL_KEY)
    yield outside
    await outside.dispose()


async def refusal(work: Coroutine[Any, Any, Outcome]) -> Code:
    with pytest.raises(CoalitionError) as raised:
        await work
    return raised.value.code


def forgot_all(door: GroupCommit) -> bool:
    """Whether nothing is left of any request: neither queued nor under way."""
    return not door.queued and not door._in_flight


async def test_requests_that_arrive_together_share_a_commit(ledger: Ledger) -> None:
    door = GroupCommit(ledger, writers=1)
    await door.start()
    outcomes = await asyncio.gather(
        *(door.post(asked(earn(1 + n % 3, 1), key=key(n))) for n in range(60))
    )
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert (door.groups, door.posted) == (1, 60)
    assert await crowd.net_worth(ledger.engine) == {1: 20, 2: 20, 3: 20}
    await door.stop()
    assert forgot_all(door)


async def test_a_group_is_never_larger_than_its_bound(ledger: Ledger) -> None:
    door = GroupCommit(ledger, writers=1, group_max=7)
    await door.start()
    await asyncio.gather(*(door.post(asked(earn(1, 1), key=key(n))) for n in range(50)))
    assert door.groups == 8
    await door.stop()


async def test_a_full_queue_is_busy_at_once_and_takes_again_when_it_is_empty(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    door = GroupCommit(ledger, queue_max=2, writers=1, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        waiting = await one_held_up_and_two_queued(door, outside)
        late = asyncio.create_task(refusal(door.post(asked(earn(3, 1), key=key(3)))))
        await asyncio.sleep(0)
        assert late.done(), "a full queue is no reason to wait"
        assert await late is Code.BUSY
    outcomes = await asyncio.gather(*waiting)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert isinstance(await door.post(asked(earn(3, 1), key=key(3))), Done)
    assert await crowd.net_worth(ledger.engine) == {1: 1, 2: 2, 3: 1}
    await door.stop()


async def one_held_up_and_two_queued(
    door: GroupCommit, outside: AsyncEngine
) -> list[asyncio.Task[Outcome]]:
    """Requests for member 1, whose account somebody has locked, and behind it two for member 2."""
    waiting = [asyncio.create_task(door.post(asked(earn(1, 1), key=key(0))))]
    await crowd.somebody_waits(outside)
    waiting += [asyncio.create_task(door.post(asked(earn(2, 1), key=key(n)))) for n in (1, 2)]
    await crowd.until(queued(door, 2), "two requests are queued")
    return waiting


def queued(door: GroupCommit, many: int) -> Any:
    async def holds() -> bool:
        return door.queued == many

    return holds


async def test_who_waits_too_long_is_busy_its_twin_in_flight_and_the_command_posted_once(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    door = GroupCommit(ledger, wait_s_max=0.2)
    await door.start()
    request = asked(earn(1, 5), key=key(1))
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        first, twin = await asyncio.gather(refusal(door.post(request)), refusal(door.post(request)))
        assert (first, twin) == (Code.BUSY, Code.IDEMPOTENCY_IN_FLIGHT)
        # The first one left; what it asked is still under way.
        assert await refusal(door.post(request)) is Code.IDEMPOTENCY_IN_FLIGHT
    await door.stop()
    assert forgot_all(door)
    patient = GroupCommit(ledger, wait_s_max=crowd.WAIT_S_MAX)
    await patient.start()
    again = await patient.post(request)
    assert isinstance(again, Done)
    assert again.replayed
    assert await crowd.net_worth(ledger.engine) == {1: 5, 2: 0, 3: 0}
    await patient.stop()


async def test_a_caller_that_leaves_neither_takes_its_command_back_nor_leaves_a_trace(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    door = GroupCommit(ledger, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        requests = [asked(earn(1 + n % 3, 5), key=key(n)) for n in range(9)]
        callers = [asyncio.create_task(door.post(request)) for request in requests]
        # Some leave while they wait for their twin.
        callers += [asyncio.create_task(door.post(request)) for request in requests]
        await crowd.somebody_waits(outside)
        for caller in callers:
            caller.cancel()
        left = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in left)
    await door.stop()
    assert forgot_all(door)
    again = await ledger.post(requests)
    assert [isinstance(each, Done) and each.replayed for each in again] == [True] * 9
    assert await crowd.net_worth(ledger.engine) == {1: 15, 2: 15, 3: 15}
    await crowd.assert_sound(ledger.engine)


@pytest.mark.parametrize("crowd_of", [2, 1_000], ids=["many wait", "one waits long"])
async def test_while_one_writer_is_held_up_the_next_helps(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch, crowd_of: int
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    door = GroupCommit(ledger, crowd=crowd_of, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        held_up = asyncio.create_task(door.post(asked(earn(1, 1), key=key(0))))
        await crowd.somebody_waits(outside)
        helped = await asyncio.gather(
            *(door.post(asked(earn(2, 1), key=key(n))) for n in range(1, 4))
        )
        assert all(isinstance(outcome, Done) for outcome in helped)
        assert not held_up.done()
    assert isinstance(await held_up, Done)
    assert await crowd.net_worth(ledger.engine) == {1: 1, 2: 3, 3: 0}
    await door.stop()
    assert forgot_all(door)


async def test_the_next_writer_leaves_a_few_requests_to_the_first(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    monkeypatch.setattr(group_commit, "LOOK_EVERY_S", crowd.WAIT_S_MAX)
    door = GroupCommit(ledger, crowd=5, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        waiting = await one_held_up_and_two_queued(door, outside)
        assert door.groups == 1
    assert all(isinstance(outcome, Done) for outcome in await asyncio.gather(*waiting))
    assert door.groups == 2
    await door.stop()


async def test_stop_posts_what_is_queued_and_refuses_what_comes_later(ledger: Ledger) -> None:
    door = GroupCommit(ledger, group_max=5, writers=2)
    await door.start()
    callers = [
        asyncio.create_task(door.post(asked(earn(1 + n % 3, 1), key=key(n)))) for n in range(60)
    ]
    await asyncio.sleep(0)
    assert door.queued == 60
    await door.stop()
    assert all(isinstance(each, Done) for each in await asyncio.gather(*callers))
    assert await refusal(door.post(asked(earn(1, 1), key=key(99)))) is Code.BUSY
    assert await crowd.net_worth(ledger.engine) == {1: 20, 2: 20, 3: 20}
    assert forgot_all(door)


async def test_a_door_that_was_stopped_can_be_started_again(ledger: Ledger) -> None:
    door = GroupCommit(ledger)
    for number in range(2):
        await door.start()
        assert isinstance(await door.post(asked(earn(1, 1), key=key(number))), Done)
        await door.stop()


async def test_a_failure_of_the_group_reaches_every_caller_and_the_next_group_is_posted(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    door = GroupCommit(ledger, writers=1)
    await door.start()
    requests = [asked(earn(1 + n % 3, 1), key=key(n)) for n in range(12)]
    await crowd.change(outside, "alter table lot rename to mislaid")
    failures = await asyncio.gather(*(door.post(each) for each in requests), return_exceptions=True)
    assert [type(each).__name__ for each in failures] == ["UndefinedTableError"] * 12
    assert forgot_all(door)
    await crowd.change(outside, "alter table mislaid rename to lot")
    assert await crowd.value(outside, "select count(*) from posting") == 0
    outcomes = await asyncio.gather(*(door.post(each) for each in requests))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    await door.stop()
    await crowd.assert_sound(outside)


async def test_an_outage_is_told_by_one_line_a_second_and_not_by_one_a_group(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LINE_EVERY_S", crowd.WAIT_S_MAX)
    door = GroupCommit(ledger, writers=1, group_max=1)
    await door.start()
    await crowd.change(outside, "alter table lot rename to mislaid")
    with structlog.testing.capture_logs() as lines:
        requests = [asked(earn(1, 1), key=key(n)) for n in range(12)]
        await asyncio.gather(*(door.post(each) for each in requests), return_exceptions=True)
    assert door.groups == 12
    assert [line["event"] for line in lines] == ["group_failed"]
    await door.stop()


async def test_a_twin_of_a_request_that_failed_is_tried_on_its_own(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    door = GroupCommit(ledger, writers=1, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    request = asked(earn(1, 5), key=key(1))
    await crowd.change(outside, "alter table lot rename to mislaid")
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        first = asyncio.create_task(door.post(request))
        await crowd.somebody_waits(outside)
        twins = [asyncio.create_task(door.post(request)) for _ in range(3)]
    with pytest.raises(asyncpg.UndefinedTableError):
        await first
    await asyncio.gather(*twins, return_exceptions=True)
    await crowd.change(outside, "alter table mislaid rename to lot")
    assert isinstance(await door.post(request), Done)
    await door.stop()
    assert forgot_all(door)
    assert await crowd.net_worth(outside) == {1: 5, 2: 0, 3: 0}


async def test_a_locked_account_is_busy_and_its_neighbours_are_posted(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", 200)
    door = GroupCommit(ledger, writers=1, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    requests = [asked(earn(1 + n % 3, 1), key=key(n)) for n in range(9)]
    async with outside.begin() as other:
        await crowd.lock_account(other, 2)
        outcomes = await asyncio.gather(*(door.post(each) for each in requests))
        refused = [each.code if isinstance(each, Refused) else None for each in outcomes]
        assert refused == [None, Code.BUSY, None] * 3
    again = await asyncio.gather(*(door.post(each) for each in requests))
    assert [isinstance(each, Done) and each.replayed for each in again] == [True, False, True] * 3
    await door.stop()
    await crowd.assert_sound(outside)
