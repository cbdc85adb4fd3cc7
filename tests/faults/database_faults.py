"""Faults between the program and its database: cut, terminated, refused, lost in the reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.faults.fault import (
    MEMBERS,
    TILLS,
    Fault,
    Place,
    Seen,
    application,
    checked,
    coalition,
    cut_sessions,
    enough,
    shop,
    tally,
    under_load,
)
from tests.faults.tills import Tills
from tests.owner import owner

_COMMIT = b"commit"
_CHUNK_BYTES = 1 << 16


class CuttingProxy:
    """Stands between program and database; of every so manieth commit it swallows the reply.

    The commit itself has reached the database, which has done it: only nobody hears of it.
    """

    def __init__(self, socket_path: str, every: int) -> None:
        self._socket_path = socket_path
        self._every = every
        self.commits = 0
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket_path)
        is_cut = asyncio.Event()
        there = asyncio.create_task(self._forward(reader, server_writer, is_cut))
        back = asyncio.create_task(self._answer(server_reader, writer, is_cut))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        for end in (writer, server_writer):
            end.close()

    async def _forward(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, is_cut: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if _COMMIT in chunk.lower():
                self.commits += 1
                if self.commits % self._every == 0:
                    is_cut.set()
            server.write(chunk)
            await server.drain()

    async def _answer(
        self, server: asyncio.StreamReader, writer: asyncio.StreamWriter, is_cut: asyncio.Event
    ) -> None:
        while chunk := await server.read(_CHUNK_BYTES):
            if is_cut.is_set():
                self.cuts += 1
                return
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def cutting(place: Place, every: int) -> AsyncIterator[tuple[str, CuttingProxy]]:
    """The database's address by way of a proxy that cuts."""
    url = make_url(place.database_url)
    proxy = CuttingProxy(f"{url.query['host']}/.s.PGSQL.{url.query['port']}", every)
    folder = Path(place.folder)
    server = await asyncio.start_unix_server(proxy.serve, folder / ".s.PGSQL.5432")
    host = quote(str(folder), safe="/")
    async with server:
        yield f"postgresql+asyncpg://{url.username}@/{url.database}?host={host}&port=5432", proxy


async def lost_commit_reply(place: Place) -> Seen:
    async with coalition(place) as (engine, key), cutting(place, every=5) as (url, proxy):
        async with application(url, key, place.folder) as client:
            tills = Tills([client], MEMBERS)
            await tills.work(TILLS, 20)
            seen = await tally(engine, tills, Seen(proxy.cuts))
        if not proxy.cuts:
            seen.wrong.append("no reply was cut")
        return seen


async def backend_terminated(place: Place) -> Seen:
    async with shop(place) as (engine, tills):
        times = 10
        async with under_load(tills) as load:
            for _ in range(times):
                await enough(tills, 20, load)
                await cut_sessions(engine)
        return await tally(engine, tills, Seen(times))


async def idle_cut(place: Place) -> Seen:
    """As a firewall does it at night: every connection is gone when the first till asks."""
    async with shop(place) as (engine, tills):
        times = 5
        for _ in range(times):
            await tills.work(TILLS, 3)
            await cut_sessions(engine)
        await tills.work(TILLS, 3)
        return await tally(engine, tills, Seen(times))


# The numbers of a sequence are used up whatever becomes of the transaction that asked.
_REFUSING = (
    "create sequence refusal",
    "grant usage, select on sequence refusal to coalition_app",
    """
    create function refuse_now_and_then() returns trigger language plpgsql as $$
    declare number bigint := nextval('refusal');
    begin
        if number % 6 = 0 then
            raise exception 'could not serialize access' using errcode = '40001';
        elsif number % 6 = 3 then
            raise exception 'deadlock detected' using errcode = '40P01';
        end if;
        return null;
    end $$
    """,
    "create trigger refusing after insert on posting for each statement"
    " execute function refuse_now_and_then()",
)


async def to_be_repeated(place: Place) -> Seen:
    async with shop(place) as (engine, tills):
        await _run(owner(engine), _REFUSING)
        await tills.work(TILLS, 20)
        times = await crowd.value(engine, "select last_value / 3 from refusal")
        seen = await tally(engine, tills, Seen(times))
        if not times:
            seen.wrong.append("nothing was refused")
        return seen


async def _run(engine: AsyncEngine, statements: tuple[str, ...]) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def row_tampered(place: Place) -> Seen:
    """Points put on an account by the database's owner, past the program."""
    async with shop(place) as (engine, tills):
        await tills.work(TILLS, 5)
        seen = await tally(engine, tills, Seen(1))
        await crowd.change(engine, "update account set available = available + 1")
        return await checked(engine, seen)


FAULTS = {
    "lost COMMIT reply": Fault("a proxy swallows every fifth commit's reply", lost_commit_reply),
    "backend terminated": Fault("all sessions terminated under load", backend_terminated),
    "idle connections cut": Fault("all connections cut between two rushes", idle_cut),
    "40001 and 40P01": Fault("every third insert refused, to be repeated", to_be_repeated),
    "row tampered": Fault(
        "a point put on every account by the owner", row_tampered, names_a_breach=True
    ),
}
