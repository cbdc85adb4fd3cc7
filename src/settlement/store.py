"""SQL of windows and of a closed window's results, and nothing that decides.

Every function runs in the transaction of the connection it is given. Result rows are written with
COPY, because a large coalition has a million paths a window.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.obligation import Obligation, PathLine, Position, Result
from settlement.window import Window

# One number for everything that opens, closes or nets a window ("close" in ASCII).
CLOSING_LOCK = 0x636C6F7365
_WINDOW = "select window_id, label, opens_at, closes_at, status::text, netted_at"


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


async def closings(connection: AsyncConnection, window_id: int) -> dict[tuple[str, str], int]:
    """The balances a window left, by party and currency (minor units); those of 0 left out."""
    rows = await connection.execute(
        text(
            "select m.code, p.currency, p.closing from position p"
            " join merchant m on m.merchant_id = p.party_id"
            " where p.window_id = :window_id and p.closing <> 0"
        ),
        {"window_id": window_id},
    )
    return {(code, currency): closing for code, currency, closing in rows}


async def write_result(
    connection: AsyncConnection, window: Window, result: Result, netted_at: datetime
) -> None:
    """Store what a closed window came to, and mark it netted. It can be done once."""
    ids = await _ids(connection, "select code, merchant_id from merchant")
    about = await _ids(connection, "select label, window_id from settlement_window")
    await _copy(connection, "path", _path_rows(window, result.paths, ids, about))
    await _copy(connection, "obligation", _obligation_rows(window, result.obligations, ids))
    await _copy(connection, "position", _position_rows(window, result.positions, ids))
    await connection.execute(
        text("update settlement_window set netted_at = :at where window_id = :window_id"),
        {"at": netted_at, "window_id": window.window_id},
    )


async def _ids(connection: AsyncConnection, query: str) -> dict[str, int]:
    rows = await connection.execute(text(query))
    return {row[0]: row[1] for row in rows}


Rows = tuple[list[str], Iterable[tuple[Any, ...]]]


async def _copy(connection: AsyncConnection, table: str, rows: Rows) -> None:
    columns, records = rows
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.copy_records_to_table(table, columns=columns, records=records)


def _path_rows(
    window: Window, paths: Iterable[PathLine], ids: Mapping[str, int], about: Mapping[str, int]
) -> Rows:
    columns = "window_id path_no origin_id redeemer_id kind about_window_id points price amount"
    return [*columns.split(), "currency"], (
        (
            window.window_id, line.path_no, ids[line.origin], ids[line.redeemer], line.kind,
            about[line.about] if line.about else None, line.quantity, line.price, line.amount,
            line.currency,
        )
        for line in paths
    )  # fmt: skip


def _obligation_rows(
    window: Window, obligations: Iterable[Obligation], ids: Mapping[str, int]
) -> Rows:
    columns = "window_id obligation_no debtor_id creditor_id amount currency reason path_no"
    return [*columns.split(), "quantity", "unit_price"], (
        (
            window.window_id, line.obligation_no, ids[line.debtor], ids[line.creditor],
            line.amount, line.currency, line.reason, line.path_no, line.quantity, line.unit_price,
        )
        for line in obligations
    )  # fmt: skip


def _position_rows(window: Window, positions: Iterable[Position], ids: Mapping[str, int]) -> Rows:
    columns = "window_id party_id currency receivable payable net opening instructed closing"
    return columns.split(), (
        (
            window.window_id, ids[line.party], line.currency, line.receivable, line.payable,
            line.net, line.opening, line.instructed, line.closing,
        )
        for line in positions
    )  # fmt: skip


async def result_of(connection: AsyncConnection, window_id: int) -> Result:
    """What a netted window came to, as stored."""
    at = {"window_id": window_id}
    paths = await connection.execute(
        text(
            "select p.path_no, o.code, r.code, p.kind, p.points, p.price, p.amount, p.currency,"
            " w.label from path p join merchant o on o.merchant_id = p.origin_id"
            " join merchant r on r.merchant_id = p.redeemer_id"
            " left join settlement_window w on w.window_id = p.about_window_id"
            " where p.window_id = :window_id order by p.path_no"
        ),
        at,
    )
    obligations = await connection.execute(
        text(
            "select b.obligation_no, d.code, c.code, b.amount, b.currency, b.reason, b.path_no,"
            " b.quantity, b.unit_price from obligation b"
            " join merchant d on d.merchant_id = b.debtor_id"
            " join merchant c on c.merchant_id = b.creditor_id"
            " where b.window_id = :window_id order by b.obligation_no"
        ),
        at,
    )
    positions = await connection.execute(
        text(
            "select m.code, p.currency, p.receivable, p.payable, p.opening, p.instructed"
            " from position p join merchant m on m.merchant_id = p.party_id"
            ' where p.window_id = :window_id order by m.code collate "C", p.currency'
        ),
        at,
    )
    return Result(
        tuple(PathLine(*row) for row in paths),
        tuple(Obligation(*row) for row in obligations),
        tuple(Position(*row) for row in positions),
    )
