"""How far each file of history is imported, one row a file; and postings found by their keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit import store as audit
from coalition.audit.actor import NOT_KNOWN, Actor

_START = text("""
    insert into import_file (digest, name, started_at) values (:digest, :name, :now)
    on conflict (digest) do nothing
""")
_FIND = text("""
    select digest, posted, replayed, refused, read_to_bytes, line_count, results_bytes, clock_at,
           finished_at
    from import_file where digest = :digest
""")
_CLOCK = text("select max(clock_at) from import_file")
_RECORD = text("""
    update import_file set posted = :posted, replayed = :replayed, refused = :refused,
        read_to_bytes = :read_to_bytes, line_count = :line_count, results_bytes = :results_bytes,
        clock_at = :clock_at
    where digest = :digest
""")
_FINISH = text("update import_file set finished_at = :now where digest = :digest")
_POSTED = text("""
    select request_id, member_id, posting_no from posting where request_id = any(:request_ids)
""")


@dataclass(frozen=True, slots=True)
class Progress:
    """A file, named by the SHA-256 of its content, and how far it is imported.

    results_bytes: how long the file of its results is then. clock_at: its latest movement so far.
    """

    digest: bytes
    posted: int
    replayed: int
    refused: int
    read_to_bytes: int
    line_count: int
    results_bytes: int
    clock_at: datetime | None
    finished_at: datetime | None


async def start(
    connection: AsyncConnection,
    digest: bytes,
    name: str,
    now: datetime,
    actor: Actor = NOT_KNOWN,
) -> Progress:
    """How far this file is; from the beginning where it is new."""
    begun = await connection.execute(_START, {"digest": digest, "name": name, "now": now})
    if begun.rowcount:
        # By its digest: a file may be called by a person's name.
        await audit.record(connection, actor, now, "import.start", digest.hex())
    return Progress(*(await connection.execute(_FIND, {"digest": digest})).one())


async def clock(connection: AsyncConnection) -> datetime | None:
    """The latest movement of all files so far."""
    found: datetime | None = await connection.scalar(_CLOCK)
    return found


async def record(connection: AsyncConnection, progress: Progress) -> None:
    values = {
        name: getattr(progress, name)
        for name in Progress.__slots__
        if name != "finished_at"
    }  # fmt: skip
    await connection.execute(_RECORD, values)


async def finish(connection: AsyncConnection, digest: bytes, now: datetime) -> None:
    await connection.execute(_FINISH, {"digest": digest, "now": now})


async def posted_under(
    connection: AsyncConnection, request_ids: Iterable[UUID]
) -> dict[UUID, tuple[int, int]]:
    """(member_id, posting_no) of what was posted under these keys."""
    asked = list(request_ids)
    if not asked:
        return {}
    found = await connection.execute(_POSTED, {"request_ids": asked})
    return {UUID(int=row.request_id.int): (row.member_id, row.posting_no) for row in found}
