"""Where it all happens: one scratch server, a folder for files, and databases made on demand.

What is put into a database is seed.py and closing.py.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from rich.console import Console

from coalition import database
from coalition.postgres import server as embedded
from coalition.postgres.server import SUPERUSER, EmbeddedServer
from coalition.sealing.digests import seal_key

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Place:
    """A running server set up for this machine as `coalition serve` does, and a folder."""

    server: EmbeddedServer
    folder: Path
    console: Console
    pepper: str

    def url(self, name: str, role: str = database.APPLICATION) -> str:
        """A database's address as SQLAlchemy reads it."""
        return embedded.url(self.server, name, role)

    @property
    def seal_key(self) -> bytes:
        return seal_key(self.pepper.encode())

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)


@contextmanager
def open_place(console: Console) -> Iterator[Place]:
    """A fresh server and folder; both are gone at the end, however it ends."""
    with (
        tempfile.TemporaryDirectory(prefix="coalition-bench-") as folder,
        console.status("Starting PostgreSQL"),
        # Ours and the references run on it, so both on the same settings.
        embedded.scratch(options=None) as server,
    ):
        yield Place(server, Path(folder), console, secrets.token_hex(32))


@asynccontextmanager
async def connected(place: Place, name: str) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, by the driver alone, without a limit on how long a statement takes."""
    connection = await asyncpg.connect(place.url(name, SUPERUSER).replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


async def create_database(place: Place, name: str, *, migrated: bool) -> None:
    """An empty database, or one with the product's schema."""
    if migrated:
        await database.set_up(place.server, name)
        await database.migrate(place.url(name, database.OWNER))
        return
    async with connected(place, "postgres") as connection:
        await connection.execute(f'create database "{name}"')


@asynccontextmanager
async def without_triggers(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Load rows that are known to fit each other: no triggers, no foreign keys looked up.

    They have no digests, as rows of before there were any.
    """
    await connection.execute("set session_replication_role = replica")
    await connection.execute("update sealing set begins_at = now()")
    try:
        yield
    finally:
        await connection.execute("reset session_replication_role")


async def settle(connection: asyncpg.Connection) -> None:
    """Leave loaded tables as a server that has been up for long would have them."""
    await connection.execute("vacuum analyze")
    await connection.execute("checkpoint")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one piece of database work to its end."""
    return asyncio.run(work)


def clean_environment() -> dict[str, str]:
    """Our environment without settings that would lead a program to another server."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "COALITION_"))}
