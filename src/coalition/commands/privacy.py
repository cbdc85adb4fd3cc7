"""coalition privacy: what is kept about a person, shown and erased; and newer keys for it."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.commands.sandbox import looking_into_sandbox, opened_sandbox
from coalition.commands.shared import (
    console,
    example,
    in_a_folder,
    opened,
    ring_of,
    runs,
    typed,
    writing,
)
from coalition.errors import CoalitionError
from coalition.members.card import parse_card
from coalition.members.store import find_member
from coalition.people import secret_store
from coalition.people import store as people_store
from coalition.privacy import store
from coalition.privacy.export import export as export_person
from coalition.rewards.resealing import seal_codes_anew
from coalition.sealing.encryption import Keyring, SealError
from coalition.settings import Settings
from coalition.terms.store import load_book
from coalition.wire import ids


@click.group(
    epilog=example(
        "coalition privacy export 9000000000000019 --out person.json",
        "coalition privacy erase mem_2000000y3d",
        "coalition privacy rotate",
    )
)
def privacy() -> None:
    """What is known of persons. A member is named by its id or by the number of a card."""


@privacy.command(epilog=example("coalition privacy export 9000000000000019 --out person.json"))
@click.argument("member")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="A file to write.",
)
@runs
async def export(member: str, out: Path | None) -> None:
    """Write all that is kept about MEMBER, as JSON."""
    async with opened() as (engine, settings), engine.begin() as connection:
        ring = ring_of(settings)
        person = await _find(connection, member, ring)
        book, now = await load_book(connection), datetime.now(UTC)
        told = await export_person(connection, person, book, now, actor=typed("privacy"))
    content = msgspec.json.format(msgspec.json.encode(told), indent=2)
    if out is None:
        click.echo(content.decode())
        return
    with writing(out):
        await asyncio.to_thread(_write_for_us_alone, out, content)
    click.echo(f"Wrote {out} ({len(content):,} bytes).")


@privacy.command(epilog=example("coalition privacy erase mem_2000000y3d"))
@click.argument("member")
@click.option("--yes", is_flag=True, help="Do not ask.")
@runs
async def erase(member: str, yes: bool) -> None:
    """Take away whatever names MEMBER, for good. Cards, points and movements stay."""
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            person = await _find(connection, member, ring_of(settings))
        shown = ids.encode(ids.MEMBER, person.member_id)
        if person.erased_at is not None:
            click.echo(f"{shown} was erased at {person.erased_at.isoformat()}.")
            return
        if not yes:
            # No database transaction waits for somebody's answer.
            click.confirm(f"Erase who {shown} is, for good?", abort=True)
        async with engine.begin() as connection:
            now = datetime.now(UTC)
            await store.erase(connection, [person.member_id], now, actor=typed("privacy"))
    click.echo(f"Erased. {shown} names nobody any more; its cards and points stay.")


@privacy.command(epilog=example("COALITION_PERSONAL_KEYS=1:OLD,2:NEW coalition privacy rotate"))
@runs
async def rotate() -> None:
    """Seal all personal data with the newest key of COALITION_PERSONAL_KEYS.

    That of the test coalition too. When it is done and every process has the newest key, the older
    ones may go.
    """
    async with opened() as (engine, settings):
        ring = ring_of(settings)
        with console.status("Sealing anew ..."):
            try:
                count = await _seal_anew(engine, ring)
                people = await people_store.seal_anew(engine, ring)
                await secret_store.seal_anew(engine, ring)
                count_test = await _seal_test(engine, settings, ring)
            except SealError as error:
                raise click.ClickException(str(error)) from error
    count += count_test or 0
    members = "1 member" if count == 1 else f"{count:,} members"
    if people:
        members += f" and {people:,} who work here"
    members += " is" if count + people == 1 else " are"
    rest = "no older one is needed"
    if count_test is None:
        rest = "the test coalition's may need an older one still"
    click.echo(f"{members} sealed with key {ring.newest} now; {rest}.")


async def _seal_test(engine: AsyncEngine, settings: Settings, ring: Keyring) -> int | None:
    """Seal the test coalition's anew; how many members, None where its database is away."""
    async with looking_into_sandbox(engine, settings) as sandbox:
        is_there = sandbox is not None
    if not is_there:
        is_away = settings.test_database_url is not None
        return None if is_away else 0
    async with opened_sandbox(engine, settings) as found:
        return await _seal_anew(found, ring)


async def _seal_anew(engine: AsyncEngine, ring: Keyring) -> int:
    await seal_codes_anew(engine, ring)
    return await store.seal_anew(engine, ring, datetime.now(UTC), actor=typed("privacy"))


def _write_for_us_alone(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


async def _find(connection: AsyncConnection, member: str, ring: Keyring) -> store.Person:
    found = ids.decode(ids.MEMBER, member)
    member_id = found[0] if found else None
    if member_id is None and member.isdigit():
        try:
            member_id = await find_member(connection, parse_card(member))
        except (CoalitionError, ValueError) as error:
            raise click.ClickException(str(error)) from error
    try:
        person = None if member_id is None else await store.find(connection, member_id, ring)
    except SealError as error:
        raise click.ClickException(str(error)) from error
    if person is None:
        raise click.ClickException(
            f"there is no member {member}: name it by its id, mem_..., or by a card's 16 digits"
        )
    return person
