"""Many clients at once on the real database, with real commits: every answer fits the ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, TELECOM, asked, burn, card, earn, key
from tests.owner import owner
from tests.world import SEAL_KEY

from coalition import database
from coalition.clearing.service import close_due
from coalition.errors import Code
from coalition.ledger import post
from coalition.ledger.commands import Capture, Done, Outcome, Refused, Request, Transfer, Void
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger

MEMBERS = 8
CLIENTS = 32
# Month by month, so that each is past the end of one more window.
CLOSES_AT = [datetime(2017, month, 3, tzinfo=UTC) for month in (2, 3, 4, 5)]


@asynccontextmanager
async def server_process(url: str) -> AsyncIterator[GroupCommit]:
    """What one server process has: connections, a book and a queue of its own."""
    engine = database.create_engine(url, SEAL_KEY)
    ledger = Ledger(engine)
    await ledger.start()
    door = GroupCommit(ledger, group_max=50, wait_s_max=crowd.WAIT_S_MAX)
    await door.start()
    try:
        yield door
    finally:
        await door.stop()
        await engine.dispose()


async def all_answered(doors: list[GroupCommit], requests: list[Request]) -> list[Outcome]:
    """Ask all at once, every second one at the other server process."""
    asks = (doors[place % len(doors)].post(request) for place, request in enumerate(requests))
    return list(await asyncio.gather(*asks))


def codes(outcomes: list[Outcome]) -> list[Code]:
    return [outcome.code for outcome in outcomes if isinstance(outcome, Refused)]


async def test_what_a_crowd_was_answered_is_what_the_ledger_holds(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=MEMBERS)
    clock = crowd.Clock()
    closed: list[str] = []
    async with server_process(database_url) as one, server_process(database_url) as two:
        people = crowd.Crowd([one.post, two.post], clock, MEMBERS, seed=1)
        asks = 24

        async def close_now_and_then() -> None:
            for part, now in enumerate(CLOSES_AT, start=1):

                async def is_far(part: int = part) -> bool:
                    return people.done >= part * CLIENTS * asks // (len(CLOSES_AT) + 1)

                await crowd.until(is_far, f"the crowd has asked {part} fifths of its questions")
                clock.now = now
                for labels in await asyncio.gather(*(close_due(engine, now) for _ in range(2))):
                    closed.extend(labels)

        await asyncio.gather(people.run(CLIENTS, asks), close_now_and_then())
    assert closed == ["2017-01", "2017-02", "2017-03", "2017-04"]
    assert set(people.refused) <= {
        Code.INSUFFICIENT_POINTS, Code.NOT_HELD, Code.ALREADY_REVERSED, Code.INVALID,
    }  # fmt: skip
    worth = crowd.net_worth_of(list(people.answers.values()), range(1, MEMBERS + 1))
    assert await crowd.net_worth(engine) == worth
    keyed = "select count(*) from posting where request_id is not null"
    assert await crowd.value(engine, keyed) == len(people.answers)
    await crowd.assert_sound(engine)
    await engine.dispose()
    # Two groups never wait in a circle: there was nothing to be repeated.
    assert await crowd.value(engine, DEADLOCKS) == 0


DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


async def test_every_answer_of_a_crowd_is_answered_again_in_another_process(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=MEMBERS)
    async with server_process(database_url) as one, server_process(database_url) as two:
        people = crowd.Crowd([one.post, two.post], crowd.Clock(), MEMBERS, seed=2)
        await people.run(CLIENTS, 10)
    ledger = Ledger(engine)
    await ledger.start()
    keys = list(people.answers)
    outcomes = await ledger.post([people.requests[each] for each in keys])
    assert outcomes == [Done(people.answers[each], replayed=True) for each in keys]


@pytest.mark.parametrize("processes", [1, 2])
async def test_the_same_key_twenty_times_at_once_has_one_effect_and_one_answer(
    engine: AsyncEngine, database_url: str, processes: int
) -> None:
    await crowd.found(engine, members=1)
    request = asked(earn(1, 100), key=key(1))
    async with server_process(database_url) as one, server_process(database_url) as two:
        outcomes = await all_answered([one, two][:processes], [request] * 20)
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    assert len(done) == 20
    assert sum(not outcome.replayed for outcome in done) == 1
    assert len({outcome.answer for outcome in done}) == 1
    assert await crowd.net_worth(engine) == {1: 100}
    await crowd.assert_sound(engine)


@pytest.mark.parametrize("processes", [1, 2])
async def test_of_twenty_bodies_under_one_key_exactly_one_is_posted(
    engine: AsyncEngine, database_url: str, processes: int
) -> None:
    # Each for a member of its own, so that no account's lock puts them in order.
    await crowd.found(engine, members=20)
    requests = [asked(earn(n, n), key=key(1), body=n) for n in range(1, 21)]
    async with server_process(database_url) as one, server_process(database_url) as two:
        outcomes = await all_answered([one, two][:processes], requests)
    assert codes(outcomes) == [Code.IDEMPOTENCY_KEY_REUSED] * 19
    assert await crowd.value(engine, "select count(*) from posting") == 1
    await crowd.assert_sound(engine)


async def test_of_two_captures_at_once_one_wins_and_the_other_is_not_held(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=1)
    async with server_process(database_url) as one, server_process(database_url) as two:
        await one.post(asked(earn(1, 100)))
        for number in range(1, 11):
            hold = await one.post(asked(burn(1, 10, hold_seconds=60), key=key(number)))
            assert isinstance(hold, Done)
            held = getattr(hold.answer, "burn_no", 0)
            captures = [
                asked(Capture(1, held), key=key(1_000 + number)),
                asked(Capture(1, held), key=key(2_000 + number)),
            ]
            assert codes(await all_answered([one, two], captures)) == [Code.NOT_HELD]
    assert await crowd.net_worth(engine) == {1: 0}
    await crowd.assert_sound(engine)


async def test_a_capture_and_a_void_at_once_never_both_happen(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=1)
    captured = 0
    async with server_process(database_url) as one, server_process(database_url) as two:
        await one.post(asked(earn(1, 100)))
        for number in range(1, 11):
            hold = await one.post(asked(burn(1, 10, hold_seconds=60), key=key(number)))
            assert isinstance(hold, Done)
            held = getattr(hold.answer, "burn_no", 0)
            outcomes = await all_answered(
                [one, two],
                [
                    asked(Capture(1, held), key=key(1_000 + number)),
                    asked(Void(1, held), key=key(2_000 + number)),
                ],
            )
            assert codes(outcomes) == [Code.NOT_HELD]
            captured += isinstance(outcomes[0], Done)
    assert await crowd.net_worth(engine) == {1: 100 - 10 * captured}
    await crowd.assert_sound(engine)


async def test_the_last_points_are_burned_once_however_many_ask(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=1)
    async with server_process(database_url) as one, server_process(database_url) as two:
        await one.post(asked(earn(1, 100)))
        burns = [asked(burn(1, 30), RETAIL, key=key(number)) for number in range(32)]
        outcomes = await all_answered([one, two], burns)
    assert codes(outcomes) == [Code.INSUFFICIENT_POINTS] * 29
    assert await crowd.net_worth(engine) == {1: 10}
    await crowd.assert_sound(engine)


async def test_opposing_transfers_at_once_neither_lose_points_nor_wait_in_a_circle(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=2)
    async with server_process(database_url) as one, server_process(database_url) as two:
        await all_answered([one, two], [asked(earn(member_id, 1_000)) for member_id in (1, 2)])
        transfers = [
            asked(Transfer(card(1 + n % 2), card(2 - n % 2), 1 + n % 2), TELECOM, key=key(n))
            for n in range(64)
        ]
        # Two by two, so that the two processes meet as often as they can.
        outcomes = [
            outcome
            for n in range(0, 64, 2)
            for outcome in await all_answered([one, two], transfers[n : n + 2])
        ]
    assert codes(outcomes) == []
    assert await crowd.net_worth(engine) == {1: 1_032, 2: 968}
    await crowd.assert_sound(engine)
    await engine.dispose()
    assert await crowd.value(engine, DEADLOCKS) == 0


async def test_accounts_are_locked_in_the_order_of_member_id(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", crowd.WAIT_S_MAX * 1_000)
    await crowd.found(engine, members=9)
    # Rewritten, the row of member 1 lies behind all others in its table.
    await crowd.change(engine, "update account set expires_next_on = null where member_id = 1")
    async with server_process(database_url) as one:
        async with engine.begin() as other:
            await crowd.lock_account(other, 1)
            ledger = Ledger(engine)
            await ledger.start()
            requests = [asked(earn(member_id, 5)) for member_id in range(9, 0, -1)]
            group = asyncio.create_task(ledger.post(requests))
            await crowd.somebody_waits(engine)
            # Whoever waits for member 1 must not hold a later one meanwhile.
            for member_id in range(2, 10):
                outcome = await one.post(asked(earn(member_id, 7)))
                assert isinstance(outcome, Done)
        assert codes(await group) == []
    assert await crowd.net_worth(engine) == {1: 5} | dict.fromkeys(range(2, 10), 12)


async def test_a_close_waits_for_a_posting_in_flight_and_counts_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", crowd.WAIT_S_MAX * 1_000)
    await crowd.found(engine, members=1)
    ledger = Ledger(engine)
    await ledger.start()
    async with owner(engine).begin() as other:
        # The posting has its window by now and cannot write yet.
        await other.execute(text("lock table posting in share mode"))
        posting = asyncio.create_task(ledger.post([asked(earn(1, 5))]))
        await crowd.somebody_waits(engine)
        closing = asyncio.create_task(close_due(engine, CLOSES_AT[0]))
        await crowd.somebody_waits(engine, 2)
        assert not closing.done()
    outcome = (await posting)[0]
    assert isinstance(outcome, Done)
    assert getattr(outcome.answer, "window", "") == "2017-01"
    assert await closing == ["2017-01"]
    issued = "select points::int from path where window_id = 1 and kind = 'issue'"
    assert await crowd.value(engine, issued) == 5
    await crowd.assert_sound(engine)


async def test_a_posting_that_waited_for_a_close_goes_into_the_next_window(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "LOCK_TIMEOUT_MS", crowd.WAIT_S_MAX * 1_000)
    await crowd.found(engine, members=1)
    ledger = Ledger(engine)
    await ledger.start()
    async with engine.begin() as closer:
        await closer.execute(text("lock table settlement_window in exclusive mode"))
        await closer.execute(
            text(
                "update settlement_window set status = 'closed', closed_at = :now"
                " where window_id = 1"
            ),
            {"now": CLOSES_AT[0]},
        )
        await closer.execute(
            text(
                "insert into settlement_window (window_id, label, opens_at, closes_at)"
                " select 2, '2017-02', closes_at, closes_at + interval '28 days'"
                " from settlement_window where window_id = 1"
            )
        )
        posting = asyncio.create_task(ledger.post([asked(earn(1, 5), now=CLOSES_AT[0])]))
        await crowd.somebody_waits(engine)
    outcome = (await posting)[0]
    assert isinstance(outcome, Done)
    assert getattr(outcome.answer, "window", "") == "2017-02"
    # It happened in January: late, and marked so.
    assert await crowd.value(engine, "select about_window_id from lot") == 1
