"""Faults of time: two schedulers, a late one, clocks that are set, and times that there are not."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.coalition import crowd
from tests.coalition.served import Ask
from tests.faults.fault import (
    TILLS,
    Fault,
    Place,
    Seen,
    shop,
    tally,
)
from tests.world import SEAL_KEY

from coalition import database
from coalition.clearing.service import close_due
from coalition.jobs import expire_due, void_stale
from coalition.ledger.post import Ledger

MONTHS = [datetime(2017, month, 3, tzinfo=UTC) for month in (2, 3, 4, 5)]
# How far the clock is set, each time from where the tills began.
SET_BY = [timedelta(0), timedelta(days=-1), timedelta(days=2), timedelta(hours=-1)]
# By the clocks of Berlin there was no half past two that night, and two of them in October; a leap
# second is written as :60. What is not a time is refused, and leaves no trace.
TIMES = {
    "2017-01-10T02:30:00+01:00": 201,
    "2017-01-10T02:30:00+02:00": 201,
    "2016-12-31T23:59:60Z": 422,
    "2017-01-10T24:00:00Z": 422,
    "2017-02-30T00:00:00Z": 422,
}


async def two_schedulers(place: Place) -> Seen:
    return await _schedulers(place, schedulers=2, months=MONTHS)


async def late_scheduler(place: Place) -> Seen:
    return await _schedulers(place, schedulers=1, months=MONTHS[-1:])


async def _schedulers(place: Place, schedulers: int, months: list[datetime]) -> Seen:
    async with shop(place) as (engine, tills):
        await tills.work(TILLS, 5)
        engines = [database.create_engine(place.database_url, SEAL_KEY) for _ in range(schedulers)]
        closed: list[str] = []
        for now in months:
            each = await asyncio.gather(*(close_due(one, now) for one in engines))
            closed += [label for labels in each for label in labels]
            for job in (void_stale, expire_due):
                ledgers = [Ledger(one) for one in engines]
                await asyncio.gather(*(job(ledger, now) for ledger in ledgers))
        for one in engines:
            await one.dispose()
        seen = Seen(len(closed))
        if sorted(closed) != ["2017-01", "2017-02", "2017-03", "2017-04"]:
            seen.wrong.append(f"closed: {closed}")
        return await tally(engine, tills, seen)


async def clock_set(place: Place) -> Seen:
    now = crowd.START
    async with shop(place, clock=lambda: now) as (engine, tills):
        for by in SET_BY:
            now = crowd.START + by
            await tills.work(TILLS, 5)
        return await tally(engine, tills, Seen(len(SET_BY)))


async def odd_times(place: Place) -> Seen:
    async with shop(place) as (engine, tills):
        seen = Seen(len(TIMES))
        for number, (at, status) in enumerate(TIMES.items()):
            body = {"card": str(crowd.card(1)), "points": 5, "occurred_at": at}
            if status == 201:
                answer = await tills.settle(Ask("/v1/earns", body, f"time-{number}"))
            else:
                headers = {"Idempotency-Key": f"time-{number}"}
                answer = await tills.clients[0].post("/v1/earns", json=body, headers=headers)
                seen.saw[str(answer.status_code)] += 1
            if answer.status_code != status:
                seen.wrong.append(f"{at} was answered {answer.status_code}: {answer.text[:200]}")
        return await tally(engine, tills, seen)


FAULTS = {
    "two schedulers": Fault("two jobs processes wake at the same moment", two_schedulers),
    "a late scheduler": Fault("woken four months late", late_scheduler),
    "clock set": Fault("a day back, two forward, an hour back", clock_set),
    "odd times": Fault("DST, a leap second, a 24th hour, 30 February", odd_times),
}
