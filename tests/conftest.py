"""One embedded PostgreSQL for the whole run; every test that asks gets a database of its own.

With xdist the controlling process starts the server and tells the workers where it is. Nothing
is started for tests that touch no database. What a test connects as is the application's role, so
that a right which migrations/grants.sql forgets is missed at once; tests/owner.py is for tests that
tamper.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import SEAL_KEY

from coalition import database
from coalition.postgres import server as embedded

TEMPLATE = "template_coalition"
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "max_wal_size": "256MB",
}
# A database is some 300 files: cloning one takes 20 ms in memory and ten times that on many disks.
MEMORY = Path("/dev/shm")
MEMORY_FREE_MIN_BYTES = 2 << 30
_open = ExitStack()
_numbers = itertools.count(1)
_server_url: pytest.StashKey[str] = pytest.StashKey()


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop of its own, which no test ever sees."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def _url_of(name: str, server_url: str, role: str) -> str:
    url = make_url(server_url).set(database=name, username=role)
    return url.render_as_string(hide_password=False)


async def _execute(server_url: str, statement: str) -> None:
    plain = server_url.replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _base() -> Path | None:
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_FREE_MIN_BYTES:
        return None
    return MEMORY


def _start(config: pytest.Config) -> str:
    if _server_url not in config.stash:
        server = _open.enter_context(embedded.scratch(options=OPTIONS, base=_base()))
        _finish(_make_template(server))
        config.stash[_server_url] = embedded.url(server, "postgres")
    return config.stash[_server_url]


async def _make_template(server: embedded.EmbeddedServer) -> None:
    await database.set_up(server, TEMPLATE)
    await database.migrate(embedded.url(server, TEMPLATE, database.OWNER))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["server_url"] = _start(node.config)


def pytest_unconfigure() -> None:
    _open.close()


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config) -> str:
    """The maintenance database of the run's server, as its superuser."""
    told: dict[str, str] = getattr(pytestconfig, "workerinput", {})
    return told.get("server_url") or _start(pytestconfig)


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A fresh, migrated database as the application sees it, dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _finish(
        _execute(
            server_url,
            f"create database {name} owner {database.OWNER} template {TEMPLATE} strategy file_copy",
        )
    )
    yield _url_of(name, server_url, database.APPLICATION)
    _finish(_execute(server_url, f"drop database {name} with (force)"))


@pytest.fixture(autouse=True)
def _anchors_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors of processes that a test starts lie apart: one database's are not another's."""
    monkeypatch.setenv("COALITION_ANCHORS", str(tmp_path / "anchors"))


@pytest.fixture
def another_database_url(server_url: str, database_url: str) -> Iterator[str]:
    """A second one beside it, for a test coalition."""
    url = make_url(database_url)
    name = f"{url.database}_another"
    _finish(
        _execute(
            server_url,
            f"create database {name} owner {database.OWNER} template {TEMPLATE} strategy file_copy",
        )
    )
    yield url.set(database=name).render_as_string(hide_password=False)
    _finish(_execute(server_url, f"drop database {name} with (force)"))


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections to the test's own database."""
    engine = database.create_engine(database_url, SEAL_KEY)
    yield engine
    await engine.dispose()
