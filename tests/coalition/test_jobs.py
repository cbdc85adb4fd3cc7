"""What runs by the clock happens once, however many schedulers wake it and however late."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, START, TELECOM, asked, burn, earn
from tests.world import SEAL_KEY

from coalition import database, jobs
from coalition.clearing.service import close_due
from coalition.earning.validity import Validity
from coalition.jobs import expire_due, run_jobs, void_stale
from coalition.ledger.commands import BurnAnswer, Done
from coalition.ledger.post import Ledger

TEN_DAYS = Validity(days=10)
LAST_GOOD_DAY = START + timedelta(days=10)
DAY_AFTER = START + timedelta(days=11)


@pytest.fixture
async def schedulers(engine: AsyncEngine, database_url: str) -> AsyncIterator[list[Ledger]]:
    """Two processes with the same jobs to do, and twelve members with points that lapse."""
    await crowd.found(engine, members=12, validity=TEN_DAYS)
    other = database.create_engine(database_url, SEAL_KEY)
    ledgers = [Ledger(engine), Ledger(other)]
    for ledger in ledgers:
        await ledger.start()
    yield ledgers
    await other.dispose()


async def hold(ledger: Ledger, member_id: int, points: int, seconds: int) -> int:
    (outcome,) = await ledger.post([asked(burn(member_id, points, hold_seconds=seconds), RETAIL)])
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, BurnAnswer)
    return outcome.answer.burn_no


async def test_points_expire_the_day_after_their_last_good_day(schedulers: list[Ledger]) -> None:
    ledger = schedulers[0]
    await ledger.post([asked(earn(1, 40)), asked(earn(2, 2), RETAIL), asked(burn(1, 10), RETAIL)])
    assert await expire_due(ledger, LAST_GOOD_DAY) == 0
    assert await expire_due(ledger, DAY_AFTER) == 32
    assert await expire_due(ledger, DAY_AFTER) == 0
    assert set((await crowd.net_worth(ledger.engine)).values()) == {0}
    await crowd.assert_sound(ledger.engine)


async def test_two_schedulers_expire_each_lot_once(
    schedulers: list[Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few a group that the two overtake each other.
    monkeypatch.setattr(jobs, "GROUP_SIZE", 2)
    ledger = schedulers[0]
    await ledger.post([asked(earn(member_id, member_id)) for member_id in range(1, 13)])
    expired = await asyncio.gather(*(expire_due(each, DAY_AFTER) for each in schedulers * 2))
    assert sum(expired) == sum(range(1, 13))
    assert await crowd.value(ledger.engine, "select count(*) from burn where kind='expiry'") == 12
    await crowd.assert_sound(ledger.engine)


async def test_progress_counts_every_member_once(
    schedulers: list[Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GROUP_SIZE", 5)
    await schedulers[0].post([asked(earn(member_id, 1)) for member_id in range(1, 13)])
    members: list[int] = []
    await expire_due(schedulers[0], DAY_AFTER, on_progress=members.append)
    assert members == [5, 5, 2]


async def test_a_hold_past_its_time_is_void_once_and_its_points_are_back(
    schedulers: list[Ledger],
) -> None:
    ledger = schedulers[0]
    await ledger.post([asked(earn(1, 40))])
    burn_no = await hold(ledger, 1, 30, seconds=60)
    assert await void_stale(ledger, START + timedelta(seconds=59)) == 0
    past = START + timedelta(seconds=60)
    voided = await asyncio.gather(*(void_stale(each, past) for each in schedulers))
    assert sum(voided) == 30
    assert await void_stale(ledger, past) == 0
    async with ledger.engine.connect() as connection:
        found = await connection.execute(
            text("select status::text, returned from burn where burn_no = :no"), {"no": burn_no}
        )
        assert found.one() == ("voided", 30)
    assert await crowd.value(ledger.engine, "select available from account where member_id=1") == 40
    await crowd.assert_sound(ledger.engine)


async def test_points_do_not_expire_while_they_are_held_and_come_back_with_days_to_live(
    schedulers: list[Ledger],
) -> None:
    ledger = schedulers[0]
    await ledger.post([asked(earn(1, 40))])
    await hold(ledger, 1, 30, seconds=30 * 86_400)
    assert await expire_due(ledger, DAY_AFTER) == 10
    late = START + timedelta(days=31)
    assert await void_stale(ledger, late) == 30
    assert await expire_due(ledger, late) == 0
    assert await expire_due(ledger, late + timedelta(days=31)) == 30
    await crowd.assert_sound(ledger.engine)


async def test_a_member_that_is_locked_is_left_to_the_next_run(
    schedulers: list[Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coalition.ledger.post.LOCK_TIMEOUT_MS", 100)
    ledger = schedulers[0]
    await ledger.post([asked(earn(member_id, 10)) for member_id in (1, 2, 3)])
    async with schedulers[1].engine.begin() as other:
        await crowd.lock_account(other, 2)
        assert await expire_due(ledger, DAY_AFTER) == 20
    assert await expire_due(ledger, DAY_AFTER) == 10


async def test_two_schedulers_close_each_due_window_once_and_a_late_one_catches_up(
    schedulers: list[Ledger],
) -> None:
    engines = [ledger.engine for ledger in schedulers]
    await schedulers[0].post([asked(earn(1, 40), TELECOM)])
    june = datetime(2017, 6, 2, tzinfo=UTC)
    closed = await asyncio.gather(*(close_due(engine, june) for engine in engines * 2))
    labels = sorted(label for each in closed for label in each)
    assert labels == ["2017-01", "2017-02", "2017-03", "2017-04", "2017-05"]
    assert await close_due(engines[0], june) == []
    netted = "select count(*) from settlement_window where netted_at is not null"
    assert await crowd.value(engines[0], netted) == 5
    opened = "select window_id from settlement_window where status = 'open'"
    assert await crowd.value(engines[0], opened) == 6
    await crowd.assert_sound(engines[0])


async def test_before_the_first_posting_the_job_closes_nothing(schedulers: list[Ledger]) -> None:
    ledger = schedulers[0]
    # By the wall clock the windows of ten years are due.
    await jobs._close(ledger)
    assert await crowd.value(ledger.engine, "select count(*)::int from settlement_window") == 1
    await ledger.post([asked(earn(1, 40))])
    await jobs._close(ledger)
    assert await crowd.value(ledger.engine, "select count(*)::int from settlement_window") > 100


async def test_a_closer_that_died_after_the_flip_is_made_good_by_the_next(
    schedulers: list[Ledger],
) -> None:
    engine = schedulers[0].engine
    await schedulers[0].post([asked(earn(1, 40), TELECOM)])
    march = datetime(2017, 3, 2, tzinfo=UTC)

    # The flip needs no path and the netting does: it ends there, as a killed process would.
    await crowd.change(engine, "alter table path rename to mislaid")
    with pytest.raises(asyncpg.UndefinedTableError):
        await close_due(engine, march)
    await crowd.change(engine, "alter table mislaid rename to path")
    closed = "select count(*) from settlement_window where status='closed' and netted_at is null"
    assert await crowd.value(engine, closed) == 2
    assert await close_due(engine, march) == ["2017-01", "2017-02"]
    issued = "select points::int from path where window_id = 1 and kind = 'issue'"
    assert await crowd.value(engine, issued) == 40
    await crowd.assert_sound(engine)


async def test_the_scheduler_runs_all_jobs_at_once_when_it_starts(
    schedulers: list[Ledger], tmp_path: Path
) -> None:
    engine = schedulers[0].engine
    # By the wall clock points and holds of 2017 are due, and this window since the other day.
    await crowd.change(
        engine,
        "update settlement_window set opens_at = now() - interval '50 days',"
        " closes_at = now() - interval '20 days'",
    )
    await schedulers[0].post([asked(earn(1, 40)), asked(earn(2, 40))])
    await hold(schedulers[0], 2, 30, seconds=60)
    running = [asyncio.create_task(run_jobs(ledger, anchors=tmp_path)) for ledger in schedulers]

    async def done() -> bool:
        expired = "select count(*) from burn where kind = 'expiry'"
        held = "select count(*) from burn where status = 'held'"
        due = (
            "select count(*) from settlement_window where netted_at is null and closes_at <= now()"
        )
        counted = [await crowd.value(engine, each) for each in (expired, held, due)]
        return counted == [2, 0, 0] and bool(os.listdir(tmp_path))

    await crowd.until(done, "points are expired, holds void, windows closed and an anchor written")
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await crowd.assert_sound(engine)


async def test_one_scheduler_sees_to_the_test_coalition_beside_the_live_one(
    schedulers: list[Ledger], another_database_url: str, tmp_path: Path
) -> None:
    sandbox = Ledger(database.create_engine(another_database_url, SEAL_KEY))
    await crowd.found(sandbox.engine, members=1)
    await sandbox.start()
    both = (schedulers[0], sandbox)
    for ledger in both:
        await crowd.change(
            ledger.engine,
            "update settlement_window set opens_at = now() - interval '50 days',"
            " closes_at = now() - interval '20 days'",
        )
        await ledger.post([asked(earn(1, 40))])
        await crowd.change(
            ledger.engine, "update member set enrolled_at = now() - interval '50 days'"
        )
    running = asyncio.create_task(run_jobs(*both, anchors=tmp_path, retention_days=30))

    async def done() -> bool:
        netted = "select count(*) from settlement_window where netted_at is not null"
        erased = "select count(*) from audit where action = 'member.erase'"
        asks = [(ledger.engine, what) for ledger in both for what in (netted, erased)]
        return all([await crowd.value(engine, what) for engine, what in asks])

    await crowd.until(done, "a window of each is closed, and who was silent in each is erased")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await crowd.assert_sound(sandbox.engine)
    await sandbox.engine.dispose()
