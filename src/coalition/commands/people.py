"""coalition people: make, list, disable and reset the persons of the house and of merchants.

No password is ever an argument: it is read from the terminal, or from standard input.
"""

import sys
from datetime import UTC, datetime

import click
from rich.table import Table

from coalition.audit.actor import Actor
from coalition.commands.shared import console, example, opened, ring_of, runs, typed
from coalition.edge.sign_in import SignIn
from coalition.people import store
from coalition.people.person import Person
from coalition.people.rights import HOUSE_ROLES, MERCHANT_ROLES

_ROLES = [*dict.fromkeys((*HOUSE_ROLES, *MERCHANT_ROLES))]


@click.group(
    epilog=example(
        'coalition people create --email ann@example.com --name "Ann Example" --role operator',
        "coalition people list",
    )
)
def people() -> None:
    """Persons of the house and of merchants, who sign in. PERSON is an id or an e-mail address."""


@people.command(
    epilog=example(
        'coalition people create --email ann@example.com --name "Ann Example" --role operator',
        'coalition people create --email bo@example.com --name "Bo Li" --role manager '
        "--merchant telecom",
    )
)
@click.option("--email", required=True, help="What the person signs in with.")
@click.option("--name", required=True)
@click.option("--role", required=True, type=click.Choice(_ROLES))
@click.option("--merchant", default="house", show_default=True, help="Whose: a merchant's code.")
@runs
async def create(email: str, name: str, role: str, merchant: str) -> None:
    """Make a person. Shows once the secret that the person sets a password with."""
    async with opened() as (engine, settings), engine.begin() as connection:
        made, setup = await store.create(
            connection,
            ring_of(settings),
            email=email,
            name=name,
            role=role,
            merchant=merchant,
            now=datetime.now(UTC),
            actor=_actor(),
        )
    _show(made, setup)


@people.command("list", epilog=example("coalition people list"))
@runs
async def list_all() -> None:
    """Show every person there ever was."""
    async with opened() as (engine, settings), engine.connect() as connection:
        found = await store.list_people(connection, ring_of(settings))
    if not found:
        click.echo("There is nobody yet: coalition people create --help")
        return
    table = Table(box=None)
    for head in ("Person", "Name", "E-mail", "Role", "Of", "Status", "Made"):
        table.add_column(head, no_wrap=head == "Person")
    for one in found:
        made = f"{one.created_at:%Y-%m-%d %H:%M}"
        table.add_row(one.person_id, one.name, one.email, one.role, one.merchant, one.status, made)
    console.print(table)


@people.command("set-password", epilog=example("coalition people set-password"))
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read two lines from standard input: the one-time secret, and the password.",
)
@click.option("--totp", is_flag=True, help="An authenticator app though the role needs none.")
@runs
async def set_password(password_stdin: bool, totp: bool) -> None:
    """Set a password with the one-time secret that `create` or `reset` showed.

    Whoever moves money gets a second factor, an authenticator app; without a terminal it is shown
    and taken as confirmed.
    """
    async with opened() as (engine, settings):
        sign_in = SignIn(engine, settings.pepper, ring_of(settings))
        if password_stdin:
            setup, password = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
        else:
            setup = click.prompt("One-time secret", hide_input=True)
        told = await sign_in.begin_setup(setup, datetime.now(UTC))
        if not password_stdin:
            click.echo(f"For {told.email}, {told.role}. 12 characters or more.")
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        code = None
        if told.needs_code or totp:
            click.echo(f"For the authenticator app: {told.code_secret}\n{told.code_address}")
            now = datetime.now(UTC)
            code = sign_in.code_now(told, now) if password_stdin else click.prompt("Its code")
        person_id = await sign_in.finish_setup(
            setup, password, code, datetime.now(UTC), lambda _: _actor()
        )
    click.echo(f"{person_id} can sign in now.")


@people.command(epilog=example("coalition people disable ann@example.com"))
@click.argument("person")
@runs
async def disable(person: str) -> None:
    """End what PERSON may do, for good, and its sessions at once."""
    async with opened() as (engine, settings), engine.begin() as connection:
        found = await store.find_named(connection, ring_of(settings), person)
        await store.disable(connection, found, datetime.now(UTC), _actor())
    click.echo(f"{found.person_id} is disabled.")


@people.command(epilog=example("coalition people reset ann@example.com"))
@click.argument("person")
@runs
async def reset(person: str) -> None:
    """Take PERSON's password and second factor away, and show a new one-time secret."""
    async with opened() as (engine, settings), engine.begin() as connection:
        found = await store.find_named(connection, ring_of(settings), person)
        setup = await store.reset(connection, found, datetime.now(UTC), _actor())
    _show(found, setup)


@people.command(
    "end-sessions",
    epilog=example(
        "coalition people end-sessions ann@example.com", "coalition people end-sessions --all"
    ),
)
@click.argument("person", required=False)
@click.option("--all", "is_all", is_flag=True, help="Everybody's.")
@runs
async def end_sessions(person: str | None, is_all: bool) -> None:
    """Sign PERSON out everywhere, or everybody, at once."""
    if (person is None) != is_all:
        raise click.UsageError("Name the person, or say --all: one of the two")
    async with opened() as (engine, settings), engine.begin() as connection:
        person_id = None
        if person is not None:
            person_id = (await store.find_named(connection, ring_of(settings), person)).person_id
        ended = await store.end_sessions(connection, person_id, datetime.now(UTC), _actor())
    click.echo("1 session ended." if ended == 1 else f"{ended} sessions ended.")


def _actor() -> Actor:
    return typed("people")


def _show(one: Person, setup: str) -> None:
    click.echo(
        f"{one.person_id} is {one.role} of {one.merchant}. To set a password within three days, "
        "with coalition people set-password or over HTTP (POST /v1/setup), this is the one-time "
        "secret, shown only here:",
        err=True,
    )
    # The secret alone on standard output, so that a script can take it.
    click.echo(setup)
