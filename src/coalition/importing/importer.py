"""The way in for a coalition's history: enrol, let time pass, post, in the order in which it was.

Everything goes through the ledger's one door, with the clock of its own time, and is marked as
imported. It ends for good with the first live posting. Reading a file of history is files.py.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor, of_command
from coalition.clearing.service import close_due
from coalition.errors import CoalitionError, Code
from coalition.importing.members import Newcomer, enrol_all
from coalition.jobs import expire_due, void_stale
from coalition.ledger.beginning import END_IMPORT, HAS_BEGUN, START_IMPORT
from coalition.ledger.commands import Outcome, Refused, Request
from coalition.ledger.post import Ledger
from coalition.members.store import Enrolled
from coalition.sealing.encryption import Keyring
from coalition.wire.movements import EARLIEST
from settlement.window import midnight

POST_MAX = 2_000
_ACTOR = Actor(of_command("import"))

# What time does next: after a moment and a day that have passed.
_NEXT = text("""
    select (select closes_at from settlement_window where status = 'open') as closes_at,
           (select min(hold_expires_at) from burn
            where status = 'held' and hold_expires_at > :after) as hold_expires_at,
           (select min(expires_next_on) from account where expires_next_on >= :today) as last_day
""")


class _Next(NamedTuple):
    """What is due at a moment: to close windows, to lapse points, to void holds."""

    at: datetime
    closes: bool
    lapses: bool
    voids: bool


@asynccontextmanager
async def importing(engine: AsyncEngine, ring: Keyring) -> AsyncIterator["Importer"]:
    """An importer of this coalition's history, alone with it until the end of the block.

    ring seals what names the members.

    Raises CoalitionError: invalid where the coalition has begun, busy where another import runs,
    not_found where no merchants were synced.
    """
    async with engine.connect() as connection:
        if not await connection.scalar(text(START_IMPORT)):
            raise CoalitionError(
                Code.BUSY, "another import is under way, or the first posting is; try again later"
            )
        try:
            await _check_not_begun(connection)
            # The lock is the session's; no database transaction waits beside the import.
            await connection.commit()
            ledger = Ledger(engine, imports=True)
            await ledger.start()
            yield Importer(ledger, ring)
        finally:
            await connection.rollback()
            await connection.execute(text(END_IMPORT))
            await connection.commit()


async def _check_not_begun(connection: AsyncConnection) -> None:
    if await connection.scalar(text(HAS_BEGUN)):
        began_at = await connection.scalar(text("select began_at from beginning"))
        raise CoalitionError(
            Code.INVALID,
            f"this coalition has begun: its first live posting was at {began_at.isoformat()}, and "
            "history is imported only before that; import it into a new database",
        )


class Importer:
    """History on its way in. One a coalition; importing() hands it out.

    Time passes only by pass_to(), and never back. Requests may be posted side by side as long as
    each member's are posted in order.
    """

    def __init__(self, ledger: Ledger, ring: Keyring) -> None:
        self.ledger = ledger
        self._ring = ring
        self._done_until = EARLIEST
        window = ledger.book.windows[-1]
        self._passed_to = window.opens_at

    @property
    def passed_to(self) -> datetime:
        """Until when time has passed: no movement may be older. At first, since the open window."""
        return self._passed_to

    async def enrol(self, newcomers: Sequence[Newcomer]) -> list[Enrolled | Refused]:
        """Make members with the cards that they have already; in the order of the newcomers."""
        async with self.ledger.engine.begin() as connection:
            return await enrol_all(connection, newcomers, self._ring)

    async def pass_to(self, moment: datetime) -> int:
        """Let time pass: windows close, points lapse and holds end, each at its own moment.

        Answers how many points lapsed or came back.
        """
        moved = 0
        while (due := await self._next()) is not None and due.at <= moment:
            engine, ledger = self.ledger.engine, self.ledger
            # Windows first: points that lapse with a day's end count in the window that begins
            # then.
            if due.closes:
                await close_due(engine, due.at, actor=_ACTOR)
                await ledger.refresh()
            if due.lapses:
                moved += await expire_due(ledger, due.at)
            if due.voids:
                moved += await void_stale(ledger, due.at)
            self._done_until = due.at
        self._passed_to = max(self._passed_to, moment)
        return moved

    async def _next(self) -> _Next | None:
        book = self.ledger.book
        known = {"after": self._done_until, "today": book.today(self._done_until)}
        async with self.ledger.engine.connect() as connection:
            found = (await connection.execute(_NEXT, known)).one()
        lapse_at = self._lapse_at(found.last_day)
        times = [at for at in (found.closes_at, found.hold_expires_at, lapse_at) if at is not None]
        if not times:
            return None
        at = min(times)
        return _Next(at, found.closes_at == at, lapse_at == at, found.hold_expires_at == at)

    def _lapse_at(self, last_day: date | None) -> datetime | None:
        if last_day is None:
            return None
        return midnight(last_day + timedelta(days=1), self.ledger.book.house_zone)

    async def post(self, requests: Sequence[Request]) -> list[Outcome]:
        """Post requests in order, each at its own `now`; outcomes in the order of the requests."""
        assert all(request.now >= self._passed_to for request in requests), "time has passed"
        outcomes: list[Outcome] = []
        for start in range(0, len(requests), POST_MAX):
            outcomes += await self.ledger.post(requests[start : start + POST_MAX])
        return outcomes
