"""What runs by the clock: closing due windows, expiring lots, voiding holds past their time, and
noting outside the database how much there is in it.

The scheduler only wakes these; what is due is decided in the database. Two schedulers, a late one
or a restart make no difference: each job asks what is due, and doing it twice does nothing.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import text

from coalition.audit.actor import LAPSE, Actor, of_job
from coalition.clearing.service import close_due
from coalition.failures import in_a_line
from coalition.ledger.beginning import HAS_BEGUN
from coalition.ledger.commands import Done, Expire, ExpireAnswer, Refused, Request
from coalition.ledger.post import Ledger
from coalition.privacy.store import erase_silent
from coalition.rewards.loading import LowCodes, low_codes
from coalition.sealing.anchors import AnchorError, write_anchor
from coalition.sealing.key import key_of
from coalition.terms.book import HOUSE_ID

log = structlog.get_logger()

GROUP_SIZE = 1_000
# What is older is protected: the promise of docs/tampering.md.
ANCHOR_EVERY_S = 60
# Often enough to load more, and not so often that nobody reads it any more.
LOW_CODES_EVERY_S = 3_600
_CLOSER = Actor(of_job("close"))
_RETENTION = Actor(of_job("retention"))

_LAPSED = """
select member_id from account where expires_next_on < :today and member_id > :after
order by member_id limit :limit
"""
_STALE = """
select distinct member_id from burn
where status = 'held' and hold_expires_at <= :now and member_id > :after
order by member_id limit :limit
"""


async def expire_due(
    ledger: Ledger, now: datetime, *, on_progress: Callable[[int], None] = lambda members: None
) -> int:
    """Expire every lot past its last day; how many points that was. on_progress: members done."""
    await ledger.refresh()
    expired, _ = await _lapse(ledger, _LAPSED, {"today": ledger.book.today(now)}, now, on_progress)
    return expired


async def void_stale(
    ledger: Ledger, now: datetime, *, on_progress: Callable[[int], None] = lambda members: None
) -> int:
    """Void every hold past its time; how many points came back."""
    _, voided = await _lapse(ledger, _STALE, {"now": now}, now, on_progress)
    return voided


async def _lapse(
    ledger: Ledger,
    statement: str,
    parameters: dict[str, object],
    now: datetime,
    on_progress: Callable[[int], None],
) -> tuple[int, int]:
    after, expired, voided = 0, 0, 0
    while True:
        async with ledger.engine.connect() as connection:
            found = await connection.scalars(
                text(statement), parameters | {"after": after, "limit": GROUP_SIZE}
            )
            members = list(found)
        if not members:
            return expired, voided
        outcomes = await ledger.post(
            [Request(Expire(m), HOUSE_ID, now, actor=LAPSE) for m in members]
        )
        for outcome in outcomes:
            if isinstance(outcome, Done) and isinstance(outcome.answer, ExpireAnswer):
                expired += outcome.answer.expired
                voided += outcome.answer.voided
            elif isinstance(outcome, Refused):
                log.error("member_not_lapsed", code=outcome.code, detail=outcome.detail)
        after = members[-1]
        on_progress(len(members))


async def tell_low_codes(ledger: Ledger, now: datetime) -> list[LowCodes]:
    """Tell the log of each reward that has fewer codes left than its terms want there to be."""
    await ledger.refresh()
    async with ledger.engine.connect() as connection:
        low = await low_codes(connection, ledger.book, now)
    for one in low:
        log.warning("voucher_codes_low", merchant=one.merchant, reward=one.reward, left=one.left)
    return low


def schedule(
    *ledgers: Ledger,
    anchors: Path,
    retention_days: int = 0,
    close_every_s: int = 60,
    lapse_every_s: int = 60,
) -> AsyncIOScheduler:
    """A scheduler, not started yet, that wakes the jobs of each ledger, in its own loop.

    anchors: the folder that each minute's anchor of the first, the live one, goes to.
    """
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        # A wake-up that comes late or twice still happens, once.
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )
    first = datetime.now(UTC)
    jobs = ((_close, close_every_s), (_expire, lapse_every_s), (_void, lapse_every_s))
    for ledger, (job, every_s) in product(ledgers, jobs):
        scheduler.add_job(job, "interval", args=[ledger], seconds=every_s, next_run_time=first)
    scheduler.add_job(
        _anchor,
        "interval",
        args=[ledgers[0], anchors],
        seconds=ANCHOR_EVERY_S,
        next_run_time=first,
    )
    for ledger in ledgers:
        scheduler.add_job(
            _tell_low, "interval", args=[ledger], seconds=LOW_CODES_EVERY_S, next_run_time=first
        )
    for ledger in ledgers if retention_days else ():
        scheduler.add_job(
            _erase, "interval", args=[ledger, retention_days], days=1, next_run_time=first
        )
    return scheduler


async def run_jobs(*ledgers: Ledger, anchors: Path, retention_days: int = 0) -> None:
    """Wake the jobs of each ledger until cancelled. retention_days 0: nobody is erased by them."""
    scheduler = schedule(*ledgers, anchors=anchors, retention_days=retention_days)
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)


async def _has_begun(ledger: Ledger) -> bool:
    """Whether anything was posted live.

    Until then a coalition may still bring its history along, and time passes as its import says:
    its windows stay open for that, and its points do not lapse by today's date. The first live
    posting flips the windows that lie before it.
    """
    async with ledger.engine.connect() as connection:
        return bool(await connection.scalar(text(HAS_BEGUN)))


async def _close(ledger: Ledger) -> None:
    if not await _has_begun(ledger):
        return
    closed = await close_due(ledger.engine, datetime.now(UTC), actor=_CLOSER)
    if closed:
        # After a long standstill they are many, and they follow one another.
        log.info("windows_closed", count=len(closed), first=closed[0], last=closed[-1])


async def _expire(ledger: Ledger) -> None:
    if not await _has_begun(ledger):
        return
    points = await expire_due(ledger, datetime.now(UTC))
    if points:
        log.info("points_expired", points=points)


async def _void(ledger: Ledger) -> None:
    if not await _has_begun(ledger):
        return
    points = await void_stale(ledger, datetime.now(UTC))
    if points:
        log.info("holds_voided", points=points)


async def _tell_low(ledger: Ledger) -> None:
    await tell_low_codes(ledger, datetime.now(UTC))


async def _anchor(ledger: Ledger, folder: Path) -> None:
    try:
        async with ledger.engine.begin() as connection:
            await write_anchor(connection, folder, key_of(connection), datetime.now(UTC))
    except (AnchorError, OSError) as error:
        # Until it can be written, nothing new is protected: somebody has to look.
        log.error("anchor_not_written", folder=str(folder), reason=in_a_line(error))


async def _erase(ledger: Ledger, retention_days: int) -> None:
    count = await erase_silent(ledger.engine, datetime.now(UTC), retention_days, actor=_RETENTION)
    if count:
        log.info("persons_erased", members=count)
