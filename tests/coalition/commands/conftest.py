"""Terminals: on a bare migrated database, and on one where the alliance is synced."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy import make_url
from tests.coalition.commands.terminal import ALLIANCE, Type, typing
from tests.conftest import TEMPLATE


@pytest.fixture
def bare(database_url: str) -> Type:
    """Migrated; no merchant is known."""
    return typing(database_url)


@pytest.fixture
def another_database_url(server_url: str, database_url: str) -> Iterator[str]:
    """A second migrated database, for a test coalition."""
    url = make_url(database_url)
    name = f"{url.database}_another"
    asyncio.run(_execute(server_url, f"create database {name} template {TEMPLATE}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    asyncio.run(_execute(server_url, f"drop database {name} with (force)"))


async def _execute(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def terminal(bare: Type) -> Type:
    """The alliance is synced, and everything that is due is closed."""
    bare("merchants", "sync", ALLIANCE)
    bare("windows", "close", "--all")
    return bare
