"""Faults below the database: its process killed, its disk full, its disk slow.

Each on a server of its own, with fsync on. The disk is disk.c, between PostgreSQL and the real one.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.faults.fault import (
    TILLS,
    Fault,
    Place,
    Seen,
    enough,
    shop,
    tally,
    under_load,
)
from tests.faults.tills import Tills

from coalition import database
from coalition.postgres import programs
from coalition.postgres import server as embedded
from coalition.postgres.server import EmbeddedServer

# Nothing here changes what a commit promises.
OPTIONS = {"max_connections": "50", "shared_buffers": "32MB", "autovacuum": "off"}
SOURCE = Path(__file__).with_name("disk.c")
FULL, SLOW, SOUND = "F", "S", "-"


class Disk:
    """What the server's disk is like from now on."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "disk.so"
        self.control = folder / "disk"
        self.become(SOUND)
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE, "-ldl"], check=True
        )
        self.library.chmod(0o755)

    def become(self, state: str) -> None:
        self.control.write_text(state)
        self.control.chmod(0o644)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the server's account can walk into; a test's own is closed to it."""
    with tempfile.TemporaryDirectory(prefix="coalition-fault-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def _preloaded(disk: Disk) -> Iterator[None]:
    """Servers that are started meanwhile write to that disk."""
    told = {"LD_PRELOAD": str(disk.library), "FAULT_DISK": str(disk.control)}
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            del os.environ[name]


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[tuple[EmbeddedServer, str]]:
    """A server, and the address of a migrated database on it."""
    server = embedded.start(folder, options=OPTIONS)
    try:
        url = await database.set_up(server, database.DATABASE)
        await database.migrate(embedded.url(server, database.DATABASE, database.OWNER))
        yield server, url
    finally:
        embedded.stop(server)


async def postgres_killed(place: Place) -> Seen:
    with _folder() as folder:
        async with (
            _server(folder) as (server, url),
            shop(Place(url, place.folder)) as (engine, tills),
        ):
            kills = 2
            async with under_load(tills) as load:
                for _ in range(kills):
                    await enough(tills, 30, load)
                    await _kill(server)
                    again = await asyncio.to_thread(embedded.start, folder, options=OPTIONS)
                    again.presence.close()
                await enough(tills, 30, load)
            return await tally(engine, tills, Seen(kills))


async def _kill(server: EmbeddedServer) -> None:
    recorded = programs.recorded_postmaster(server.data_folder)
    assert recorded is not None
    os.kill(recorded[0], signal.SIGKILL)

    async def is_gone() -> bool:
        return not programs.is_postmaster(recorded[0], server.data_folder)

    await crowd.until(is_gone, "PostgreSQL is gone")


@asynccontextmanager
async def _shop_on_disk(
    place: Place, **settings: Any
) -> AsyncIterator[tuple[Disk, AsyncEngine, Tills]]:
    """Tills at a server whose disk is ours to fill and to slow."""
    with _folder() as folder:
        disk = Disk(folder)
        with _preloaded(disk):
            async with (
                _server(folder) as (_, url),
                shop(Place(url, place.folder), **settings) as (engine, tills),
            ):
                yield disk, engine, tills


async def disk_full(place: Place) -> Seen:
    async with _shop_on_disk(place) as (disk, engine, tills):
        times = 2
        async with under_load(tills) as load:
            for _ in range(times):
                await enough(tills, 50, load)
                refused = tills.saw["503"]
                disk.become(FULL)

                async def is_told(refused: int = refused) -> bool:
                    return tills.saw["503"] >= refused + 20 or load.done()

                await crowd.until(is_told, "the tills are told that the disk is full")
                disk.become(SOUND)
            await enough(tills, 50, load)
        return await tally(engine, tills, Seen(times))


async def disk_slow(place: Place) -> Seen:
    async with _shop_on_disk(place, wait_s_max=1) as (disk, engine, tills):
        disk.become(SLOW)
        await tills.work(TILLS, 5)
        disk.become(SOUND)
        return await tally(engine, tills, Seen(TILLS * 5))


FAULTS = {
    "kill -9 of PostgreSQL": Fault("killed and started again under 16 tills", postgres_killed),
    "disk full": Fault(
        "nothing could grow until 20 tills were told", disk_full, on_linux_only=True
    ),
    "a slow disk": Fault("a third of a second more for every flush", disk_slow, on_linux_only=True),
}
