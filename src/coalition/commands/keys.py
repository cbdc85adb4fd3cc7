"""coalition keys: make, list, rotate and revoke the API keys of merchants and the house."""

from datetime import UTC, datetime

import click
from rich.table import Table

from coalition.commands.shared import console, example, opened, runs
from coalition.keys import store as key_store
from coalition.keys.guessing import FREE_AN_HOUR, GuessAlert, list_alerts
from coalition.keys.key import SCOPES, ParsedKey

# Alerts that a list ends with.
_ALERTS_SHOWN = 20


@click.group(
    epilog=example(
        "coalition keys create telecom --scopes earn,burn,members", "coalition keys list"
    )
)
def keys() -> None:
    """API keys. A merchant has two in use at most, so that one can be rotated under load."""


@keys.command(
    epilog=example(
        "coalition keys create telecom --scopes earn,burn,members",
        "coalition keys create house --scopes house",
    )
)
@click.argument("merchant")
@click.option(
    "--scopes", required=True, help=f"Comma-separated, of: {', '.join(SCOPES)}.", metavar="SCOPES"
)
@click.option("--label", default="", help="A word to know it by, such as 'till 4'.")
@click.option("--test", "is_test", is_flag=True, help="Make a coal_test_ key.")
@runs
async def create(merchant: str, scopes: str, label: str, is_test: bool) -> None:
    """Make a key for MERCHANT (a merchant's code, or house). It is shown once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    async with opened() as (engine, settings), engine.begin() as connection:
        key = await key_store.create(
            connection,
            pepper=settings.pepper,
            merchant=merchant,
            scopes=wanted,
            live=not is_test,
            label=label,
            now=datetime.now(UTC),
        )
    _show(key)


@keys.command("list", epilog=example("coalition keys list"))
@runs
async def list_keys() -> None:
    """Show every key there ever was, never a secret; and which asked for many unknown cards."""
    async with opened() as (engine, _), engine.begin() as connection:
        stored = await key_store.list_keys(connection)
        alerts = await list_alerts(connection, _ALERTS_SHOWN)
    if not stored:
        click.echo("There are no keys yet: coalition keys create --help")
        return
    table = Table(box=None)
    for head in ("Merchant", "Key id", "Scopes", "Label", "Made", "Revoked"):
        # What one copies stays on one line, on however narrow a screen.
        table.add_column(head, no_wrap=head == "Key id")
    for key in stored:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "in use"
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
        table.add_row(key.merchant, key.key_id, scopes, key.label, made, revoked)
    console.print(table)
    if alerts:
        _show_alerts(alerts, datetime.now(UTC))


@keys.command(epilog=example("coalition keys rotate telecom"))
@click.argument("merchant")
@runs
async def rotate(merchant: str) -> None:
    """Make a second key like MERCHANT's first; change the tills over, then revoke the first."""
    async with opened() as (engine, settings), engine.begin() as connection:
        key = await key_store.rotate(
            connection, pepper=settings.pepper, merchant=merchant, now=datetime.now(UTC)
        )
    _show(key)


@keys.command(epilog=example("coalition keys revoke 0Ab3dEf6hIj9"))
@click.argument("key_id")
@runs
async def revoke(key_id: str) -> None:
    """End the key with this id for good. Servers refuse it within two seconds."""
    async with opened() as (engine, _), engine.begin() as connection:
        key = await key_store.revoke(connection, key_id, datetime.now(UTC))
    click.echo(f"Key {key.key_id} of {key.merchant} is revoked.")


def _show_alerts(alerts: list[GuessAlert], now: datetime) -> None:
    click.echo(
        f"\nKeys that asked for more than {FREE_AN_HOUR} cards an hour that there are none of, the "
        "latest first:"
    )
    table = Table(box=None)
    for head in ("Merchant", "Key id", "Cards", "From", "To", "Slowed"):
        table.add_column(head, no_wrap=head == "Key id")
    for one in alerts:
        until = one.wait_until()
        slowed = f"until {until:%H:%M:%S}" if until > now else "no longer"
        times = (f"{at:%Y-%m-%d %H:%M}" for at in (one.since, one.last_at))
        table.add_row(one.merchant, one.key_id, str(one.cards), *times, slowed)
    console.print(table)


def _show(key: ParsedKey) -> None:
    # The key alone on standard output, so that a script can take it.
    click.echo(key.text)
    click.echo("This is the only time the key is shown. Keep it like a password.", err=True)
