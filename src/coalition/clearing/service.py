"""Closing windows: flip, price, net, store; and the same without storing, for a dry run.

A close has two phases. First the open window is flipped and the next one opened, in a short
database transaction that tills wait for (settlement/service.py). Then what can no longer change is
priced and netted, in a transaction of its own; a crash between the two is made good by the next
close. Two closers at once make no difference: a lock lets one work, and the other finds it done.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import record
from coalition.audit.windows import noting_closes
from coalition.clearing import lines, store
from coalition.clearing.policy import policy_of, terms_at_end
from coalition.clearing.price import RULE_VERSION
from coalition.clearing.price_sql import write_lines
from coalition.clearing.rebuild import (
    compute,
    differs,
    named_window,
    netted_window,
    rebuild,
)
from coalition.clearing.seal import seal_window
from coalition.clearing.statements import names_of
from coalition.clearing.what_if import WhatIf, lay_over
from coalition.errors import CoalitionError, Code
from coalition.sealing.key import key_of
from coalition.terms.store import load_book
from coalition.terms.terms import HouseTerms
from settlement import results
from settlement import service as settlement
from settlement import store as windows
from settlement.netting import net
from settlement.obligation import Result
from settlement.service import Note, WindowBusyError
from settlement.store import list_windows
from settlement.window import Calendar, Window

__all__ = [
    "close_due", "close_window", "differs", "due_labels", "ensure_first_window", "list_windows",
    "read_result", "rebuild",
]  # fmt: skip

# Told the label, how many windows this call has closed so far, and how many it knows it must.
Progress = Callable[[str, int, int], None]


async def ensure_first_window(connection: AsyncConnection, house: HouseTerms) -> None:
    """Open the first window from the house's calendar, unless there is a window already."""
    await settlement.open_first(connection, _calendar(house))


async def close_due(
    engine: AsyncEngine,
    now: datetime,
    *,
    actor: Actor = NOT_KNOWN,
    on_progress: Progress | None = None,
) -> list[str]:
    """Close every window whose end has come, the oldest first; the labels that this call netted.

    Also nets what a crash left closed but not netted. Empty windows are closed like any other.
    CoalitionError busy where postings hold the open window for too long.
    """
    # All flips come before the first netting, so that tills post into the present as soon as
    # possible after a long standstill.
    while (window := await _open_window(engine)) is not None and window.closes_at <= now:
        await _flip(engine, window, now, actor)
    return await _net_pending(engine, now, actor, on_progress)


async def due_labels(engine: AsyncEngine, now: datetime) -> list[str]:
    """The windows that close_due would close now, the oldest first."""
    async with engine.connect() as connection:
        if not await list_windows(connection):
            return []
        book = await load_book(connection)
        return await settlement.labels_due(connection, _calendar(book.house), now)


async def close_window(
    engine: AsyncEngine,
    label: str,
    now: datetime,
    *,
    early: bool = False,
    dry_run: bool = False,
    prices: WhatIf | None = None,
    actor: Actor = NOT_KNOWN,
    also: Note | None = None,
) -> Result:
    """Close the window called so and answer what it came to; closed before: the first answer.

    early closes it before its end: it ends now, in a dry run too. dry_run stores nothing, and may
    be asked with prices to try. also: what else is done in the transaction that closes it, where
    this call does. CoalitionError not_found, invalid (not yet due, or prices without
    dry_run), busy.
    """
    if prices is not None and not dry_run:
        raise CoalitionError(
            Code.INVALID, "prices may be tried with dry_run only; send dry_run: true with them"
        )
    if dry_run:
        return await _dry_run(engine, label, now, prices, early=early)
    async with engine.connect() as connection:
        window = await named_window(connection, label)
    if window.is_open:
        _check_end(window, now, early=early)
        await _flip(engine, window, now, actor, also)
    if window.netted_at is None:
        await _net_pending(engine, now, actor, None)
    async with engine.connect() as connection:
        return await read_result(connection, label)


async def read_result(connection: AsyncConnection, label: str) -> Result:
    """What a closed window came to, as stored. CoalitionError not_found: unknown, or no result."""
    window = await netted_window(connection, label)
    return await lines.result_of(connection, window.window_id)


def _check_end(window: Window, now: datetime, *, early: bool) -> None:
    if now >= window.closes_at:
        return
    if not early:
        raise CoalitionError(
            Code.INVALID,
            f"window {window.label} ends at {window.closes_at.isoformat()}; "
            "to close it before that, send early: true",
        )
    if now <= window.opens_at:
        raise CoalitionError(
            Code.INVALID,
            f"window {window.label} begins at {window.opens_at.isoformat()}; "
            "it can be closed early after that",
        )


