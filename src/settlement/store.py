"""SQL of windows and of a closed window's results, and nothing that decides.

Every function runs in the transaction of the connection it is given. Result rows are written with
COPY, because a large coalition has a million paths a window, and as text, because a number costs
less to print than to take apart.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.obligation import Obligation, PathLine, Position, Result
from settlement.window import Window

# One number for everything that opens, closes or nets a window ("close" in ASCII).
CLOSING_LOCK = 0x636C6F7365
_NULL = "\\N"
# So many lines are printed before a till that waits for the same loop gets its turn.
_LINES_PER_CHUNK = 2_000
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
    return {(code, currency): int(closing) for code, currency, closing in rows}


async def write_result(
    connection: AsyncConnection,
    window: Window,
    result: Result,
    netted_at: datetime,
    names: Mapping[str, str],
) -> None:
    """Store what a closed window came to, and mark it netted. It can be done once.

    names says what each party with a position is called on paper from now on, by its code.
    """
    ids = await _ids(connection, "select code, merchant_id from merchant")
    about = await _ids(connection, "select label, window_id from settlement_window")
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    for table, columns, lines in (
        ("path", _PATH, _path_lines(window, result.paths, ids, about)),
        ("obligation", _OBLIGATION, _obligation_lines(window, result.obligations, ids)),
    ):
        await driver.copy_to_table(table, source=_chunks(lines), columns=columns)
    positions = [_position_row(window, line, ids, names) for line in result.positions]
    await driver.copy_records_to_table("position", columns=_POSITION, records=positions)
    await connection.execute(
        text("update settlement_window set netted_at = :at where window_id = :window_id"),
        {"at": netted_at, "window_id": window.window_id},
    )


async def _ids(connection: AsyncConnection, query: str) -> dict[str, int]:
    rows = await connection.execute(text(query))
    return {row[0]: row[1] for row in rows}


async def _chunks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    while chunk := "".join(islice(lines, _LINES_PER_CHUNK)):
        yield chunk.encode()


# Lines of COPY's text format. Codes, kinds, reasons and currencies hold no tab, backslash or line
# feed, which would have to be escaped; a party's name may, so positions go as records.
_PATH = (
    "window_id", "path_no", "origin_id", "redeemer_id", "kind", "about_window_id", "points",
    "price", "amount", "currency",
)  # fmt: skip
_OBLIGATION = (
    "window_id", "obligation_no", "debtor_id", "creditor_id", "amount", "currency", "reason",
    "path_no", "quantity", "unit_price",
)  # fmt: skip
_POSITION = (
    "window_id", "party_id", "party_name", "currency", "receivable", "payable", "net", "opening",
    "instructed", "closing",
)  # fmt: skip


def _path_lines(
    window: Window, paths: Iterable[PathLine], ids: Mapping[str, int], about: Mapping[str, int]
) -> Iterator[str]:
    for line in paths:
        earlier = _NULL if line.about is None else about[line.about]
        yield (
            f"{window.window_id}\t{line.path_no}\t{ids[line.origin]}\t{ids[line.redeemer]}\t"
            f"{line.kind}\t{earlier}\t{line.quantity}\t{line.price}\t{line.amount}\t"
            f"{line.currency}\n"
        )


def _obligation_lines(
    window: Window, obligations: Iterable[Obligation], ids: Mapping[str, int]
) -> Iterator[str]:
    for line in obligations:
        of_path = f"{_NULL}\t{_NULL}\t{_NULL}"
        if line.path_no is not None:
            of_path = f"{line.path_no}\t{line.quantity}\t{line.unit_price}"
        yield (
            f"{window.window_id}\t{line.obligation_no}\t{ids[line.debtor]}\t"
            f"{ids[line.creditor]}\t{line.amount}\t{line.currency}\t{line.reason}\t{of_path}\n"
        )


def _position_row(
    window: Window, line: Position, ids: Mapping[str, int], names: Mapping[str, str]
) -> tuple[int | str, ...]:
    return (
        window.window_id, ids[line.party], names[line.party], line.currency, line.receivable,
        line.payable, line.net, line.opening, line.instructed, line.closing,
    )  # fmt: skip


async def name_at_netting(connection: AsyncConnection, window_id: int, party: str) -> str | None:
    """What `party` was called when the window was netted; its code where it has no position.

    None where there is no such party.
    """
    name: str | None = await connection.scalar(
        text(
            "select coalesce((select min(p.party_name) from position p"
            " where p.window_id = :window_id and p.party_id = m.merchant_id), m.code)"
            " from merchant m where m.code = :party"
        ),
        {"window_id": window_id, "party": party},
    )
    return name


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
        tuple(_path(*row) for row in paths),
        tuple(_obligation(*row) for row in obligations),
        tuple(Position(*row[:2], *map(int, row[2:])) for row in positions),
    )


# numeric comes back as Decimal, and amounts are int.
def _path(
    number: int, origin: str, redeemer: str, kind: str, points: Decimal, price: Decimal,
    amount: Decimal, currency: str, about: str | None,
) -> PathLine:  # fmt: skip
    return PathLine(
        number, origin, redeemer, kind, int(points), price, int(amount), currency, about
    )


def _obligation(
    number: int, debtor: str, creditor: str, amount: Decimal, currency: str, reason: str,
    path_no: int | None, quantity: Decimal | None, unit_price: Decimal | None,
) -> Obligation:  # fmt: skip
    points = None if quantity is None else int(quantity)
    return Obligation(
        number, debtor, creditor, int(amount), currency, reason, path_no, points, unit_price
    )
