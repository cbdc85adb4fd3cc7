"""The one door: what a group of commands does together, and what it survives."""

import asyncio
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, TELECOM, asked, burn, earn, key
from tests.owner import superuser
from tests.world import SEAL_KEY

from coalition import database
from coalition.clearing.service import close_due, close_window
from coalition.errors import CoalitionError, Code
from coalition.ledger import post
from coalition.ledger.commands import Done, EarnAnswer, Expire, Outcome, Refused, Request, Void
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.load import NoOpenWindowError
from coalition.ledger.post import ConnectionLostError, Ledger, SchemaChangedError
from coalition.terms.store import sync
from settlement.service import flip_due
from settlement.window import Calendar

PATIENT_MS = crowd.WAIT_S_MAX * 1_000
SESSIONS = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


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


def said(outcomes: list[Outcome]) -> list[str]:
    """Per outcome posted, replayed, or the code of the refusal."""
    return [
        each.code if isinstance(each, Refused) else "replayed" if each.replayed else "posted"
        for each in outcomes
    ]


async def test_commands_are_decided_in_order_and_each_by_itself(ledger: Ledger) -> None:
    outcomes = await ledger.post(
        [
            asked(burn(1, 10), RETAIL, key=key(1)),
            asked(earn(1, 10), key=key(2)),
            asked(burn(1, 10), RETAIL, key=key(3)),
            asked(burn(1, 1), RETAIL, key=key(4)),
            asked(earn(9, 10), key=key(5)),
        ]
    )
    assert said(outcomes) == [
        Code.INSUFFICIENT_POINTS, "posted", "posted", Code.INSUFFICIENT_POINTS, Code.UNKNOWN_CARD,
    ]  # fmt: skip
    await crowd.assert_sound(ledger.engine)


