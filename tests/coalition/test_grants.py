"""What the application's role may do is one list, and the list says what the triggers say."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner

from coalition import database

GRANTS = Path(database.__file__).parent / "migrations" / "grants.sql"
TABLES = """
select relname from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
"""
NEVER = ("truncate", "references", "trigger", "maintain")
# Tables of what is needed for a while only, and is no history.
PASSING = {"upload", "unknown_cards", "pin", "session"}
# Which columns no update may touch, by the triggers: all of them where none is named.
GUARDED = """
select c.relname, a.attname, has_column_privilege('coalition_app', c.oid, a.attnum, 'update') as may
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where t.tgfoid = 'refuse_change'::regproc and t.tgtype & 16 <> 0 and t.tgqual is null
  and (cardinality(t.tgattr::int[]) = 0 or a.attnum = any(t.tgattr::int[]))
"""

# What may be changed of the tables that digests cover whole.
CHANGED = """
select relname, attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where relnamespace = 'public'::regnamespace and not attisdropped
  and relname in ('posting', 'price', 'terms', 'sealing', 'earlier_digest')
  and has_column_privilege('coalition_app', c.oid, attnum, 'update')
"""


async def _tables(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text(TABLES)))


async def test_every_table_is_named_in_the_list_of_what_the_application_may_do(
    engine: AsyncEngine,
) -> None:
    statements = re.sub(r"--.*", "", GRANTS.read_text())
    found = await _tables(engine)
    assert len(found) > 15
    missing = [name for name in found if not re.search(rf"\b{name}\b", statements)]
    assert not missing, f"say in {GRANTS.name} what coalition_app may do with {', '.join(missing)}"


async def test_nobody_but_the_owner_deletes_truncates_or_disables_a_trigger(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        for name in await _tables(engine):
            for right in NEVER if name in PASSING else ("delete", *NEVER):
                may = text(
                    "select has_table_privilege('coalition_app', cast(:name as text), :right)"
                )
                assert not await connection.scalar(may, {"name": name, "right": right}), (
                    f"coalition_app may {right} {name}"
                )


async def test_what_the_triggers_keep_from_change_the_application_may_not_even_try(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        guarded = (await connection.execute(text(GUARDED))).all()
    assert len(guarded) > 50
    assert [f"{row.relname}.{row.attname}" for row in guarded if row.may] == []


async def test_of_what_digests_cover_whole_the_application_changes_a_missing_digest_alone(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        changed = {tuple(row) for row in await connection.execute(text(CHANGED))}
    assert changed == {("price", "digest"), ("terms", "digest")}


@pytest.mark.parametrize(
    "statement",
    [
        "insert into sealing (is_only, begins_at) values (false, now())",
        "update sealing set mark_offset = mark_offset + 1000000",
        "update sealing set begins_at = now()",
        "insert into earlier_digest values (1, 1, decode(repeat('00', 16), 'hex'), 1)",
        "update posting set digest = null",
        "update posting set mark = 1",
    ],
)
async def test_only_the_owner_makes_older_rows_good_or_moves_marks_on(
    engine: AsyncEngine, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))


async def test_a_new_table_may_be_read_and_appended_to_and_nothing_more(
    engine: AsyncEngine,
) -> None:
    async with owner(engine).begin() as connection:
        driver = await database.raw(connection)
        await driver.execute("create table later (n int generated always as identity, m int)")
        await driver.execute(GRANTS.read_text())
    async with engine.begin() as connection:
        await connection.execute(text("insert into later (m) values (7)"))
        assert await connection.scalar(text("select n from later")) == 1
        refused = "select has_any_column_privilege('coalition_app', 'later', 'update')"
        assert not await connection.scalar(text(refused))


async def test_rights_that_were_taken_or_given_by_hand_are_put_right_by_a_changed_list(
    engine: AsyncEngine,
) -> None:
    """And not by each command: to give rights has every server plan its statements anew."""
    url = owner(engine).url.render_as_string(hide_password=False)
    told = text("select has_table_privilege('coalition_app', 'posting', 'delete')")
    async with owner(engine).begin() as connection:
        await connection.execute(text("grant delete on posting to coalition_app"))
    await database.migrate(url)
    async with engine.connect() as connection:
        assert await connection.scalar(told)
    async with owner(engine).begin() as connection:
        await connection.execute(text("comment on table alembic_version is 'another list'"))
    await database.migrate(url)
    async with engine.connect() as connection:
        assert not await connection.scalar(told)