async def _open_window(engine: AsyncEngine) -> Window | None:
    async with engine.connect() as connection:
        found = await list_windows(connection)
    return found[-1] if found and found[-1].is_open else None


async def _flip(
    engine: AsyncEngine, window: Window, now: datetime, actor: Actor, also: Note | None = None
) -> None:
    noting = noting_closes(actor, now)

    async def note(connection: AsyncConnection, closed: Window, ends_at: datetime) -> None:
        await noting(connection, closed, ends_at)
        if also is not None:
            await also(connection, closed, ends_at)

    async with engine.connect() as connection:
        book = await load_book(connection)
    try:
        await settlement.close_open(engine, _calendar(book.house), window.window_id, now, note)
    except WindowBusyError as error:
        raise CoalitionError(Code.BUSY, str(error)) from error


async def _net_pending(
    engine: AsyncEngine, now: datetime, actor: Actor, on_progress: Progress | None
) -> list[str]:
    """Net every closed window that has no result yet, oldest first, each in a transaction."""
    async with engine.connect() as connection:
        found = await list_windows(connection)
    pending = [window for window in found if not window.is_open and window.netted_at is None]
    netted: list[str] = []
    for done, window in enumerate(pending, start=1):
        async with engine.begin() as connection:
            if await _net_once(connection, window, now):
                await record(connection, actor, now, "window.net", window.label)
                netted.append(window.label)
        if on_progress is not None:
            on_progress(window.label, done, len(pending))
    return netted


async def _net_once(connection: AsyncConnection, window: Window, now: datetime) -> bool:
    await windows.lock_closing(connection)
    again = await windows.window_called(connection, window.label)
    if again is None or again.netted_at is not None:
        return False
    book = await load_book(connection)
    table = await store.read_prices(connection, None)
    # A rebuild reads the prices recorded until netted_at, so that must not lie before any of them,
    # not even where the clock of whoever recorded one ran ahead.
    latest = await store.prices_recorded_until(connection)
    dated = terms_at_end(book, again)
    policy = policy_of(book, again, dated)
    await store.write_terms(connection, again.window_id, dated)
    await write_lines(connection, again.window_id, table, policy, book.ids)
    # The window before left this one its opening balances: closing(n) = opening(n + 1).
    openings = await results.closings(connection, again.window_id - 1)
    debts = await results.debts(connection, again.window_id)
    obligations, positions = net(
        debts,
        openings,
        seen=await lines.bystanders(connection, again.window_id),
        through=policy.through,
        minimum_due=policy.minimum_due,
    )
    passed = obligations[len(debts) :]
    await results.write_positions(connection, again, passed, positions, names_of(book))
    zone = ZoneInfo(book.house.time_zone)
    await windows.mark_netted(connection, again, max(now, latest or now), RULE_VERSION, zone)
    await seal_window(connection, again.window_id, key_of(connection))
    return True


async def _dry_run(
    engine: AsyncEngine, label: str, now: datetime, prices: WhatIf | None, *, early: bool
) -> Result:
    async with engine.connect() as plain:
        # One snapshot for all reads, since an open window goes on changing.
        connection = await plain.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        window = await named_window(connection, label)
        if window.netted_at is not None and prices is None:
            return await lines.result_of(connection, window.window_id)
        if early and window.is_open and now < window.closes_at:
            # What is due by then may be less than at its end: payments fall on days.
            _check_end(window, now, early=True)
            window = replace(window, closes_at=now)
        earlier = [
            one for one in await list_windows(connection) if one.window_id < window.window_id
        ]
        if any(one.netted_at is None for one in earlier) and not (
            # Those that the first posting of all flipped leave no balances, netted or not.
            all(one.netted_at is None for one in earlier)
            and await store.is_first_used(connection, window.window_id)
        ):
            raise CoalitionError(
                Code.BUSY, f"a window before {label} is still being netted; try again in a minute"
            )
        book = await load_book(connection)
        table = await store.read_prices(connection, None)
        if prices is not None:
            table = lay_over(table, prices, book.ids)
        try:
            return await compute(connection, book, window, table)
        except OverflowError as error:
            raise CoalitionError(
                Code.INVALID, f"window {label} cannot be priced: {error}; try lower prices"
            ) from error


def _calendar(house: HouseTerms) -> Calendar:
    return Calendar(house.window_rule, ZoneInfo(house.time_zone), house.first_window_on)
