"""coalition windows and coalition statement: what is open, closing it, and what it came to."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.api.proposals import propose_close
from coalition.clearing.service import close_due, close_window, due_labels, list_windows
from coalition.clearing.statements import read_statement
from coalition.commands.shared import (
    console,
    example,
    in_a_folder,
    opened,
    runs,
    tell_proposed,
    typed,
    writing,
)
from coalition.terms.store import load_book
from settlement.documents import FORMATS, write_document
from settlement.money import format_amount
from settlement.obligation import Result


@click.group(epilog=example("coalition windows list", "coalition windows close 2026-11 --dry-run"))
def windows() -> None:
    """Settlement windows: exactly one is open at any time."""


@windows.command("list", epilog=example("coalition windows list"))
@runs
async def list_all() -> None:
    """Show every window, the oldest first."""
    async with opened() as (engine, _), engine.begin() as connection:
        found = await list_windows(connection)
        if not found:
            click.echo("There are none yet: coalition merchants sync opens the first.")
            return
        zone = (await load_book(connection)).house_zone
    table = Table("Window", "Opens", "Closes", "Status", box=None)
    for window in found:
        opens, closes = _local(window.opens_at, zone), _local(window.closes_at, zone)
        table.add_row(window.label, opens, closes, window.status)
    console.print(table)


def _local(at: datetime, zone: ZoneInfo) -> str:
    """A window's edge by the house's clock, to the minute, with its offset from UTC."""
    return at.astimezone(zone).isoformat(" ", timespec="minutes")


@windows.command(
    epilog=example(
        "coalition windows close                       (whatever is due, once you say yes)",
        "coalition windows close --all                 (whatever is due)",
        "coalition windows close 2026-11 --dry-run",
        "coalition windows close 2026-11 --early",
    )
)
@click.argument("label", required=False)
@click.option("--dry-run", is_flag=True, help="Say what it would come to; change nothing.")
@click.option("--early", is_flag=True, help="Close it now, before its end.")
@click.option("--all", "close_all", is_flag=True, help="Close all that are due without asking.")
@runs
async def close(label: str | None, dry_run: bool, early: bool, close_all: bool) -> None:
    """Close the window LABEL and net it; without LABEL, every window that is due.

    More than one are listed, and closed once you say yes. Closing a window again shows what it came
    to the first time.
    """
    now = datetime.now(UTC)
    async with opened() as (engine, _):
        if label is None:
            if dry_run or early:
                raise click.UsageError("Name the window: coalition windows close 2026-11 --dry-run")
            if not close_all:
                await _confirm_due(engine, now)
            with console.status("Closing what is due ..."):
                closed = await close_due(engine, now, actor=typed("windows"))
            click.echo(f"Closed: {', '.join(closed)}." if closed else "No window is due.")
            return
        if early and not dry_run:
            approval_id = await propose_close(engine, label, now, typed("windows"))
            if approval_id is not None:
                tell_proposed(approval_id)
                return
        if not (early or dry_run):
            await _check_end(engine, label, now)
        with console.status(f"Netting {label} ..."):
            result = await close_window(
                engine, label, now, early=early, dry_run=dry_run, actor=typed("windows")
            )
    if dry_run:
        click.echo(f"{label} would come to this (nothing was changed):")
    _show(result)


async def _confirm_due(engine: AsyncEngine, now: datetime) -> None:
    """List the windows that are due where they are more than one, and ask. What is closed stays so.

    Raises ClickException where nobody answers, Abort where the answer is no.
    """
    due = await due_labels(engine, now)
    if len(due) < 2:
        return
    click.echo(f"{len(due)} windows are due: {', '.join(due)}.")
    try:
        click.confirm("Close them all, for good?", abort=True)
    except click.Abort as no:
        raise click.ClickException(
            "Nothing was closed. To close them all, answer y or add --all; to close the oldest "
            f"only, name it: coalition windows close {due[0]}"
        ) from no


async def _check_end(engine: AsyncEngine, label: str, now: datetime) -> None:
    """Refuse a window that has not ended, in the command line's words."""
    async with engine.connect() as connection:
        found = await list_windows(connection)
        zone = (await load_book(connection)).house_zone if found else ZoneInfo("UTC")
    for window in found:
        if window.label == label and window.is_open and now < window.closes_at:
            raise click.ClickException(
                f"Window {label} ends at {_local(window.closes_at, zone)} and closes by itself "
                "then. To see what it would come to, add --dry-run; to end it now, add --early."
            )


def _show(result: Result) -> None:
    if not result.positions:
        click.echo("Nobody owes anybody anything.")
        return
    table = Table("Party", "Currency", box=None)
    for head in ("Receivable", "Payable", "Net", "Opening", "Instructed", "Closing"):
        table.add_column(head, justify="right")
    for p in result.positions:
        amounts = (p.receivable, p.payable, p.net, p.opening, p.instructed, p.closing)
        table.add_row(p.party, p.currency, *(format_amount(a, p.currency) for a in amounts))
    console.print(table)


@click.command(
    epilog=example(
        "coalition statement 2026-11 telecom",
        "coalition statement 2026-11 telecom --format xlsx --out telecom.xlsx",
    )
)
@click.argument("label")
@click.argument("merchant")
@click.option("--format", "kind", type=click.Choice([*FORMATS]), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="A file to write.",
)
@click.option("--bom", is_flag=True, help="Begin a CSV with UTF-8's byte order mark, for Excel.")
@runs
async def statement(label: str, merchant: str, kind: str, out: Path | None, bom: bool) -> None:
    """Write MERCHANT's statement of the closed window LABEL."""
    # A label begins with a digit, and a merchant's code with a letter.
    if label[:1].isalpha() and merchant[:1].isdigit():
        raise click.UsageError(
            f"The window comes first, then the merchant: coalition statement {merchant} {label}"
        )
    if out is None and kind == "xlsx":
        raise click.UsageError("An XLSX file needs a place: --out telecom.xlsx")
    if bom and not FORMATS[kind].may_have_bom:
        raise click.UsageError(f"--bom is for --format csv only; leave it out for {kind}")
    async with opened() as (engine, _), engine.begin() as connection:
        found = await read_statement(connection, label, merchant)
        content = write_document(found, kind, bom=bom)
    if out is None:
        click.echo(content.decode(), nl=False)
        return
    with writing(out):
        await asyncio.to_thread(out.write_bytes, content)
    click.echo(f"Wrote {out} ({len(content):,} bytes).")
