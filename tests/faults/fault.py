"""A fault, where it is done, and what came of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.served import CUT_SESSIONS, key_of, running, worth
from tests.faults.tills import Tills
from tests.world import PEPPER, SEAL_KEY

from coalition import database
from coalition.app import create_app
from coalition.settings import read_settings
from coalition.verify import verify

MEMBERS = 8
TILLS = 16


@dataclass
class Seen:
    """What came of a fault. lost: answered and not there; doubled: there more often than asked.

    wrong: in words, whatever else is not as it should be.
    """

    times: int = 0
    saw: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    breaches: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """A migrated database of the fault's own, and a folder."""

    database_url: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Fault:
    """says: what is done, as the table tells it. names_a_breach: verify has to find something.

    on_linux_only: it stands between PostgreSQL and the C library, as only Linux lets it.
    """

    says: str
    do: Callable[[Place], Awaitable[Seen]]
    names_a_breach: bool = False
    on_linux_only: bool = False


@asynccontextmanager
async def coalition(place: Place, members: int = MEMBERS) -> AsyncIterator[tuple[AsyncEngine, str]]:
    """Two merchants and some members in the place's database, looked at from outside; a key."""
    engine = database.create_engine(place.database_url, SEAL_KEY)
    await crowd.found(engine, members=members)
    try:
        yield engine, await key_of(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def application(
    url: str,
    key: str,
    folder: Path,
    *,
    pool_size: int = 10,
    clock: Callable[[], datetime] = lambda: crowd.START,
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application of its own, in this process, on this database."""
    told = read_settings({"DATABASE_URL": url.replace("+asyncpg", ""), "COALITION_PEPPER": PEPPER})
    engine = database.create_engine(url, SEAL_KEY, pool_size=pool_size)
    app = create_app(replace(told, data_folder=folder, **settings), engine, clock=clock)
    transport = httpx.ASGITransport(cast(Any, app), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://till", headers=headers) as client,
    ):
        yield client
    await engine.dispose()


@asynccontextmanager
async def shop(
    place: Place, *, processes: int = 1, **settings: Any
) -> AsyncIterator[tuple[AsyncEngine, Tills]]:
    """Tills at so many applications on the place's database, and that looked at from outside."""
    async with coalition(place) as (engine, key), AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                application(place.database_url, key, place.folder, **settings)
            )
            for _ in range(processes)
        ]
        yield engine, Tills(clients, MEMBERS)


@asynccontextmanager
async def under_load(tills: Tills) -> AsyncIterator[asyncio.Task[None]]:
    """Tills that ask until the end of the block; what they asked by then is answered after it."""
    load = asyncio.create_task(tills.work(TILLS))
    yield load
    tills.stopping = True
    await load


async def tally(engine: AsyncEngine, tills: Tills, seen: Seen, *, rows: int = 0) -> Seen:
    """Hold what the tills were answered against the ledger, and let verify look.

    rows: so many more postings, of a file, of 3 points each.
    """
    seen.lost += await tills.ask_all_again()
    seen.saw.update(tills.saw)
    seen.wrong += tills.wrong
    seen.doubled += tills.doubled
    asked = len(tills.answered) + rows
    keyed = await crowd.value(engine, "select count(*) from posting where request_id is not null")
    seen.lost += max(0, asked - keyed)
    seen.doubled += max(0, keyed - asked)
    there = sum((await crowd.net_worth(engine)).values())
    answered = worth(tills.asked, tills.answered) + 3 * rows
    if there != answered:
        seen.wrong.append(f"members have {there} points, and {answered} by their answers")
    return await checked(engine, seen)


async def checked(engine: AsyncEngine, seen: Seen) -> Seen:
    """What `coalition verify` says."""
    async with engine.connect() as connection:
        seen.breaches += [f"{one.rule}: {one.row}" for one in await verify(connection)]
    return seen


async def cut_sessions(engine: AsyncEngine) -> int:
    """Terminate every session of this database but our own."""
    return await crowd.value(engine, CUT_SESSIONS)


async def enough(tills: Tills, more: int, load: asyncio.Task[None]) -> None:
    """Wait until so many more requests are answered, or the load has ended by itself."""
    goal = len(tills.answered) + more

    async def holds() -> bool:
        return len(tills.answered) >= goal or load.done()

    await crowd.until(holds, f"{more} more requests are answered")
