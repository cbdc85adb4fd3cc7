"""SQL of windows: listing, opening, flipping, and the locks of whoever closes one.

Every function runs in the transaction of the connection it is given, and decides nothing. What a
closed window came to is results.py.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.statement import STATEMENT_FORMAT
from settlement.window import Window, offset_s

# One number for everything that opens, closes or nets a window ("close" in ASCII).
CLOSING_LOCK = 0x636C6F7365
_WINDOW = (
    "select window_id, label, opens_at, closes_at, status::text, netted_at, rule_version::int,"
    " statement_format::int, opens_offset_s, closes_offset_s, digest"
)


async def lock_closing(connection: AsyncConnection) -> None:
    """Wait until no other closer is at work; held until this database transaction ends.

    Lock order of a closer: this lock, then the table settlement_window, then nothing else.
    """
    await connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": CLOSING_LOCK})


async def lock_out_postings(connection: AsyncConnection, timeout_ms: int) -> None:
    """Wait for postings in flight and let none begin until this database transaction ends.

    A posting holds the open window's row FOR SHARE. Waiting for the row alone could take for ever
    under load, since new share locks pass a waiting writer by; a table lock queues fairly. Reading
    windows stays possible. SQLSTATE 55P03 where it takes longer than timeout_ms.
    """
    await connection.execute(
        text("select set_config('lock_timeout', :timeout, true)"), {"timeout": f"{timeout_ms}ms"}
    )
    await connection.execute(text("lock table settlement_window in exclusive mode"))


async def list_windows(connection: AsyncConnection) -> list[Window]:
    """Every window, the oldest first."""
    rows = await connection.execute(text(f"{_WINDOW} from settlement_window order by window_id"))
    return [Window(*row) for row in rows]


async def window_called(connection: AsyncConnection, label: str) -> Window | None:
    row = (
        await connection.execute(
            text(f"{_WINDOW} from settlement_window where label = :label"), {"label": label}
        )
    ).one_or_none()
    return Window(*row) if row else None


async def insert_window(
    connection: AsyncConnection, label: str, opens_at: datetime, closes_at: datetime
) -> None:
    """Add the open window. The one before must be closed by then: exactly one is open."""
    await connection.execute(
        text(
            "insert into settlement_window (window_id, label, opens_at, closes_at)"
            " select coalesce(max(window_id), 0) + 1, :label, :opens_at, :closes_at"
            " from settlement_window"
        ),
        {"label": label, "opens_at": opens_at, "closes_at": closes_at},
    )


async def flip(
    connection: AsyncConnection, window_id: int, closes_at: datetime, closed_at: datetime
) -> None:
    """Close the open window, as of closes_at (moved forward by an early close)."""
    await connection.execute(
        text(
            "update settlement_window set status = 'closed', closes_at = :closes_at,"
            " closed_at = :closed_at where window_id = :window_id and status = 'open'"
        ),
        {"window_id": window_id, "closes_at": closes_at, "closed_at": closed_at},
    )


async def mark_netted(
    connection: AsyncConnection, window: Window, at: datetime, rule_version: int, zone: ZoneInfo
) -> None:
    """Say that a closed window's results are complete, and by which version of the rule.

    Nothing is added to them from now on. Its statements are issued in the format of now, and print
    its times by the clock of zone, for ever after.
    """
    await connection.execute(
        text(
            "update settlement_window set netted_at = :at, rule_version = :rule_version,"
            " statement_format = :statement_format, opens_offset_s = :opens_offset_s,"
            " closes_offset_s = :closes_offset_s where window_id = :window_id"
        ),
        {
            "at": at,
            "rule_version": rule_version,
            "statement_format": STATEMENT_FORMAT,
            "opens_offset_s": offset_s(window.opens_at, zone),
            "closes_offset_s": offset_s(window.closes_at, zone),
            "window_id": window.window_id,
        },
    )
