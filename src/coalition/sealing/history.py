"""Tables whose rows are only ever added, few at a time: each row's digest is made over the row and
the digest of the row recorded before it.

Prices and terms are such tables: whoever could add a price that reaches back would change what the
open window comes to.
"""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.sealing.digests import digest


class History(NamedTuple):
    """A table, and its column that numbers the rows in the order in which they were recorded."""

    table: str
    number: str


PRICES = History("price", "price_no")
TERMS = History("terms", "terms_no")

# A column that comes later is null in the rows before it, and changes no digest of theirs. Times as
# the session's zone writes them, which database.create_engine sets to UTC.
_ROWS = """
select {number}, digest, (select cast(jsonb_object_agg(key, value) as text)
                          from jsonb_each(to_jsonb(h) - 'digest') where value <> 'null')
from {table} h order by {number}
"""
_SET_DIGEST = "update {table} set digest = :digest where {number} = :no"


async def seal_history(connection: AsyncConnection, history: History, key: bytes) -> int:
    """Give each row that has none its digest, in order; how many those were.

    Whoever adds rows holds other writers of the table off, and calls this before the end of the
    database transaction.
    """
    before: bytes | None = None
    sealed = 0
    for number, found, content in await _rows(connection, history):
        if found is None:
            before = digest(key, history.table, before, content)
            statement = text(_SET_DIGEST.format(**history._asdict()))
            await connection.execute(statement, {"digest": before, "no": number})
            sealed += 1
        else:
            before = found
    return sealed


async def false_rows(connection: AsyncConnection, history: History, key: bytes) -> list[str]:
    """Each row that is not what was recorded after the one before it."""
    before: bytes | None = None
    false: list[str] = []
    for number, found, content in await _rows(connection, history):
        if found is None:
            if before is not None or await _is_sealed_from_the_beginning(connection):
                false.append(f"row {number} of {history.table} has no digest")
            continue
        if found != digest(key, history.table, before, content):
            false.append(f"row {number} of {history.table}, or the one before it")
        before = found
    return false


async def unsealed_rows(connection: AsyncConnection, history: History) -> int:
    """How many rows wait for `coalition seal`."""
    return sum(found is None for _, found, _ in await _rows(connection, history))


async def latest(connection: AsyncConnection, history: History) -> bytes | None:
    """The digest of the row recorded last."""
    rows = await _rows(connection, history)
    return rows[-1][1] if rows else None


async def _is_sealed_from_the_beginning(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(text("select begins_at = '-infinity' from sealing")))


async def _rows(
    connection: AsyncConnection, history: History
) -> list[tuple[int, bytes | None, bytes]]:
    found = await connection.execute(text(_ROWS.format(**history._asdict())))
    return [(number, stored, content.encode()) for number, stored, content in found]
