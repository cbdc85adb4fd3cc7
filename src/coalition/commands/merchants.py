"""coalition merchants: check the files, make the database say what they say, explain an earn."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from coalition.commands.explaining import explained
from coalition.commands.sandbox import fill, fill_sandbox, has_sandbox
from coalition.commands.shared import example, fail, opened, runs, tell_proposed, typed
from coalition.earning.purchase import CHANNELS
from coalition.terms.folder import check_folder, read_folder
from coalition.terms.store import load_book, plan_sync

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(
    epilog=example(
        "coalition merchants check configs/merchants/alliance",
        "coalition merchants sync configs/merchants/alliance --dry-run",
    )
)
def merchants() -> None:
    """Merchants as files: one TOML file each, the file's name is its code."""


@merchants.command(epilog=example("coalition merchants check configs/merchants/alliance"))
@click.argument("folder", type=FOLDER)
def check(folder: Path) -> None:
    """Report every mistake in FOLDER, with file and line; change nothing.

    A warning is told as well, and refuses nothing.
    """
    mistakes = check_folder(folder)
    told = "\n".join(str(mistake) for mistake in mistakes)
    if not all(mistake.is_warning for mistake in mistakes):
        fail(told)
    if told:
        click.echo(told, err=True)
    click.echo(f"{folder}: all files are right.")


@merchants.command(
    epilog=example(
        "coalition merchants explain telecom --amount 120.00 --item data:80.00",
        "coalition merchants explain telecom --action survey --on 2026-12-24T18:30",
    )
)
@click.argument("code")
@click.option("--amount", metavar="MONEY", help="The whole purchase, such as 120.00.")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="CATEGORY[/SKU][*PIECES]:MONEY",
    help="A line of it, such as data:80.00 or milk/tin-900*3:270.00.",
)
@click.option("--action", help="What the member did, as the merchant's terms name it.")
@click.option("--channel", type=click.Choice(CHANNELS))
@click.option("--region")
@click.option("--store")
@click.option("--tax", metavar="MONEY", help="Of the amount.")
@click.option("--delivery", metavar="MONEY", help="Of the amount.")
@click.option("--paid-with-points", metavar="MONEY", help="Of the amount.")
@click.option(
    "--on",
    "at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="At the merchant's till; a day alone is its noon. Default: now.",
)
@runs
async def explain(code: str, at: datetime | None, **said: Any) -> None:
    """Say rule by rule what a purchase comes to under the terms of CODE, and why not more."""
    async with opened() as (engine, _), engine.connect() as connection:
        book = await load_book(connection)
    for line in explained(code, said, at, datetime.now(UTC), book):
        click.echo(line)


@merchants.command(
    "sync",
    epilog=example(
        "coalition merchants sync configs/merchants/alliance --dry-run",
        "coalition merchants sync configs/merchants/alliance",
    ),
)
@click.argument("folder", type=FOLDER, required=False)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@runs
async def sync_folder(folder: Path | None, dry_run: bool) -> None:
    """Make the database say what the files in FOLDER say (default: COALITION_MERCHANTS).

    Opens the first settlement window where there is none. A second run changes nothing. Where
    COALITION_TEST_DATABASE_URL is set, the test coalition gets the same terms. From the first
    approver on, a change is proposed and waits for one.
    """
    async with opened() as (engine, settings):
        house, terms = read_folder(folder or settings.merchants_folder)
        if dry_run:
            async with engine.begin() as connection:
                changes = await plan_sync(connection, house, terms, datetime.now(UTC))
        else:
            filled = await fill(engine, house, terms, typed("merchants"), is_live=True)
            if filled.approval_id is not None:
                tell_proposed(filled.approval_id)
                return
            changes = filled.changes
            if has_sandbox(settings):
                kept = await fill_sandbox(engine, settings, house, terms, typed("merchants"))
                if kept is not None:
                    click.echo(f"The test coalition keeps its terms: {kept}", err=True)
    for change in changes:
        click.echo(f"  {change}")
    # What has no file any more is shown, and stays as it is.
    count = sum(change.kind != "kept" for change in changes)
    things = "1 thing" if count == 1 else f"{count} things"
    filed = len({one.code for one in terms})
    merchants_filed = "1 merchant" if filed == 1 else f"{filed} merchants"
    verb = "would change" if dry_run else "changed"
    click.echo(f"{merchants_filed} and the house: {things} {verb}.")
