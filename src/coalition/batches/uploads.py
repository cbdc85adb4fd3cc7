"""Files on their way in: each takes a place before its first byte, and keeps it by coming fast.

A merchant's places are counted in the database, for all processes; each process counts its own,
too, so that whoever asks a thousand times at once is told no without asking there. Where the bytes
go is spool.py.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition import turns
from coalition.errors import CoalitionError, Code

# Files of one merchant that are being sent, wait or are posted; more would only fill the disk.
FILES_MAX = 20
# Files that one process takes in at once, whosever they are.
UPLOADS_MAX = 64
# How fast a file has to come, on the average of each so many seconds, the first ones included.
BYTES_PER_SECOND_MIN = 8_192
WINDOW_S = 30.0
# A place whose process died is free again after so long; one that is kept is noted so often.
PLACE_S = 90.0
RENEW_S = 30.0

_LOCK = text("select pg_advisory_xact_lock(hashtextextended('coalition.uploads', :merchant_id))")
_FORGET = text("delete from upload where good_until < :now")
_TAKE = text("""
    insert into upload (upload_id, merchant_id, good_until)
    select :upload_id, :merchant_id, :good_until
    where (select count(*) from batch where status = 'running' and merchant_id = :merchant_id)
        + (select count(*) from upload where merchant_id = :merchant_id) < :files_max
""")
_RENEW = text("update upload set good_until = :good_until where upload_id = :upload_id")
_RELEASE = text("delete from upload where upload_id = :upload_id")


class NoPlaceError(CoalitionError):
    """Too many files at once: of this merchant, or of everybody at this process."""


class Pace:
    """How fast a file comes. Times are seconds on any clock that never goes back."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._bytes = 0

    def note(self, size_bytes: int, now_s: float) -> None:
        """So many bytes came. Raises malformed where too few did for too long."""
        self._bytes += size_bytes
        took_s = now_s - self._since_s
        if took_s < WINDOW_S:
            return
        if self._bytes < took_s * BYTES_PER_SECOND_MIN:
            detail = (
                f"{self._bytes} bytes of the file came within {took_s:.0f} s: send it again, at "
                f"{BYTES_PER_SECOND_MIN} bytes a second or faster"
            )
            raise CoalitionError(Code.MALFORMED, detail)
        self._since_s, self._bytes = now_s, 0


class Uploads:
    """The places that one process has given out. clock: as the database's times are told."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._taking = asyncio.Lock()
        self._taken: dict[UUID, int] = {}
        self._renew_at_s: dict[UUID, float] = {}

    async def take(self, upload_id: UUID, merchant_id: int) -> None:
        """Take a place, until release() or settle(). Raises NoPlaceError where there is none."""
        if len(self._taken) >= UPLOADS_MAX:
            raise NoPlaceError(Code.BUSY, f"{UPLOADS_MAX} files are being sent here at once")
        if Counter(self._taken.values())[merchant_id] >= FILES_MAX:
            raise _too_many()
        # Before anything is waited for, so that nobody comes in between.
        self._taken[upload_id] = merchant_id
        self._renew_at_s[upload_id] = turns.monotonic_s() + RENEW_S
        try:
            # One after the other, or all the process's connections might wait for one lock.
            async with self._taking, self._engine.begin() as connection:
                await self._take(connection, upload_id, merchant_id)
        except BaseException:
            # Where it is not known whether it was committed, it comes free by itself.
            del self._taken[upload_id], self._renew_at_s[upload_id]
            raise

    async def _take(self, connection: AsyncConnection, upload_id: UUID, merchant_id: int) -> None:
        # Two processes that ask at once are counted one after the other.
        await connection.execute(_LOCK, {"merchant_id": merchant_id})
        await connection.execute(_FORGET, {"now": self._clock()})
        values = {
            "upload_id": upload_id,
            "merchant_id": merchant_id,
            "good_until": self._good_until(),
            "files_max": FILES_MAX,
        }
        if (await connection.execute(_TAKE, values)).rowcount == 0:
            raise _too_many()

    async def keep(self, upload_id: UUID) -> None:
        """Bytes came: note now and then that the place is still in use."""
        now_s = turns.monotonic_s()
        if now_s < self._renew_at_s[upload_id]:
            return
        self._renew_at_s[upload_id] = now_s + RENEW_S
        values = {"upload_id": upload_id, "good_until": self._good_until()}
        # Where the database is away, the place is good for a while yet, and noted next time.
        with contextlib.suppress(Exception):
            async with self._engine.begin() as connection:
                await connection.execute(_RENEW, values)

    async def release(self, upload_id: UUID) -> None:
        """Give the place back; where the database is away, it comes free by itself."""
        if self._taken.pop(upload_id, None) is None:
            return
        del self._renew_at_s[upload_id]
        with contextlib.suppress(Exception):
            async with self._engine.begin() as connection:
                await settle(connection, upload_id)

    def _good_until(self) -> datetime:
        return self._clock() + timedelta(seconds=PLACE_S)


async def settle(connection: AsyncConnection, upload_id: UUID) -> None:
    """The file is recorded as a batch in the same transaction, or given up: it counts no more."""
    await connection.execute(_RELEASE, {"upload_id": upload_id})


def _too_many() -> NoPlaceError:
    return NoPlaceError(
        Code.TOO_MANY_REQUESTS,
        f"{FILES_MAX} of your files are being sent or wait to be posted; send the next when one is "
        "done",
    )
