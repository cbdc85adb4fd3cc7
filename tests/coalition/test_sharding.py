"""What sharding by member asks of the schema and the statements, kept from the first day on."""

import re
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

SOURCES = Path(__file__).parents[2] / "src"
# Every table that grows with the members; the rest is small and would be copied to every shard.
HOT = {
    *("account", "posting", "lot", "burn", "leg", "debt", "activity", "reversed_lot"),
    *("earlier_digest", "voucher", "voucher_event", "tally", "counted"),
}
REFERENCE = {
    *("merchant", "price", "settlement_window", "api_key", "terms", "window_terms"),
    *("unknown_cards", "reward_count"),
}
# Written once a member, card or voucher, and looked up by a card's number or a voucher's code:
# a table of its own on Citus.
LOOK_UP = {"member", "card", "pin", "voucher_code"}
RESULTS = {"path", "passed_net", "position", "batch", "batch_chunk", "upload", "alembic_version"}
# One row, and one a file.
IMPORT = {"beginning", "import_file"}
# One row.
SEALING = {"sealing"}
# One row an act of administration, and one that says whose the database is.
ACTS = {"audit", "coalition_mode"}
# Some rows a merchant.
PEOPLE = {"person", "session", "approval"}


async def test_every_table_is_known_to_be_hot_or_small(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.scalars(
            text("select tablename::text from pg_tables where schemaname = 'public'")
        )
        small = REFERENCE | LOOK_UP | RESULTS | IMPORT | SEALING | ACTS | PEOPLE
        assert set(found) == HOT | small


async def test_member_id_stands_first_in_the_primary_key_of_every_hot_table(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("""
                select c.conrelid::regclass::text, a.attname::text from pg_constraint c
                join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                where c.contype = 'p' and c.conrelid::regclass::text = any(:hot)
            """),
            {"hot": sorted(HOT)},
        )
        assert {(table, column) for table, column in rows} == {
            (table, "member_id") for table in HOT
        }


async def test_hot_tables_refer_to_each_other_by_member_and_to_no_other_table(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("""
                select c.conrelid::regclass::text, c.confrelid::regclass::text,
                       array(select a.attname::text from unnest(c.conkey) k
                             join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k),
                       c.condeferrable
                from pg_constraint c
                where c.contype = 'f' and c.conrelid::regclass::text = any(:hot)
            """),
            {"hot": sorted(HOT)},
        )
        for table, target, columns, is_deferrable in rows:
            assert target in HOT | {"member"}, f"{table} refers to {target}"
            assert "member_id" in columns, f"{table} refers to {target} without its member"
            assert not is_deferrable


async def test_one_unique_index_of_a_hot_table_does_without_the_member(
    engine: AsyncEngine,
) -> None:
    """posting_request, by decision 0004: what becomes of it on Citus is written there."""
    async with engine.connect() as connection:
        rows = await connection.scalars(
            text("""
                select i.indexrelid::regclass::text from pg_index i
                where i.indisunique and i.indrelid::regclass::text = any(:hot)
                  and not exists (
                      select from pg_attribute a where a.attrelid = i.indrelid
                      and a.attname = 'member_id' and a.attnum = any(i.indkey::int2[]))
            """),
            {"hot": sorted(HOT)},
        )
        assert set(rows) == {"posting_request"}


def test_rows_of_several_members_are_locked_by_the_ordered_account_lock_alone() -> None:
    locks = {
        (path.relative_to(SOURCES).as_posix(), found.group().lower())
        for path in [*SOURCES.rglob("ledger/*.py"), *SOURCES.rglob("*.sql")]
        for found in re.finditer(r"order by member_id for update|for update", path.read_text())
    }
    # load_group as it was, twice, and as it is. And `coalition seal` locks as a posting does.
    assert locks == {
        (place, "order by member_id for update")
        for place in (
            "coalition/migrations/versions/0001_ledger.sql",
            "coalition/migrations/versions/0021_pending.sql",
            "coalition/migrations/versions/0024_tallies.sql",
            "coalition/ledger/late.py",
        )
    }


def test_the_core_uses_nothing_that_a_sharded_postgresql_lacks() -> None:
    for path in [*SOURCES.rglob("*.py"), *SOURCES.rglob("*.sql")]:
        statement = path.read_text().lower()
        for lacking in ("initially deferred", "pg_advisory_lock(", "add_listener(", "pg_notify("):
            assert lacking not in statement, f"{path.name} uses {lacking}"
