"""The test coalition at the command line: where it is, making it ready, and opening it.

It has the merchants and terms of the live one, and members, points and keys of its own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.api.proposals import propose_sync
from coalition.audit.actor import Actor
from coalition.clearing.service import ensure_first_window
from coalition.commands.shared import check_schema, check_synced, typed
from coalition.database import create_engine, is_current, migrate, owner_url, sandbox_url
from coalition.errors import CoalitionError
from coalition.failures import in_a_line
from coalition.keys.mode import is_marked, mark
from coalition.sealing.digests import seal_key
from coalition.settings import Settings
from coalition.terms.changes import Change
from coalition.terms.folder import read_folder
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms


@dataclass(frozen=True, slots=True)
class Filled:
    """What a sync changed; or, where that needs a second person, the id of the proposal."""

    changes: list[Change]
    approval_id: str | None = None


def has_sandbox(settings: Settings) -> bool:
    """Whether there is a test coalition: one is named, or the embedded server holds it."""
    return settings.database_url is None or settings.test_database_url is not None


async def fill(
    engine: AsyncEngine,
    house: HouseTerms,
    terms: list[Terms],
    actor: Actor,
    *,
    is_live: bool,
) -> Filled:
    """Sync a migrated database, open its first window, and mark whose it is; what was changed.

    Where there is an approver, what would change is proposed instead.
    Raises CoalitionError, invalid, where it is the other coalition's.
    """
    async with engine.begin() as connection:
        await mark(connection, is_live=is_live)
        now = datetime.now(UTC)
        approval_id = await propose_sync(connection, house, terms, now, actor)
        if approval_id is not None:
            return Filled([], approval_id)
        changes = await sync(connection, house, terms, now, actor)
        await ensure_first_window(connection, house)
    return Filled(changes)


async def fill_sandbox(
    engine: AsyncEngine,
    settings: Settings,
    house: HouseTerms,
    terms: list[Terms],
    actor: Actor,
) -> str | None:
    """Give the test coalition the live one's terms; why it keeps its own, None where it need not.

    engine: the live one's. Its windows are closed by whoever tries that out, so that a price that
    the live coalition takes may reach into one of them.
    """
    url = sandbox_url(settings, engine.url)
    sandbox = create_engine(url, seal_key(settings.pepper), pool_size=1)
    try:
        if settings.test_database_url is None:
            await migrate(owner_url(settings, url))
        async with sandbox.connect() as connection:
            await check_schema(connection)
        await fill(sandbox, house, terms, actor, is_live=False)
    except (CoalitionError, click.ClickException) as refused:
        return str(refused)
    except (OSError, DBAPIError) as away:
        return in_a_line(away)
    finally:
        await sandbox.dispose()
    return None


@asynccontextmanager
async def opened_sandbox(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The test coalition's database, made ready where it is in our own embedded server.

    engine: the live one's. Raises ClickException where there is none, or it is not ready.
    """
    if not has_sandbox(settings):
        raise click.ClickException(
            "there is no test coalition, and a test key is good for nothing else: "
            "name an empty database in COALITION_TEST_DATABASE_URL, then coalition migrate and "
            "coalition merchants sync"
        )
    url = sandbox_url(settings, engine.url)
    sandbox = create_engine(url, seal_key(settings.pepper), pool_size=2)
    try:
        if settings.test_database_url is None:
            await migrate(owner_url(settings, url))
            if not await _is_ready(sandbox):
                house, terms = read_folder(settings.merchants_folder)
                await fill(sandbox, house, terms, typed("serve"), is_live=False)
        else:
            await _check(sandbox)
        yield sandbox
    finally:
        await sandbox.dispose()


@asynccontextmanager
async def looking_into_sandbox(
    engine: AsyncEngine, settings: Settings
) -> AsyncIterator[AsyncConnection | None]:
    """A connection to look for something in the test coalition; None where there is nothing to see.

    Whatever is wrong with it is said, and must not stand in the way of the live one's keys.
    """
    if not has_sandbox(settings):
        yield None
        return
    sandbox = create_engine(
        sandbox_url(settings, engine.url), seal_key(settings.pepper), pool_size=1
    )
    try:
        async with AsyncExitStack() as stack:
            connection = None
            try:
                connection = await stack.enter_async_context(sandbox.connect())
                if not await is_current(connection):
                    connection = None
            except (OSError, DBAPIError) as error:
                told = f"The test coalition's database cannot be read: {in_a_line(error)}"
                click.echo(told, err=True)
            yield connection
    finally:
        await sandbox.dispose()


async def _is_ready(sandbox: AsyncEngine) -> bool:
    async with sandbox.connect() as connection:
        return await is_marked(connection, is_live=False)


async def _check(sandbox: AsyncEngine) -> None:
    try:
        async with sandbox.connect() as connection:
            await check_synced(connection)
        is_ready = await _is_ready(sandbox)
    except click.ClickException as mistake:
        raise click.ClickException(f"The test coalition: {mistake.message}") from mistake
    if not is_ready:
        raise click.ClickException(
            "COALITION_TEST_DATABASE_URL names a database that is not known as a test coalition's: "
            "coalition merchants sync makes it one, where it holds no movements and no keys"
        )
