"""Faults of many at once: the same key, a full queue, an empty pool, a client that leaves."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from sqlalchemy import text
from tests.coalition import crowd
from tests.coalition.served import REPLAYED, Ask
from tests.faults.fault import (
    TILLS,
    Fault,
    Place,
    Seen,
    enough,
    shop,
    tally,
    under_load,
)
from tests.faults.tills import Tills
from tests.world import SEAL_KEY

from coalition import database
from coalition.clearing.service import close_window


async def concurrent(place: Place) -> Seen:
    async with shop(place, processes=2) as (engine, tills):
        await tills.work(TILLS, 20)
        return await tally(engine, tills, Seen(TILLS * 20))


async def one_key(place: Place) -> Seen:
    times, copies = 20, 20
    async with shop(place, processes=2) as (engine, tills):
        seen = Seen(times)
        for number in range(times):
            ask = Ask("/v1/earns", {"card": str(crowd.card(1)), "points": 7}, f"key-{number}")
            answers = await asyncio.gather(*(tills.send(ask) for _ in range(copies)))
            posted = [one for one in answers if one is not None and one.status_code == 201]
            # The others may be told 409 idempotency_in_flight, or 503: never another answer.
            seen.doubled += max(0, sum(REPLAYED not in one.headers for one in posted) - 1)
        return await tally(engine, tills, seen)


async def queue_full(place: Place) -> Seen:
    async with shop(place, queue_max=2) as (engine, tills):
        await tills.work(4 * TILLS, 2)
        seen = await tally(engine, tills, Seen(4 * TILLS * 2))
        if not seen.saw["503"]:
            seen.wrong.append("the queue was never full")
        return seen


async def pool_exhausted(place: Place) -> Seen:
    """Two connections for everything: the writers' own, and one that everybody else wants."""
    async with shop(place, pool_size=2) as (engine, tills):
        seen = Seen(TILLS * 10)
        load = asyncio.create_task(tills.work(TILLS, 10))
        path = f"/v1/cards/{crowd.card(1):016d}/history"
        answers = await asyncio.gather(*(tills.clients[0].get(path) for _ in range(200)))
        _count(answers, tills, seen)
        await load
        return await tally(engine, tills, seen)


def _count(answers: Sequence[httpx.Response], tills: Tills, seen: Seen) -> None:
    for one in answers:
        tills.saw[str(one.status_code)] += 1
        if one.status_code not in (200, 503):
            seen.wrong.append(f"a read was answered {one.status_code}: {one.text[:200]}")


async def locked_accounts(place: Place) -> Seen:
    """Somebody holds two accounts' rows while the tills go on with all of them."""
    async with shop(place) as (engine, tills):
        async with under_load(tills) as load:
            times = 3
            for _ in range(times):
                async with engine.begin() as connection:
                    for member_id in (1, 2):
                        await crowd.lock_account(connection, member_id)
                    await connection.execute(text("select pg_sleep(0.3)"))
                await enough(tills, 20, load)
        return await tally(engine, tills, Seen(times))


async def posting_during_close(place: Place) -> Seen:
    async with shop(place) as (engine, tills):
        async with under_load(tills) as load:
            closes = 5
            for _ in range(closes):
                await enough(tills, 40, load)
                await _close_open(place)
        seen = await tally(engine, tills, Seen(closes))
        netted = "select count(*) from settlement_window where netted_at is not null"
        if await crowd.value(engine, netted) < closes:
            seen.wrong.append("fewer windows are netted than were closed")
        return seen


async def _close_open(place: Place) -> None:
    """Close whatever window is open now, before its end, as from another process."""
    engine = database.create_engine(place.database_url, SEAL_KEY, pool_size=3)
    async with engine.connect() as connection:
        label = await connection.scalar(
            text("select label from settlement_window where status = 'open'")
        )
    assert isinstance(label, str)
    await close_window(engine, label, datetime.now(UTC), early=True)
    await engine.dispose()


async def client_gone(place: Place) -> Seen:
    """Every second till hangs up right after it has asked; it asks again at the end."""
    async with shop(place) as (engine, tills):
        gone = 100
        async with under_load(tills):
            for number in range(gone):
                ask = Ask("/v1/earns", {"card": str(crowd.card(2)), "points": 3}, f"gone-{number}")
                sending = asyncio.create_task(tills.send(ask))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        return await tally(engine, tills, Seen(gone))


FAULTS = {
    "concurrent earn and burn": Fault("16 tills, 8 members, two processes", concurrent),
    "one key twenty times": Fault("20 keys, each 20 times at once at two processes", one_key),
    "queue full": Fault("a queue of 2 before 64 tills", queue_full),
    "pool exhausted": Fault("2 connections for 16 tills and 200 reads", pool_exhausted),
    "accounts locked": Fault("two accounts held by somebody for 0.3 s", locked_accounts),
    "posting during close": Fault("windows closed early under 16 tills", posting_during_close),
    "client gone": Fault("hung up right after asking", client_gone),
}
