"""The coalition of crowd.py behind a server: a process of its own or an application in this one.

And what a till sends it, and what its members must have by what it was answered.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import PEPPER

from coalition.keys import store as key_store

REPLAYED = "Idempotent-Replayed"
# Ends every session of this database but the asker's; how many they were.
CUT_SESSIONS = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a till sends it, and again under the same key where no answer came."""

    path: str
    body: dict[str, object]
    key: str


def worth(asked: Mapping[str, Ask], answered: Mapping[str, Mapping[str, object]]) -> int:
    """What all members have together by the answers; a gift stays among them, a hold is theirs."""
    total = 0
    for key, answer in answered.items():
        points = answer["points"]
        assert isinstance(points, int)
        if asked[key].path == "/v1/earns":
            total += points
        elif answer.get("status") == "posted":
            total -= points
    return total


async def key_of(engine: AsyncEngine, merchant: str = "telecom") -> str:
    """A key for all that a till does."""
    async with engine.begin() as connection:
        made = await key_store.create(
            connection,
            pepper=PEPPER.encode(),
            merchant=merchant,
            scopes=["earn", "burn", "transfer", "members"],
            live=True,
            label="till",
            now=datetime.now(UTC),
        )
    return made.text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(database_url: str, port: int, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A server and its worker, in a session of their own: they die together."""
    known = {"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER}
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory"]
    command += ["--port", str(port), "coalition.app:from_environment"]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=os.environ | known | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def kill(server: subprocess.Popen[bytes]) -> None:
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def is_ready(client: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        try:
            return (await client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    return holds


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[None]:
    """Run the application's lifespan in one task from start to stop, in the test's own loop."""
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    task = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not task.done():
            yield
    finally:
        stop.set()
        await task