async def test_a_process_older_than_the_schema_says_that_it_has_to_be_started_again(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    assert said(await ledger.post([asked(earn(1, 10), key=key(1))])) == ["posted"]
    await crowd.change(outside, "alter table posting add column note text")
    with pytest.raises(SchemaChangedError, match="start this process again"):
        await ledger.post([asked(earn(1, 10), key=key(2))])
    # What was posted before is still read.
    assert await crowd.net_worth(outside) == {1: 10, 2: 0, 3: 0}


async def test_a_key_that_comes_twice_in_one_group_is_posted_once(ledger: Ledger) -> None:
    request = asked(earn(1, 10), key=key(1))
    outcomes = await ledger.post([request, request, asked(earn(1, 11), key=key(1), body=2)])
    assert said(outcomes) == ["posted", "replayed", Code.IDEMPOTENCY_KEY_REUSED]
    assert await crowd.net_worth(ledger.engine) == {1: 10, 2: 0, 3: 0}


async def test_a_refusal_leaves_its_key_unused(ledger: Ledger) -> None:
    request = asked(burn(1, 10), RETAIL, key=key(1))
    assert said(await ledger.post([request])) == [Code.INSUFFICIENT_POINTS]
    await ledger.post([asked(earn(1, 10))])
    assert said(await ledger.post([request])) == ["posted"]


async def test_nothing_at_all_may_be_posted(ledger: Ledger) -> None:
    assert await ledger.post([]) == []


async def test_what_the_database_refuses_does_not_fail_its_neighbours(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    await ledger.post([asked(earn(member_id, 10)) for member_id in (1, 2, 3)])
    # The next number of member 2 is in use, and only the database knows.
    await crowd.change(outside, "update account set last_no = 0 where member_id = 2")
    requests = [asked(earn(1 + n % 3, 1), key=key(n)) for n in range(12)]
    assert said(await ledger.post(requests)) == ["posted", Code.INTERNAL, "posted"] * 4
    assert await crowd.net_worth(outside) == {1: 14, 2: 10, 3: 14}
    await crowd.change(outside, "update account set last_no = 2 where member_id = 2")
    assert said(await ledger.post(requests)) == ["replayed", "posted", "replayed"] * 4
    await crowd.assert_sound(outside)


async def test_a_locked_account_holds_its_neighbours_up_for_less_than_two_waits(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where each search for the locked one waited as long, this group of 256 would wait nine times.
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", 1_500)
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS_MIN", 1)
    requests = [asked(earn(1 if n else 2, 1), key=key(n)) for n in range(256)]
    clock = asyncio.get_running_loop()
    async with outside.begin() as other:
        await crowd.lock_account(other, 2)
        began_s = clock.time()
        outcomes = await ledger.post(requests)
        waited_s = clock.time() - began_s
    assert said(outcomes) == [Code.BUSY, *["posted"] * 255]
    assert waited_s < 9


async def test_without_an_open_window_nothing_is_posted(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    await crowd.change(
        outside, "update settlement_window set status = 'closed', closed_at = closes_at"
    )
    with pytest.raises(NoOpenWindowError):
        await ledger.post([asked(earn(1, 10))])
    assert await crowd.value(outside, "select count(*) from posting") == 0


async def test_a_window_that_another_process_closed_is_noticed_with_the_next_posting(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    later = crowd.START.replace(month=2)
    await close_due(outside, later)
    (outcome,) = await ledger.post([asked(earn(1, 10, at=crowd.START), now=later)])
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, EarnAnswer)
    assert outcome.answer.window == "2017-02"
    assert await crowd.value(outside, "select about_window_id from lot") == 1


async def test_the_first_posting_falls_into_its_own_window_and_those_before_are_flipped_empty(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    later = crowd.START.replace(month=6, day=2)
    # One that is refused begins nothing.
    assert said(await ledger.post([asked(burn(1, 10), RETAIL, now=later)])) != ["posted"]
    assert await crowd.value(outside, "select count(*)::int from settlement_window") == 1
    (outcome,) = await ledger.post([asked(earn(1, 10, at=later), now=later)])
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, EarnAnswer)
    assert outcome.answer.window == "2017-06"
    empty = "select count(*)::int from settlement_window where status = 'closed'"
    assert await crowd.value(outside, empty) == 5
    assert await close_due(outside, later) == [f"2017-0{month}" for month in range(1, 6)]
    await crowd.assert_sound(outside)


async def test_the_window_of_the_first_posting_can_be_looked_at_before_the_empty_ones_are_netted(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    later = crowd.START.replace(month=6, day=2)
    asks = (earn(1, 10, at=later), TELECOM), (burn(1, 4, at=later), RETAIL)
    requests = [asked(command, by, now=later) for command, by in asks]
    assert said(await ledger.post(requests)) == ["posted", "posted"]
    shown = await close_window(outside, "2017-06", later, dry_run=True)
    await close_due(outside, later)
    assert await close_window(outside, "2017-06", later, dry_run=True) == shown
    assert [line.quantity for line in shown.paths if line.kind == "redemption"] == [4]


async def test_with_postings_in_a_window_before_that_is_not_netted_a_dry_run_has_to_wait(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    assert said(await ledger.post([asked(earn(1, 10))])) == ["posted"]
    later = crowd.START.replace(month=2, day=2)
    await flip_due(
        outside, Calendar(crowd.HOUSE.window_rule, ZoneInfo("UTC"), crowd.FIRST_DAY), later
    )
    with pytest.raises(CoalitionError, match="still being netted"):
        await close_window(outside, "2017-02", later, dry_run=True)


async def test_once_something_is_posted_a_late_close_takes_what_came_meanwhile(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    assert said(await ledger.post([asked(earn(1, 10))])) == ["posted"]
    other = Ledger(outside)
    await other.start()
    later = crowd.START.replace(month=6, day=2)
    (outcome,) = await other.post([asked(earn(1, 10, at=later), now=later)])
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, EarnAnswer)
    assert outcome.answer.window == "2017-01"


async def test_terms_that_another_process_synced_count_from_the_next_posting(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    assert said(await ledger.post([asked(earn(1, 10))])) == ["posted"]
    # The dates stay, so that nothing but the suspension changes.
    await crowd.change(
        outside,
        "update merchant set synced_at = synced_at + interval '1 day', suspended = true,"
        " terms = jsonb_set(terms, '{suspended}', 'true') where code = 'telecom'",
    )
    outcomes = await ledger.post([asked(earn(1, 10)), asked(earn(1, 10), RETAIL)])
    assert said(outcomes) == [Code.MERCHANT_SUSPENDED, "posted"]


async def test_a_merchant_that_joined_since_may_post(ledger: Ledger, outside: AsyncEngine) -> None:
    merchants = [crowd.terms(code) for code in ("telecom", "retail", "bakery")]
    async with outside.begin() as connection:
        await sync(connection, crowd.HOUSE, merchants, crowd.START.replace(day=11))
    assert said(await ledger.post([asked(earn(1, 10), 4)])) == ["posted"]


async def test_of_a_command_without_a_member_nothing_is_posted(ledger: Ledger) -> None:
    outcomes = await ledger.post([asked(Expire(99), 0), asked(Void(99, 1), key=key(1))])
    assert said(outcomes) == [Code.NOT_FOUND, Code.NOT_FOUND]


async def test_a_session_killed_before_its_commit_is_asked_again_and_posts_once(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    async with superuser(outside).connect() as other:
        await other.execute(text("lock table leg in share mode"))
        await ledger.post([asked(earn(1, 10))])
        posting = asyncio.create_task(ledger.post([asked(burn(1, 10), RETAIL, key=key(1))]))
        await crowd.somebody_waits(outside)
        # The burn's posting and lot are written, its legs are not.
        waiters = await other.scalar(
            text(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where wait_event_type = 'Lock' and datname = current_database()"
            )
        )
        assert waiters == 1
        await other.rollback()
    assert said(await posting) == ["posted"]
    assert await crowd.net_worth(outside) == {1: 0, 2: 0, 3: 0}
    await crowd.assert_sound(outside)


async def test_a_caller_that_is_cancelled_leaves_the_connection_clean(
    ledger: Ledger, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", PATIENT_MS)
    async with outside.begin() as other:
        await crowd.lock_account(other, 1)
        # More than the pool has, one after the other.
        for number in range(12):
            posting = asyncio.create_task(ledger.post([asked(earn(1, 10), key=key(number))]))
            await crowd.somebody_waits(outside)
            posting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await posting
    assert await crowd.value(outside, "select count(*) from posting") == 0
    assert said(await ledger.post([asked(earn(1, 10), key=key(0))])) == ["posted"]


async def test_killing_every_session_again_and_again_neither_loses_nor_doubles_a_posting(
    ledger: Ledger, outside: AsyncEngine
) -> None:
    door = GroupCommit(ledger, group_max=20, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    people = crowd.Crowd([door.post], crowd.Clock(), 3, seed=3)

    async def patient(request: Request) -> Outcome:
        """Ask again under the same key, as a till does, where the database stayed away."""
        while True:
            try:
                return await door.post(request)
            except ConnectionLostError:
                continue

    people.doors = [patient, patient]
    kills = 0

    async def kill_until_done(load: asyncio.Task[None]) -> None:
        nonlocal kills
        while not load.done():
            enough = people.done + 5
            kills += await crowd.value(outside, SESSIONS)

            async def moved(enough: int = enough) -> bool:
                return people.done > enough or load.done()

            await crowd.until(moved, "the crowd goes on after its sessions were killed")

    load = asyncio.create_task(people.run(clients=16, asks=20))
    await kill_until_done(load)
    await load
    await door.stop()
    assert kills > 10
    assert not door._in_flight
    worth = crowd.net_worth_of(list(people.answers.values()), range(1, 4))
    assert await crowd.net_worth(outside) == worth
    keyed = "select count(*) from posting where request_id is not null"
    assert await crowd.value(outside, keyed) == len(people.answers)
    await crowd.assert_sound(outside)
