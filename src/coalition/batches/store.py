"""Batches in the database: one row a file, and one for the results of each group of rows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import key_in, person_in
from coalition.batches.results import Counts

Format = Literal["ndjson", "csv"]
Status = Literal["running", "done", "failed"]

_INSERT = text("""
    insert into batch (batch_id, merchant_id, scopes, format, place, size_bytes, created_at, actor)
    values (:batch_id, :merchant_id, :scopes, :format, :place, :size_bytes, :now, :actor)
""")
_COLUMNS = """
    batch_id, merchant_id, scopes, format, size_bytes, status::text, row_count, posted, replayed,
    refused, read_to_bytes, line_count, reason, actor
"""
_FIND = text(f"select {_COLUMNS} from batch where batch_id = :batch_id")
_RUNNING = text(f"""
    select {_COLUMNS} from batch where status = 'running' and place = :place
    order by created_at, batch_id
""")
_RECORD = text("""
    with kept as (
        insert into batch_chunk (batch_id, first_row, results)
        values (:batch_id, :first_row, :results))
    update batch set row_count = row_count + :posted + :replayed + :refused,
        posted = posted + :posted, replayed = replayed + :replayed, refused = refused + :refused,
        read_to_bytes = :read_to_bytes, line_count = :line_count
    where batch_id = :batch_id and row_count = :first_row - 1
""")
_FINISH = text("""
    update batch set status = cast(:status as batch_status), finished_at = :now, reason = :reason
    where batch_id = :batch_id and status = 'running'
""")
_CHUNK = text("""
    select first_row, results from batch_chunk
    where batch_id = :batch_id and first_row > :after order by first_row limit 1
""")


@dataclass(frozen=True, slots=True)
class Batch:
    """A file and how far it is posted: row_count rows, read_to_bytes into it, line_count lines.

    actor: the key, person or command that sent it; None: not known, as of files from before that
    was kept.
    """

    batch_id: UUID
    merchant_id: int
    scopes: frozenset[str]
    format: Format
    size_bytes: int
    status: Status
    row_count: int
    posted: int
    replayed: int
    refused: int
    read_to_bytes: int
    line_count: int
    reason: str | None
    actor: str | None = None

    @property
    def key_id(self) -> str | None:
        """The key that it came with; None: a command sent it, or that is not known."""
        return None if self.actor is None else key_in(self.actor)

    @property
    def person_id(self) -> str | None:
        """The person who sent it; None: it was none, or that is not known."""
        return None if self.actor is None else person_in(self.actor)

    @property
    def asker_id(self) -> str | None:
        """The key or person whose allowance its rows spend; None: it is slowed by nothing."""
        return self.key_id or self.person_id


async def insert(
    connection: AsyncConnection,
    batch_id: UUID,
    merchant_id: int,
    scopes: frozenset[str],
    format_: Format,
    place: UUID,
    size_bytes: int,
    now: datetime,
    actor: str | None,
) -> None:
    """Record a file that is wholly in the spool of `place`; from here on it is to be posted."""
    values = {
        "batch_id": batch_id,
        "merchant_id": merchant_id,
        "scopes": sorted(scopes),
        "format": format_,
        "place": place,
        "size_bytes": size_bytes,
        "now": now,
        "actor": actor,
    }
    await connection.execute(_INSERT, values)


async def find(connection: AsyncConnection, batch_id: UUID) -> Batch | None:
    row = (await connection.execute(_FIND, {"batch_id": batch_id})).first()
    return None if row is None else _batch(row)


async def running(connection: AsyncConnection, place: UUID) -> list[Batch]:
    """The batches whose files are in this place and not yet posted, the oldest first."""
    return [_batch(row) for row in await connection.execute(_RUNNING, {"place": place})]


async def record(
    connection: AsyncConnection,
    batch_id: UUID,
    first_row: int,
    packed: bytes,
    counts: Counts,
    read_to_bytes: int,
    line_count: int,
) -> None:
    """Keep the results of the rows from first_row on, and how far the file is read after them.

    Those of a batch that was cancelled meanwhile, too: what is posted is posted.
    """
    values = {
        "batch_id": batch_id,
        "first_row": first_row,
        "results": packed,
        "posted": counts.posted,
        "replayed": counts.replayed,
        "refused": counts.refused,
        "read_to_bytes": read_to_bytes,
        "line_count": line_count,
    }
    kept = await connection.execute(_RECORD, values)
    assert kept.rowcount == 1, "whoever holds the file's lock is alone with its batch"


async def finish(
    connection: AsyncConnection, batch_id: UUID, now: datetime, reason: str | None = None
) -> bool:
    """The end of a batch: done, or failed for a reason. False: it is over, and stays as it is."""
    status = "done" if reason is None else "failed"
    values = {"batch_id": batch_id, "status": status, "now": now, "reason": reason}
    return (await connection.execute(_FINISH, values)).rowcount == 1


async def chunks(engine: AsyncEngine, batch_id: UUID) -> AsyncIterator[tuple[int, bytes]]:
    """The packed results of each group with its first row, in order; those recorded so far."""
    after = 0
    while True:
        # No connection is held while a slow reader reads.
        async with engine.connect() as connection:
            found = await connection.execute(_CHUNK, {"batch_id": batch_id, "after": after})
            row = found.first()
        if row is None:
            return
        after = row[0]
        yield after, row[1]


def _batch(row: Row[tuple[object, ...]]) -> Batch:
    values = list(row)
    values[2] = frozenset(values[2])  # type: ignore[call-overload]
    return Batch(*values)  # type: ignore[arg-type]
