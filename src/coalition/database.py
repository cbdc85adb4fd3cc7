"""The way to the database: connecting, migrating, and the embedded server where none is given.

Two roles go that way: the owner, who migrates and seals, and the application, which does everything
else and may do only what migrations/grants.sql says. No table is named here but Alembic's own; what
is read and written lives in each room's store.
"""

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from coalition.postgres import server as embedded
from coalition.postgres.server import EmbeddedServer
from coalition.postgres.tls import connecting
from coalition.settings import Settings, SettingsError

DATABASE = "coalition"
# As postgres/roles.sql makes them and migrations/grants.sql names them.
OWNER = "coalition_owner"
APPLICATION = "coalition_app"
# Where the embedded server holds the test coalition.
TEST_DATABASE = "coalition_test"
CONNECT_TIMEOUT_S = 10
# Long enough for a year's verify, short enough that a dead network is noticed.
STATEMENT_TIMEOUT_S = 600
# Short, so that a pool with nothing left is answered as busy and not waited for.
POOL_TIMEOUT_S = 5
# Any constant: whoever migrates this database waits for the same number.
MIGRATION_LOCK = 7_305_411_904_127_001
# The execution option under which an engine carries the key of digests.
SEAL_KEY = "seal_key"
_ROLES = Path(__file__).parent / "postgres" / "roles.sql"
_GRANTS = Path(__file__).parent / "migrations" / "grants.sql"


def create_engine(url: str, seal_key: bytes, *, pool_size: int = 10) -> AsyncEngine:
    """Connections for one process; url reads postgresql+asyncpg://...

    seal_key (sealing/digests.py): what is written by them is sealed with it.
    """
    address, encryption = connecting(url)
    return create_async_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        # What a statement was about is nobody's business but its database's, least of all a log's.
        hide_parameters=True,
        execution_options={SEAL_KEY: seal_key},
        connect_args={
            **encryption,
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            "server_settings": {"application_name": DATABASE, "timezone": "UTC", "jit": "off"},
        },
    )


async def migrate(url: str) -> None:
    """Bring the schema to the newest version, and the application's rights with it.

    url is the owner's. Processes that migrate at once take turns. Raises SettingsError where the
    role may not.
    """
    one_off = _one_off(url)
    try:
        async with one_off.begin() as connection:
            await connection.execute(
                text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
            if not await is_current(connection):
                await _check_owner(connection)
                await connection.run_sync(_upgrade)
            await _grant(connection)
    finally:
        await one_off.dispose()


async def _check_owner(connection: AsyncConnection) -> None:
    may = text("select has_schema_privilege('public', 'create'), current_user")
    may_create, role = (await connection.execute(may)).one()
    if not may_create:
        raise SettingsError(
            f"the role {role} may not change the schema; give the address of the one that owns it, "
            f"such as {OWNER}, in COALITION_OWNER_URL"
        )


async def _grant(connection: AsyncConnection) -> None:
    """Give the application its rights, where its role is there and they are not these already.

    To give them twice would do no harm but have every server plan its statements anew.
    """
    role = await connection.scalar(
        text("select cast(oid as bigint) from pg_roles where rolname = :role"),
        {"role": APPLICATION},
    )
    if role is None:
        return
    script = _GRANTS.read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).hexdigest()
    mark = f"grants {digest} to {role} at {_newest()}"
    if await connection.scalar(text("select obj_description('alembic_version'::regclass)")) == mark:
        return
    driver = await raw(connection)
    await driver.execute(script)
    await driver.execute(f"comment on table alembic_version is '{mark}'")


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
    """The application's url of the database: DATABASE_URL, or the embedded server's while open.

    The database exists then, and is perhaps not migrated: owner_url() is for that; so does the
    embedded server's for the test coalition. Raises EmbeddedError.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = await asyncio.to_thread(embedded.start, settings.data_folder)
    try:
        url = await set_up(server, DATABASE)
        await set_up(server, TEST_DATABASE)
        yield url
    finally:
        await asyncio.to_thread(embedded.stop, server)


def owner_url(settings: Settings, url: str) -> str:
    """The owner's way to the database of `url`; where no owner is named, as `url` says."""
    if settings.database_url is not None and settings.owner_url is None:
        return url
    if settings.owner_url is None:
        owners = make_url(url).set(username=OWNER)
    else:
        # One owner for all databases of its server.
        owners = make_url(settings.owner_url).set(database=make_url(url).database)
    return owners.render_as_string(hide_password=False)


def sandbox_url(settings: Settings, live_url: URL) -> str:
    """The url of the test coalition's database: as it is set, else beside the embedded live one."""
    if settings.test_database_url is not None:
        return settings.test_database_url
    return live_url.set(database=TEST_DATABASE).render_as_string(hide_password=False)


async def set_up(server: EmbeddedServer, name: str) -> str:
    """Make the database of this name, its two roles and their hold on it, whatever is missing.

    Answers the application's url. A database of before, which its superuser owned, goes over.
    """
    outside = _one_off(embedded.url(server, "postgres"))
    inside = _one_off(embedded.url(server, name))
    try:
        async with outside.begin() as connection:
            # Roles are the whole server's: one process makes them, whichever its database.
            await connection.execute(
                text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
            await _create_missing(connection, outside, name)
            async with inside.begin() as within:
                await (await raw(within)).execute(_ROLES.read_text(encoding="utf-8"))
    finally:
        await outside.dispose()
        await inside.dispose()
    return embedded.url(server, name, APPLICATION)


async def _create_missing(connection: AsyncConnection, outside: AsyncEngine, name: str) -> None:
    known = text("select exists (select from pg_database where datname = :name)")
    if not await connection.scalar(known, {"name": name}):
        alone = outside.execution_options(isolation_level="AUTOCOMMIT")
        async with alone.connect() as maker:
            await maker.execute(text(f'create database "{name}"'))
    # Only the superuser comes to this one, to make others; nothing is kept in it.
    is_open = text("select has_database_privilege('public', 'postgres', 'connect')")
    if await connection.scalar(is_open):
        await connection.execute(text("revoke connect on database postgres from public"))


def _one_off(url: str) -> AsyncEngine:
    """For one connection, without a limit on how long a statement takes."""
    address, encryption = connecting(url)
    return create_async_engine(address, poolclass=NullPool, connect_args=encryption)


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
