"""The one door: post(requests) -> outcomes. Load, decide, store, in one database transaction.

Here stand the retries: what to do when the database refuses a group, or is lost in the middle. What
a command does is decided in decide.py; who calls the door together is group_commit.py.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.audit.actor import Actor, of_job
from coalition.audit.windows import noting_closes
from coalition.errors import Code
from coalition.failures import in_full
from coalition.ledger.beginning import BEGIN_AT, HAS_BEGUN, HOLD_OFF_IMPORTS
from coalition.ledger.commands import Outcome, Refused, Request
from coalition.ledger.connection import KeptConnection
from coalition.ledger.decide import decide
from coalition.ledger.load import load
from coalition.ledger.save import save
from coalition.ledger.sealed import seal
from coalition.sealing.key import key_of
from coalition.terms.book import Book
from coalition.terms.store import load_book
from coalition.turns import Turn
from settlement.service import WindowBusyError, flip_due
from settlement.window import Calendar, Window

log = structlog.get_logger()

ATTEMPTS_MAX = 6
BACKOFF_S = 0.02
# How long a group waits for an account that somebody else has locked. Longer than a closing window
# makes postings wait, and with all the shorter waits after it shorter than a till does.
LOCK_TIMEOUT_MS = 2_000
LOCK_TIMEOUT_MS_MIN = 100

# Every statement of a posting looks rows up by their keys. A plan made while a table was small
# would scan it, and would be kept while it grows.
_BEGIN = "begin; set local lock_timeout = {lock_timeout_ms}; set local enable_seqscan = off"

_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.LockNotAvailableError,
    # A fault of our own in deciding one command must not fail its neighbours either.
    ArithmeticError,
    AssertionError,
    LookupError,
    TypeError,
    ValueError,
)


class Ledger:
    """A database with the book in memory. One a process; several processes may share a database."""

    def __init__(self, engine: AsyncEngine, *, imports: bool = False) -> None:
        """imports: what is posted is history, brought along before the coalition begins."""
        self.engine = engine
        self._imports = imports
        self._seal_key = key_of(engine)
        self._book: Book | None = None
        self._synced_at: datetime | None = None
        # Whether anything was ever posted live. Once it was, it stays so.
        self._has_begun = False

    @property
    def book(self) -> Book:
        assert self._book is not None, "start() loads the book"
        return self._book

    async def start(self) -> None:
        """Load the merchants' terms and the windows."""
        await self.refresh()

    async def refresh(self) -> None:
        """Load the book again: the terms were synced, or a window was closed."""
        async with self.engine.begin() as connection:
            self._book = await load_book(connection)

    async def _is_refreshed(self) -> bool:
        """Load the book again; False where the database went away meanwhile."""
        try:
            await self.refresh()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return False
        return True

    async def post(
        self, requests: Sequence[Request], kept: KeptConnection | None = None
    ) -> list[Outcome]:
        """Decide and store `requests` in order. Each succeeds or fails by itself.

        Outcomes are in the order of the requests. When this returns, everything that is Done is
        durable. `kept` is the connection of a caller that posts again and again. Raises what the
        database raised where it cannot be reached at all.
        """
        if not requests:
            return []
        if kept is not None:
            return await self._post_apart(requests, kept, LOCK_TIMEOUT_MS)
        kept = KeptConnection(self.engine)
        try:
            return await self._post_apart(requests, kept, LOCK_TIMEOUT_MS)
        finally:
            await kept.close()

    async def _post_apart(
        self, requests: Sequence[Request], kept: KeptConnection, lock_timeout_ms: int
    ) -> list[Outcome]:
        try:
            return await self._post_together(requests, kept, lock_timeout_ms)
        except _REFUSED as error:
            if len(requests) == 1:
                return [_refusal(error)]
            if isinstance(error, asyncpg.LockNotAvailableError):
                # Half as long each time, or one locked account would hold up its neighbours for
                # as many whole waits as it takes to find it.
                lock_timeout_ms = max(lock_timeout_ms // 2, LOCK_TIMEOUT_MS_MIN)
            # One of them is refused by the database itself: find it, and let the rest pass.
            middle = len(requests) // 2
            first = await self._post_apart(requests[:middle], kept, lock_timeout_ms)
            return first + await self._post_apart(requests[middle:], kept, lock_timeout_ms)

    async def _post_together(
        self, requests: Sequence[Request], kept: KeptConnection, lock_timeout_ms: int
    ) -> list[Outcome]:
        uniqueness_retried = False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self._attempt(requests, kept, lock_timeout_ms)
            except _BookChangedError as changed:
                # Read the book outside, or a writer would hold one connection and wait for another.
                if await self._is_refreshed():
                    self._synced_at = changed.synced_at
                continue
            except _NotBegunError as first:
                try:
                    await self._begin(first.now)
                except WindowBusyError as busy:
                    return [Refused(Code.BUSY, str(busy))] * len(requests)
                continue
            except _ImportingError as importing:
                return [Refused(Code.BUSY, str(importing))] * len(requests)
            except _AGAIN:
                if attempt == ATTEMPTS_MAX:
                    raise
            except asyncpg.UniqueViolationError:
                # Another process posted under the same key meanwhile; the second look finds it.
                if uniqueness_retried:
                    raise
                uniqueness_retried = True
            except ConnectionLostError:
                # Whether the commit arrived is unknown. Under their keys the same requests find
                # what was posted, so asking again is safe.
                if attempt == ATTEMPTS_MAX:
                    raise
            await asyncio.sleep(BACKOFF_S * 2**attempt * random.random())
        raise ConnectionLostError("the merchants' terms changed again and again meanwhile")

    async def _attempt(
        self, requests: Sequence[Request], kept: KeptConnection, lock_timeout_ms: int
    ) -> list[Outcome]:
        driver = await kept.driver()
        try:
            # One round trip for all; asyncpg's own transaction() would take one more.
            await driver.execute(_BEGIN.format(lock_timeout_ms=lock_timeout_ms))
            outcomes = await self._post_in(driver, requests)
            await driver.execute("commit")
        except BaseException as error:
            if driver.is_closed() or not isinstance(error, Exception):
                await kept.drop()
            else:
                await _roll_back(kept, driver)
            if isinstance(error, asyncpg.DatatypeMismatchError):
                raise SchemaChangedError("start this process again: " + str(error)) from error
            if driver.is_closed() and isinstance(error, Exception):
                raise ConnectionLostError(str(error)) from error
            raise
        return outcomes

    async def _post_in(
        self, driver: asyncpg.Connection, requests: Sequence[Request]
    ) -> list[Outcome]:
        book = self.book
        state, synced_at = await load(driver, requests, book)
        open_known = book.windows and book.windows[-1].window_id
        if state.window.window_id != open_known or synced_at != self._synced_at:
            raise _BookChangedError(synced_at)
        state.is_import = self._imports
        outcomes: list[Outcome] = []
        turn = Turn()
        for request in requests:
            outcomes.append(decide(request, state, book))
            # A purchase of 500 items takes a hundred times as long as another.
            if turn.is_over:
                await turn.give_way()
        if state.new_postings and not (self._has_begun or self._imports):
            await _note_beginning(driver, state.window, max(request.now for request in requests))
        seal(state, self._seal_key)
        await save(driver, state)
        self._has_begun = self._has_begun or bool(state.new_postings)
        return outcomes

    async def _begin(self, now: datetime) -> None:
        """Flip the windows before the first live posting, so that it falls into its own.

        Nothing is closed by itself before something is posted live (jobs.py), so that a coalition
        may bring its history along; the calendar may have moved on for years by then.
        """
        house, zone = self.book.house, self.book.house_zone
        calendar = Calendar(house.window_rule, zone, house.first_window_on)
        actor = Actor(of_job("beginning"))
        await flip_due(self.engine, calendar, now, noting_closes(actor, now))
        await self.refresh()


class _BookChangedError(Exception):
    """Terms were synced, or a window was closed, since the book was loaded."""

    def __init__(self, synced_at: datetime) -> None:
        super().__init__()
        self.synced_at = synced_at


class _NotBegunError(Exception):
    """The first live posting of all comes when the calendar has moved on from the open window."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.now = now


class _ImportingError(Exception):
    """The first live posting of all comes while history is still on its way in."""


class SchemaChangedError(Exception):
    """A migration changed a table under this process, which has to be started again."""


class ConnectionLostError(Exception):
    """The database went away in the middle of a group, and stayed away."""


async def _note_beginning(driver: asyncpg.Connection, window: Window, now: datetime) -> None:
    """Note the first live posting in its own transaction; where there was one, do nothing."""
    if await driver.fetchval(HAS_BEGUN):
        return
    if not await driver.fetchval(HOLD_OFF_IMPORTS):
        raise _ImportingError(
            "The coalition's history is being imported; post again when coalition import is done."
        )
    if window.closes_at <= now:
        raise _NotBegunError(now)
    await driver.execute(BEGIN_AT, now)


async def _roll_back(kept: KeptConnection, driver: asyncpg.Connection) -> None:
    try:
        await driver.execute("rollback")
    except Exception:
        await kept.drop()


def _refusal(error: Exception) -> Refused:
    if isinstance(error, asyncpg.LockNotAvailableError):
        return Refused(Code.BUSY, "This member's account is locked by other work; try again.")
    log.error("command_failed", exception=in_full(error))
    return Refused(Code.INTERNAL, "This posting failed for a reason of ours; nothing was changed.")
