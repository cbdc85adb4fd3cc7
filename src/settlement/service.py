"""Opening and closing windows: who may, in which order, and under which locks.

What a closed window came to is computed elsewhere (it takes knowledge of the owed things) and
written into results.py's tables. The scheduler only wakes a closer; the locks and keys here decide.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from settlement import store
from settlement.window import Calendar, Window, label_for, midnight, next_end

# Tills wait while a closer waits, so it waits a second at most, steps aside, and comes again.
_LOCK_TIMEOUT_MS = 1_000
_TRIES_MAX = 12
_PAUSE_S = 0.25
_LOCK_NOT_AVAILABLE = "55P03"

# Told, in the transaction that closes it, the window as it was and when it ends now.
Note = Callable[[AsyncConnection, Window, datetime], Awaitable[None]]


class WindowBusyError(Exception):
    """Postings held the open window for so long that it could not be closed; try again later."""


async def open_first(connection: AsyncConnection, calendar: Calendar) -> None:
    """Open the first window at the start of calendar.first_on, unless there is a window already."""
    await store.lock_closing(connection)
    if await store.list_windows(connection):
        return
    opens_at = midnight(calendar.first_on, calendar.zone)
    closes_at = next_end(calendar.rule, calendar.zone, calendar.first_on, opens_at)
    label = label_for(opens_at, closes_at, calendar.zone, ())
    await store.insert_window(connection, label, opens_at, closes_at)


async def close_open(
    engine: AsyncEngine,
    calendar: Calendar,
    window_id: int,
    now: datetime,
    note: Note | None = None,
) -> None:
    """Flip the open window to closed and open the next, in one short database transaction.

    Due or not: closed before its end, the window ends now and the next one takes what was left of
    its time. Does nothing where another closer was faster. WindowBusyError after some seconds.
    """
    for attempt in range(1, _TRIES_MAX + 1):
        try:
            async with engine.begin() as connection:
                await _close_open(connection, calendar, window_id, now, note)
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        await asyncio.sleep(_PAUSE_S * attempt)
    raise WindowBusyError("postings hold the open window; try to close it again in a minute")


async def flip_due(
    engine: AsyncEngine, calendar: Calendar, now: datetime, note: Note | None = None
) -> None:
    """Flip every window whose end has come, the oldest first. WindowBusyError as close_open."""
    while True:
        async with engine.connect() as connection:
            window = (await store.list_windows(connection))[-1]
        if not window.is_open or now < window.closes_at:
            return
        await close_open(engine, calendar, window.window_id, now, note)


async def labels_due(connection: AsyncConnection, calendar: Calendar, now: datetime) -> list[str]:
    """What closing everything that is due would close, the oldest first; stores nothing."""
    windows = await store.list_windows(connection)
    labels = [window.label for window in windows]
    due: list[str] = []
    if not windows or not windows[-1].is_open:
        return due
    label, ends_at = windows[-1].label, windows[-1].closes_at
    while ends_at <= now:
        due.append(label)
        opens_at = ends_at
        ends_at = next_end(calendar.rule, calendar.zone, calendar.first_on, opens_at)
        label = label_for(opens_at, ends_at, calendar.zone, labels)
        labels.append(label)
    return due


async def _close_open(
    connection: AsyncConnection,
    calendar: Calendar,
    window_id: int,
    now: datetime,
    note: Note | None,
) -> None:
    await store.lock_closing(connection)
    await store.lock_out_postings(connection, _LOCK_TIMEOUT_MS)
    windows = await store.list_windows(connection)
    window = windows[-1]
    if window.window_id != window_id or not window.is_open:
        return
    ends_early = now < window.closes_at
    ends_at = now if ends_early else window.closes_at
    next_ends_at = (
        window.closes_at
        if ends_early
        else next_end(calendar.rule, calendar.zone, calendar.first_on, window.closes_at)
    )
    label = label_for(ends_at, next_ends_at, calendar.zone, {one.label for one in windows})
    # The old one first: at no moment may two windows be open.
    await store.flip(connection, window.window_id, ends_at, now)
    await store.insert_window(connection, label, ends_at, next_ends_at)
    if note is not None:
        await note(connection, window, ends_at)
