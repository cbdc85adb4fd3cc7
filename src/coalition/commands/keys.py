"""coalition keys: make, list, rotate, expire and revoke the API keys of merchants and the house."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import click
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.commands.sandbox import looking_into_sandbox, opened_sandbox
from coalition.commands.shared import console, example, opened, runs, typed
from coalition.keys import store as key_store
from coalition.keys.guessing import FREE_AN_HOUR, GuessAlert, list_alerts
from coalition.keys.key import SCOPES, ParsedKey
from coalition.keys.store import StoredKey
from coalition.settings import Settings

# Whoever revokes a key that was used so lately is asked first.
LATELY = timedelta(days=1)
DAY = click.DateTime(["%Y-%m-%d"])

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
@click.option(
    "--test/--live", "is_test", default=False, help="For the test coalition.  [default: --live]"
)
@click.option("--expires-on", type=DAY, help="Its last good day where the merchant is: 2027-03-31.")
@runs
async def create(
    merchant: str, scopes: str, label: str, is_test: bool, expires_on: datetime | None
) -> None:
    """Make a key for MERCHANT (a merchant's code, or house). It is shown once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    async with _opened_for(is_test=is_test) as (engine, settings), engine.begin() as connection:
        key = await key_store.create(
            connection,
            pepper=settings.pepper,
            merchant=merchant,
            scopes=wanted,
            live=not is_test,
            label=label,
            now=datetime.now(UTC),
            expires_on=expires_on and expires_on.date(),
            actor=typed("keys"),
        )
    _show(key)


@keys.command("list", epilog=example("coalition keys list"))
@runs
async def list_keys() -> None:
    """Show every key there ever was, those of the test coalition too; never a secret.

    And which asked for many unknown cards.
    """
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            stored = await key_store.list_keys(connection)
            alerts = await list_alerts(connection, _ALERTS_SHOWN)
        async with looking_into_sandbox(engine, settings) as sandbox:
            if sandbox is not None:
                stored += await key_store.list_keys(sandbox)
                alerts += await list_alerts(sandbox, _ALERTS_SHOWN)
    if not stored:
        click.echo("There are no keys yet: coalition keys create --help")
        return
    table = Table(box=None)
    for head in ("Merchant", "Key id", "For", "Scopes", "Label", "Made", "Last used", "Ends"):
        # What one copies stays on one line, on however narrow a screen.
        table.add_column(head, no_wrap=head == "Key id")
    now = datetime.now(UTC)
    for key in stored:
        kind = "live" if key.is_live else "test"
        scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        end = _end(key, now)
        table.add_row(key.merchant, key.key_id, kind, scopes, key.label, made, used, end)
    console.print(table)
    if alerts:
        _show_alerts(alerts, datetime.now(UTC))


def _end(key: StoredKey, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.is_expired(now):
        return f"expired {key.expires_on}"
    return f"after {key.expires_on}" if key.expires_on else "in use"


@keys.command(epilog=example("coalition keys rotate telecom"))
@click.argument("merchant")
@click.option(
    "--test/--live", "is_test", default=False, help="Of the test coalition.  [default: --live]"
)
@runs
async def rotate(merchant: str, is_test: bool) -> None:
    """Make a second key like MERCHANT's first; change the tills over, then revoke the first."""
    async with _opened_for(is_test=is_test) as (engine, settings), engine.begin() as connection:
        key = await key_store.rotate(
            connection,
            pepper=settings.pepper,
            merchant=merchant,
            now=datetime.now(UTC),
            actor=typed("keys"),
        )
    _show(key)


@keys.command(
    epilog=example(
        "coalition keys expire 0Ab3dEf6hIj9 2027-03-31", "coalition keys expire 0Ab3dEf6hIj9 never"
    )
)
@click.argument("key_id")
@click.argument("day", metavar="DAY|never")
@runs
async def expire(key_id: str, day: str) -> None:
    """Make DAY the last good day of the key with this id, where its merchant is; never: none.

    Past that day servers refuse it as a revoked one.
    """
    expires_on = None if day == "never" else _day(day)
    async with _opened_of(key_id) as engine, engine.begin() as connection:
        now = datetime.now(UTC)
        key = await key_store.expire(connection, key_id, expires_on, now, actor=typed("keys"))
    until = f"is good until {key.expires_on}" if key.expires_on else "has no last day"
    click.echo(f"Key {key.key_id} of {key.merchant} {until}.")


@keys.command(
    epilog=example("coalition keys revoke 0Ab3dEf6hIj9", "coalition keys revoke 0Ab3dEf6hIj9 --yes")
)
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Do not ask, though the key was used in the last day.")
@runs
async def revoke(key_id: str, yes: bool) -> None:
    """End the key with this id for good. Servers refuse it within two seconds.

    Asks first where the key was used in the last day: some till would be refused then.
    """
    async with _opened_of(key_id) as engine:
        now = datetime.now(UTC)
        async with engine.connect() as connection:
            key = await key_store.find(connection, key_id)
        if key.revoked_at is None and key.was_used_since(now - LATELY) and not yes:
            _confirm(key)
        async with engine.begin() as connection:
            key = await key_store.revoke(connection, key_id, now, actor=typed("keys"))
    click.echo(f"Key {key.key_id} of {key.merchant} is revoked.")


@asynccontextmanager
async def _opened_for(*, is_test: bool) -> AsyncIterator[tuple[AsyncEngine, Settings]]:
    """The database that a live or a test key is made in."""
    async with opened() as (engine, settings):
        if not is_test:
            yield engine, settings
            return
        async with opened_sandbox(engine, settings) as sandbox:
            yield sandbox, settings


@asynccontextmanager
async def _opened_of(key_id: str) -> AsyncIterator[AsyncEngine]:
    """The database that has this key: the live one, which is looked into first, or the test one."""
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            is_live = await key_store.is_known(connection, key_id)
        async with looking_into_sandbox(engine, settings) as sandbox:
            is_test = not is_live and sandbox is not None
            if sandbox is not None and is_test:
                is_test = await key_store.is_known(sandbox, key_id)
        if not is_test:
            yield engine
            return
        async with opened_sandbox(engine, settings) as found:
            yield found


def _confirm(key: StoredKey) -> None:
    used = f"{key.last_used_at:%Y-%m-%d %H:%M}Z"
    click.echo(f"Key {key.key_id} of {key.merchant} was used at {used}.")
    try:
        click.confirm("Revoke it, for good?", abort=True)
    except click.Abort as no:
        raise click.ClickException(
            "Nothing was revoked. Whoever still uses the key is refused once it is; to revoke it "
            "without being asked, add --yes."
        ) from no


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no day; right is 2027-03-31, or never") from error


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
