"""What every command needs: the settings, a database to talk to, and how mistakes are told."""

import asyncio
import os
import pwd
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import asyncpg
import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor, of_command
from coalition.database import create_engine, is_current, migrate, open_database, owner_url
from coalition.errors import CoalitionError
from coalition.postgres.server import EmbeddedError
from coalition.sealing.digests import seal_key
from coalition.sealing.encryption import Keyring
from coalition.settings import Settings, SettingsError, read_settings
from coalition.terms.book import HOUSE_ID
from settlement.rule import CalendarError

P = ParamSpec("P")
T = TypeVar("T")

# For tables and progress; a sentence goes out by click.echo, which breaks no line in two.
console = Console(highlight=False)

KNOWN_MISTAKES = (CalendarError, CoalitionError, EmbeddedError, SettingsError)
_DATABASE_ERRORS = (OSError, DBAPIError, asyncpg.PostgresError)


def example(*lines: str) -> str:
    """The end of a command's --help: what one types."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def runs(command: Callable[P, Coroutine[None, None, T]]) -> Callable[P, T]:
    """Run an async command to its end, and tell what the user can put right without a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with told():
            try:
                return asyncio.run(_until_ended(command(*args, **kwargs)))
            except asyncio.CancelledError:
                sys.exit(128 + signal.SIGTERM)

    return run


async def _until_ended(work: Coroutine[None, None, T]) -> T:
    task = asyncio.current_task()
    # SIGTERM ends a command as Ctrl-C does: what it opened is closed. Python hears signals in its
    # main thread only.
    if task is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


@contextmanager
def told() -> Iterator[None]:
    """Tell what the user can put right as one message; COALITION_TRACEBACK shows all of it."""
    try:
        yield
    except KNOWN_MISTAKES as mistake:
        raise click.ClickException(str(mistake)) from mistake
    except (OSError, DBAPIError, asyncpg.PostgresError, ExceptionGroup) as error:
        first = _first(error)
        if os.environ.get("COALITION_TRACEBACK") or not isinstance(first, _DATABASE_ERRORS):
            raise
        raise click.ClickException(
            f"The database cannot be used: {first}\n"
            "Check DATABASE_URL (unset: the embedded server in COALITION_DATA)."
        ) from error


def _first(error: BaseException) -> BaseException:
    """Of the attempts to connect, one for each address of a host, the first one's failure."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def check_schema(connection: AsyncConnection) -> None:
    """Raises ClickException where the database was not migrated to this program's version."""
    if not await is_current(connection):
        raise click.ClickException(
            "the database's schema is not the one this program was written for; "
            "run coalition migrate"
        )


async def check_synced(connection: AsyncConnection) -> None:
    """Raises ClickException where the database was not migrated, or holds no house yet."""
    await check_schema(connection)
    known = text("select exists (select from merchant where merchant_id = :house)")
    if not await connection.scalar(known, {"house": HOUSE_ID}):
        raise click.ClickException(
            "the database holds no merchants yet; run coalition merchants sync FOLDER"
        )


@asynccontextmanager
async def opened(*, as_owner: bool = False) -> AsyncIterator[tuple[AsyncEngine, Settings]]:
    """The database of this environment, migrated where it is our own embedded one.

    as_owner: by the owner's way to it, as COALITION_OWNER_URL names it. Raises ClickException where
    it is another one and was not migrated.
    """
    settings = read_settings(os.environ)
    async with open_database(settings) as url:
        if settings.database_url is None:
            await migrate(owner_url(settings, url))
        way = owner_url(settings, url) if as_owner else url
        engine = create_engine(way, seal_key(settings.pepper), pool_size=4)
        try:
            if settings.database_url is not None:
                async with engine.connect() as connection:
                    await check_schema(connection)
            yield engine, settings
        finally:
            await engine.dispose()


def typed(command: str) -> Actor:
    """Who types this command, for the audit: the account that runs it, and this machine's name."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container's account need have no name.
        user = str(os.getuid())
    return Actor(of_command(command), f"{user}@{socket.gethostname()}")


def ring_of(settings: Settings) -> Keyring:
    """The keys that personal data is sealed with."""
    return Keyring(settings.pepper, settings.personal_keys)


def progress_bar() -> Progress:
    """A bar of bytes, with words (`says`) beside it, that leaves nothing behind."""
    parts = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[says]}"),
        TimeRemainingColumn(),
    )
    return Progress(*parts, console=console, transient=True)


def in_a_folder(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """An option's callback: refuse a file to write whose folder is missing, before any work."""
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}; make it first")
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a file that cannot be written as that, and not as the database's fault."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def tell_proposed(approval_id: str) -> None:
    """Say that nothing was done yet, and what has to come."""
    click.echo(
        f"Proposed as {approval_id}; nothing is changed yet. An approver who is signed in decides: "
        f"POST /v1/approvals/{approval_id}/approve, or /reject."
    )


def fail(message: str) -> None:
    """Say what is wrong on standard error and leave with 1."""
    click.echo(message, err=True)
    sys.exit(1)
