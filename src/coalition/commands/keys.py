"""coalition keys: make, list, rotate, expire and revoke the API keys of merchants and the house."""

from datetime import UTC, date, datetime, timedelta

import click
from rich.table import Table

from coalition.commands.shared import console, example, opened, runs, typed
from coalition.keys import store as key_store
from coalition.keys.key import SCOPES, ParsedKey
from coalition.keys.store import StoredKey

# Whoever revokes a key that was used so lately is asked first.
LATELY = timedelta(days=1)


DAY = click.DateTime(["%Y-%m-%d"])


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
@click.option("--expires-on", type=DAY, help="Its last good day where the merchant is: 2027-03-31.")
@runs
async def create(
    merchant: str, scopes: str, label: str, is_test: bool, expires_on: datetime | None
) -> None:
    """Make a key for MERCHANT (a merchant's code, or house). It is shown once."""
    if is_test:
        raise click.ClickException(
            "there is no test coalition, and a test key is good for nothing else: "
            "set COALITION_TEST_DATABASE_URL"
        )
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
            expires_on=expires_on and expires_on.date(),
            actor=typed("keys"),
        )
    _show(key)


@keys.command("list", epilog=example("coalition keys list"))
@runs
async def list_keys() -> None:
    """Show every key there ever was; never a secret."""
    async with opened() as (engine, _), engine.begin() as connection:
        stored = await key_store.list_keys(connection)
    if not stored:
        click.echo("There are no keys yet: coalition keys create --help")
        return
    table = Table(box=None)
    for head in ("Merchant", "Key id", "Scopes", "Label", "Made", "Last used", "Ends"):
        # What one copies stays on one line, on however narrow a screen.
        table.add_column(head, no_wrap=head == "Key id")
    now = datetime.now(UTC)
    for key in stored:
        scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.merchant, key.key_id, scopes, key.label, made, used, _end(key, now))
    console.print(table)


def _end(key: StoredKey, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.is_expired(now):
        return f"expired {key.expires_on}"
    return f"after {key.expires_on}" if key.expires_on else "in use"


@keys.command(epilog=example("coalition keys rotate telecom"))
@click.argument("merchant")
@runs
async def rotate(merchant: str) -> None:
    """Make a second key like MERCHANT's first; change the tills over, then revoke the first."""
    async with opened() as (engine, settings), engine.begin() as connection:
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
    async with opened() as (engine, _), engine.begin() as connection:
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
    async with opened() as (engine, _):
        now = datetime.now(UTC)
        async with engine.connect() as connection:
            key = await key_store.find(connection, key_id)
        if key.revoked_at is None and key.was_used_since(now - LATELY) and not yes:
            _confirm(key)
        async with engine.begin() as connection:
            key = await key_store.revoke(connection, key_id, now, actor=typed("keys"))
    click.echo(f"Key {key.key_id} of {key.merchant} is revoked.")


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


def _show(key: ParsedKey) -> None:
    # The key alone on standard output, so that a script can take it.
    click.echo(key.text)
    click.echo("This is the only time the key is shown. Keep it like a password.", err=True)
