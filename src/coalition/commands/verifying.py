"""coalition verify: whether all is as it was posted, closed and anchored."""

import asyncio

import click
from rich.progress import Progress
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.seal import unsealed_windows
from coalition.commands.shared import console, example, fail, opened, runs
from coalition.ledger.late import unsealed_movements
from coalition.sealing.history import PRICES, TERMS, unsealed_rows
from coalition.sealing.key import key_of
from coalition.settings import Settings
from coalition.verify import RULES, SAID, Breach, verify
from coalition.verify.anchored import Anchored, Anchors, compare, read_anchors

_COUNTS = """
select (select count(*) from settlement_window where netted_at is not null),
       (select count(*) from posting)
"""
ANCHORS = "all that an anchor counted is there"


@click.command("verify", epilog=example("coalition verify"))
@runs
async def verify_ledger() -> None:
    """Check every invariant and digest of the ledger, and every anchor of it.

    Names each row that breaks a rule, and leaves with 1 where there is one.
    """
    async with opened() as (engine, settings):
        anchors = await asyncio.to_thread(read_anchors, settings.anchors_folder, key_of(engine))
        async with engine.connect() as connection:
            # One snapshot for all rules: what is posted meanwhile belongs to the next run.
            await connection.execution_options(isolation_level="REPEATABLE READ")
            breaches, anchored = await _verified(connection, anchors)
            closed, _ = (await connection.execute(text(_COUNTS))).one()
            unsealed = await _unsealed(connection)
    for breach in breaches:
        click.echo(f"{breach.row}\n    breaks the rule: {breach.rule}")
    if unsealed and not (anchored.last and anchored.last.is_sealed):
        # What lacks a digest though all had one is named above, and no seal makes it good.
        click.echo(unsealed)
    click.echo(_protected(anchored, settings))
    if breaches:
        fail(
            "1 row breaks a rule." if len(breaches) == 1 else f"{len(breaches)} rows break a rule."
        )
    click.echo(f"All {len(RULES)} rules hold, and {closed} closed windows are unchanged.")


async def _verified(connection: AsyncConnection, anchors: Anchors) -> tuple[list[Breach], Anchored]:
    closed, movements = (await connection.execute(text(_COUNTS))).one()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Checking", total=len(SAID) + 1 + closed)
        each = progress.add_task("Movements", total=movements)

        def tell(says: str) -> None:
            progress.update(task, advance=1, description=says[:60])

        def count(done: int) -> None:
            progress.advance(each, done)

        breaches = await verify(connection, on_rule=tell, on_movements=count)
        tell(ANCHORS)
        anchored = await compare(connection, anchors)
    return breaches + [Breach(ANCHORS, row) for row in anchored.false], anchored


async def _unsealed(connection: AsyncConnection) -> str:
    """What has no digest because it is older than digests; empty: nothing."""
    movements = await unsealed_movements(connection)
    windows = await unsealed_windows(connection)
    rows = [await unsealed_rows(connection, one) for one in (PRICES, TERMS)]
    if not any((movements, windows, *rows)):
        return ""
    return (
        f"{movements:,} movements, {windows} windows, {rows[0]} prices and {rows[1]} rows of terms "
        "have no digest yet, and could be changed unseen: run coalition seal."
    )


def _protected(anchored: Anchored, settings: Settings) -> str:
    if anchored.last is None:
        return (
            f"No anchor in {settings.anchors_folder} counts in this database: a member's last "
            "movements could be taken away unseen. coalition jobs writes one each minute."
        )
    at = f"{anchored.last.at:%Y-%m-%d %H:%M:%S}Z"
    return (
        f"The last anchor is of {at}; {anchored.unprotected:,} movements are younger, and not yet "
        "protected."
    )
