"""Connecting and migrating, and what the migrated schema itself refuses."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner
from tests.world import SEAL_KEY

from coalition import database
from coalition.postgres import server as embedded
from coalition.settings import Settings, SettingsError, read_settings

# One merchant, one member with 100 points of which 40 are burned, all in the open window 1.
SEED = """
    insert into merchant values
        (0, 'house', 'House', 'CNY', 'UTC', '2017-01-01', false, '{}', now()),
        (2, 'telecom', 'Telecom', 'CNY', 'UTC', '2017-01-01', false, '{}', now());
    insert into settlement_window (window_id, label, opens_at, closes_at)
        values (1, '2017-01', '2017-01-01Z', '2017-02-01Z');
    insert into member (member_id, enrolled_by, enrolled_at) values (1, 2, now());
    insert into account (member_id, available, last_no) values (1, 60, 2);
    insert into posting (member_id, posting_no, kind, merchant_id, change, available_after,
                         occurred_at, recorded_at, window_id)
        values (1, 1, 'earn', 2, 100, 100, now(), now(), 1),
               (1, 2, 'burn', 2, -40, 60, now(), now(), 1);
    insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
                     earned_on, window_id)
        values (1, 1, 1, 2, 'purchase', 100, 60, now(), '2017-01-05', 1);
    insert into burn (member_id, burn_no, redeemer_id, kind, points, status, occurred_on, window_id)
        values (1, 2, 2, 'redemption', 40, 'posted', '2017-01-06', 1);
    insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind, points,
                     occurred_on, window_id, leg_no)
        values (1, 1, 2, 2, 2, 2, 'redemption', 40, '2017-01-06', 1, 1);
"""
CLOSE = """
    update settlement_window set status = 'closed', closed_at = now();
    insert into settlement_window (window_id, label, opens_at, closes_at)
        values (2, '2017-02', '2017-02-01Z', '2017-03-01Z');
