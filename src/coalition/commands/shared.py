"""What every command needs: the settings, a database to talk to, and how mistakes are told."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.database import create_engine, migrate, open_database
from coalition.embedded import EmbeddedError
from coalition.errors import CoalitionError
from coalition.settings import Settings, SettingsError, read_settings

P = ParamSpec("P")
T = TypeVar("T")

console = Console(highlight=False)

KNOWN_MISTAKES = (CoalitionError, EmbeddedError, SettingsError)


def example(*lines: str) -> str:
    """The end of a command's --help: what one types."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def runs(command: Callable[P, Coroutine[None, None, T]]) -> Callable[P, T]:
    """Run an async command to its end, and tell what the user can put right without a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(command(*args, **kwargs))
        except KNOWN_MISTAKES as mistake:
            raise click.ClickException(str(mistake)) from mistake
        except (OSError, DBAPIError) as error:
            if os.environ.get("COALITION_TRACEBACK"):
                raise
            raise click.ClickException(
                f"The database cannot be used: {error}\n"
                "Check DATABASE_URL (unset: the embedded server in COALITION_DATA)."
            ) from error

    return run


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[AsyncEngine, Settings]]:
    """The database of this environment, migrated where it is our own embedded one."""
    settings = read_settings(os.environ)
    async with open_database(settings) as url:
        if settings.database_url is None:
            await migrate(url)
        engine = create_engine(url, pool_size=4)
        try:
            yield engine, settings
        finally:
            await engine.dispose()


def fail(message: str) -> None:
    """Say what is wrong on standard error and leave with 1."""
    click.echo(message, err=True)
    sys.exit(1)
