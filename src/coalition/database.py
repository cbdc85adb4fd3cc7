"""The way to the database: connecting, migrating, and the embedded server where none is given.

No table is named here but Alembic's own; what is read and written lives in each room's store.
"""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from coalition.postgres import server as embedded
from coalition.settings import Settings

DATABASE = "coalition"
# Where the embedded server holds the test coalition.
TEST_DATABASE = "coalition_test"
CONNECT_TIMEOUT_S = 10
# Long enough for a year's verify, short enough that a dead network is noticed.
STATEMENT_TIMEOUT_S = 600
# Short, so that a pool with nothing left is answered as busy and not waited for.
POOL_TIMEOUT_S = 5
# Any constant: whoever migrates this database waits for the same number.
MIGRATION_LOCK = 7_305_411_904_127_001


def create_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Connections for one process; url reads postgresql+asyncpg://..."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        # What a statement was about is nobody's business but its database's, least of all a log's.
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            "server_settings": {"application_name": DATABASE, "timezone": "UTC", "jit": "off"},
        },
    )


async def migrate(url: str) -> None:
    """Bring the schema to the newest version; processes that do so at once take turns."""
    one_off = create_async_engine(url, poolclass=NullPool)
    try:
        async with one_off.begin() as connection:
            await connection.execute(
                text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
            await connection.run_sync(_upgrade)
    finally:
        await one_off.dispose()


async def is_current(connection: AsyncConnection) -> bool:
    """Whether the schema is the one this program was written for."""
    found = await connection.scalar(text("select to_regclass('alembic_version') is not null"))
    if not found:
        return False
    version = await connection.scalar(text("select max(version_num) from alembic_version"))
    return bool(version == _newest())


async def raw(connection: AsyncConnection) -> asyncpg.Connection:
    """The driver's connection, inside the same database transaction, for the hot paths."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    if not driver.is_in_transaction():
        # SQLAlchemy sends its BEGIN with the first statement, which may be still to come.
        await connection.execute(text("select 1"))
    return driver


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """The url of the database: DATABASE_URL, or the embedded server's for as long as this is open.

    The database exists then, and is perhaps not migrated; so does the embedded server's for the
    test coalition. Raises EmbeddedError.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = await asyncio.to_thread(embedded.start, settings.data_folder)
    try:
        url = embedded.url(server, DATABASE)
        for name in (DATABASE, TEST_DATABASE):
            await _create_missing(embedded.url(server, "postgres"), name)
        yield url
    finally:
        await asyncio.to_thread(embedded.stop, server)


def sandbox_url(settings: Settings, live_url: URL) -> str:
    """The url of the test coalition's database: as it is set, else beside the embedded live one."""
    if settings.test_database_url is not None:
        return settings.test_database_url
    return live_url.set(database=TEST_DATABASE).render_as_string(hide_password=False)


async def _create_missing(maintenance_url: str, name: str) -> None:
    one_off = create_async_engine(maintenance_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    known = text("select datname from pg_database where datname = :name")
    try:
        async with one_off.connect() as connection:
            if await connection.scalar(known, {"name": name}) is not None:
                return
            try:
                await connection.execute(text(f'create database "{name}"'))
            except Exception:
                # Another process of ours may have made it in the meantime.
                if await connection.scalar(known, {"name": name}) is None:
                    raise
    finally:
        await one_off.dispose()


def _upgrade(connection: Connection) -> None:
    config = _alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _alembic_config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@functools.cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(_alembic_config()).get_current_head()