"""
POSITION = "insert into position values (1, 2, 'Retail', 'CNY', {0}, 0, {0}, 0, 0, {0})"

REFUSED = {
    "a posting is changed": ("update posting set change = 1", "history is appended to"),
    "a posting is deleted": ("delete from posting", "history is appended to"),
    "a leg is deleted": ("delete from leg", "history is appended to"),
    "a leg's points are changed": ("update leg set points = 1", "history is appended to"),
    "a leg's last good day is changed": ("update leg set good_until = null", "appended to"),
    "a leg is moved to another window": (
        f"{CLOSE} update leg set window_id = 2",
        "is in window 1 and stays there",
    ),
    "a leg is written into a closed window": (
        CLOSE
        + """
        insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind,
                         points, occurred_on, window_id, leg_no)
            values (1, 1, 3, 2, 2, 2, 'redemption', -5, '2017-02-06', 1, 1)""",
        "only into the open window",
    ),
    "a posting is written into no window": (
        """
        insert into posting (member_id, posting_no, kind, merchant_id, change, available_after,
                             occurred_at, recorded_at, window_id)
            values (1, 3, 'earn', 2, 1, 61, now(), now(), 9)""",
        "only into the open window",
    ),
    "positions do not add up to zero": (CLOSE + POSITION.format(5), "must add up to zero"),
    "a window is netted before it is closed": (POSITION.format(0), "closed window"),
    "two windows are open": (
        "insert into settlement_window (window_id, label, opens_at, closes_at) "
        "values (2, '2017-02', '2017-02-01Z', '2017-03-01Z')",
        "settlement_window_one_open",
    ),
    "a closed window is opened again": (
        "update settlement_window set status = 'closed', closed_at = now();"
        "update settlement_window set status = 'open', closed_at = null",
        "a window only moves on",
    ),
    "more remains of a lot than was granted": ("update lot set remaining = 101", "lot_check"),
    "less than nothing remains of a lot": ("update lot set remaining = -1", "lot_check"),
    "a balance is below zero": ("update account set available = -1", "account_available_check"),
    "a posting belongs to no account": (
        "insert into posting (member_id, posting_no, kind, merchant_id, change, available_after,"
        " occurred_at, recorded_at, window_id) select 999, 1, kind, merchant_id, 0, 0, occurred_at,"
        " recorded_at, 1 from posting limit 1",
        "must belong to an account",
    ),
    "a lot is made by no posting": (
        "insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining,"
        " earned_at, earned_on, window_id) select member_id, 998, 999, origin_id, kind, 1, 1,"
        " earned_at, earned_on, 1 from lot limit 1",
        "must be made by a posting",
    ),
    "a burn is made by no posting": (
        "insert into burn (member_id, burn_no, redeemer_id, kind, points, status, occurred_on,"
        " window_id) select member_id, 999, 2, 'redemption', 1, 'posted', earned_on, 1 from lot"
        " limit 1",
        "must be made by a posting",
    ),
    "a leg joins no burn": (
        "insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind,"
        " points, occurred_on, window_id, leg_no) select member_id, lot_no, earn_no, 999,"
        " origin_id, 2, 'redemption', 1, earned_on, 1, 1 from lot limit 1",
        "must join a lot and a burn",
    ),
    "an account changes its member": (
        "update account set member_id = member_id + 1000",
        "never changed",
    ),
    "a card goes to another member": ("update card set member_id = 2", "never changed"),
    "a debt changes its origin": ("update debt set origin_id = 3", "never changed"),
    "a posted burn is held again": (
        "update burn set status = 'held', window_id = null",
        "it cannot become held",
    ),
    "more is returned than was burned": ("update burn set returned = 41", "burn_check"),
}


@pytest.mark.parametrize(("statements", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_the_schema_refuses_that(engine: AsyncEngine, statements: str, says: str) -> None:
    async with owner(engine).begin() as connection:
        driver = await database.raw(connection)
        await driver.execute(SEED)
    async with owner(engine).connect() as connection:
        driver = await database.raw(connection)
        with pytest.raises(Exception, match=says):
            await driver.execute(statements)


async def test_the_seed_can_be_closed_and_netted(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        driver = await database.raw(connection)
        await driver.execute(SEED + CLOSE)
        await driver.execute(POSITION.format(0))


async def test_a_migrated_database_is_current(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await database.is_current(connection)


async def test_an_empty_database_is_not_current_and_several_may_migrate_it_at_once(
    engine: AsyncEngine,
) -> None:
    async with owner(engine).connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("drop schema public cascade"))
        await connection.execute(text("create schema public"))
        assert not await database.is_current(connection)
    url = owner(engine).url.render_as_string(hide_password=False)
    await asyncio.gather(*(database.migrate(url) for _ in range(4)))
    async with engine.connect() as connection:
        assert await database.is_current(connection)
        assert await connection.scalar(text("select count(*) from alembic_version")) == 1


async def test_the_applications_role_migrates_nothing_and_is_told_who_does(
    engine: AsyncEngine,
) -> None:
    async with owner(engine).begin() as connection:
        await connection.execute(text("update alembic_version set version_num = '0001'"))
    url = engine.url.render_as_string(hide_password=False)
    with pytest.raises(SettingsError, match=r"coalition_app may not change .* COALITION_OWNER_URL"):
        await database.migrate(url)


async def test_a_database_without_the_applications_role_is_migrated_all_the_same() -> None:
    """One whose only role owns everything, as before there were two."""
    with embedded.scratch(options={"fsync": "off", "shared_buffers": "16MB"}) as server:
        url = embedded.url(server, "postgres")
        await database.migrate(url)
        engine = database.create_engine(url, SEAL_KEY)
        async with engine.connect() as connection:
            assert await database.is_current(connection)
        await engine.dispose()


async def test_what_runs_on_the_raw_connection_is_rolled_back_with_the_rest(
    engine: AsyncEngine,
) -> None:
    async with owner(engine).connect() as connection:
        await (await database.raw(connection)).execute("create table seen (n int)")
        await connection.rollback()
        found = await connection.scalar(text("select to_regclass('seen') is not null"))
        assert found is False


async def test_a_connection_that_was_killed_is_replaced(
    server_url: str, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        killed = await connection.scalar(text("select pg_backend_pid()"))
    outside = database.create_engine(server_url, SEAL_KEY)
    async with outside.connect() as connection:
        # Waits, up to the milliseconds given, until the session is gone.
        gone = text("select pg_terminate_backend(:pid, 60000)")
        assert await connection.scalar(gone, {"pid": killed})
    await outside.dispose()
    async with engine.connect() as connection:
        assert await connection.scalar(text("select pg_backend_pid()")) != killed


async def test_a_statement_error_says_which_rule_it_broke(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="account"):
            await connection.execute(text("insert into account (member_id) values (9)"))


@pytest.fixture
def embedded_settings() -> Iterator[Settings]:
    """No DATABASE_URL, and a data folder that the server's account can reach."""
    with tempfile.TemporaryDirectory(prefix="coalition-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield read_settings({"COALITION_DATA": name})


async def test_without_a_url_two_programs_share_one_embedded_database(
    embedded_settings: Settings,
) -> None:
    async with database.open_database(embedded_settings) as url:
        async with database.open_database(embedded_settings) as same_url:
            assert same_url == url
            await database.migrate(database.owner_url(embedded_settings, same_url))
        engine = database.create_engine(url, SEAL_KEY)
        async with engine.connect() as connection:
            assert await database.is_current(connection)
        await engine.dispose()


async def test_a_given_url_is_taken_as_it_is() -> None:
    given = {"DATABASE_URL": "postgres://me@db/points", "COALITION_PEPPER": "p" * 32}
    async with database.open_database(read_settings(given)) as url:
        assert url == "postgresql+asyncpg://me@db/points"


def test_the_owner_goes_to_the_database_that_is_asked_for() -> None:
    given = {"DATABASE_URL": "postgres://app:a@db/points", "COALITION_PEPPER": "p" * 32}
    asked = "postgresql+asyncpg://app:a@db/trial"
    assert database.owner_url(read_settings(given), asked) == asked
    given |= {"COALITION_OWNER_URL": "postgres://owner:o@db/points?sslmode=require"}
    told = database.owner_url(read_settings(given), asked)
    assert told == "postgresql+asyncpg://owner:o@db/trial?sslmode=require"


async def test_a_burn_may_take_more_lots_than_a_smallint_counts(engine: AsyncEngine) -> None:
    """A member of ten years may hold tens of thousands of small lots, and one expiry takes all."""
    async with engine.connect() as connection:
        kind = await connection.scalar(
            text(
                "select data_type from information_schema.columns"
                " where table_name = 'leg' and column_name = 'leg_no'"
            )
        )
    assert kind == "integer"


async def test_what_was_granted_outright_before_keeps_its_points_under_its_own_kind(
    engine: AsyncEngine,
) -> None:
    scripts = sorted(Path(database.__file__).parent.glob("migrations/versions/*.sql"))
    before = [script.read_text() for script in scripts if script.name < "0003"]
    [outright] = [script.read_text() for script in scripts if script.name.startswith("0003")]
    async with owner(engine).begin() as connection:
        driver = await database.raw(connection)
        await driver.execute("drop schema public cascade; create schema public;" + "".join(before))
        await driver.execute(SEED.replace("'purchase'", "'action'"))
        await driver.execute(outright)
        assert await driver.fetchval("select kind::text from lot") == "outright"
