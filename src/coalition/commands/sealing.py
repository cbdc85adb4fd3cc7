"""coalition seal: digests for what was there before digests were, and marks after a restore."""

from pathlib import Path

import click
from rich.progress import Progress
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.clearing.seal import seal_earlier_windows
from coalition.commands.shared import console, example, opened, runs
from coalition.database import OWNER
from coalition.ledger.late import seal_movements, unsealed_movements
from coalition.sealing.anchors import AnchorError, check_seal, move_marks_on
from coalition.sealing.history import PRICES, TERMS, seal_history
from coalition.sealing.key import key_of
from coalition.settings import SettingsError

_MAY_SEAL = "select has_table_privilege('earlier_digest', 'insert'), current_user"


@click.command(epilog=example("coalition seal"))
@runs
async def seal() -> None:
    """Give digests to movements, windows, prices and terms of the time before digests.

    To be run once after the migration that brought them, and after a database was restored from a
    dump, before the tills are let in. It may be broken off and goes on; a second run does nothing.

    Goes by COALITION_OWNER_URL where that is set, else by DATABASE_URL.
    """
    async with opened(as_owner=True) as (engine, settings):
        async with engine.begin() as connection:
            await _check_owner(connection)
            is_restored = await move_marks_on(connection, settings.anchors_folder)
        movements = await _movements(engine, settings.anchors_folder)
        async with engine.begin() as connection:
            key = key_of(connection)
            rows = [await seal_history(connection, one, key) for one in (PRICES, TERMS)]
            windows = await seal_earlier_windows(connection, key)
    if is_restored:
        click.echo("Marks go on behind the last one: this database was restored from a dump.")
    click.echo(
        f"Sealed {movements:,} movements, {len(windows)} windows, {rows[0]} prices and {rows[1]} "
        "rows of terms."
    )


async def _check_owner(connection: AsyncConnection) -> None:
    may_seal, role = (await connection.execute(text(_MAY_SEAL))).one()
    if not may_seal:
        raise SettingsError(
            f"the role {role} may not vouch for older rows; give the address of the one that owns "
            f"the tables, such as {OWNER}, in COALITION_OWNER_URL"
        )


async def _movements(engine: AsyncEngine, anchors_folder: Path) -> int:
    async with engine.connect() as connection:
        waiting = await unsealed_movements(connection)
    try:
        await check_seal(waiting, anchors_folder)
    except AnchorError as refused:
        raise click.ClickException(str(refused)) from refused
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Sealing movements", total=waiting)
        return await seal_movements(engine, on_progress=lambda done: progress.advance(task, done))
