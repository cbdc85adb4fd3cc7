"""The attack: whoever owns the database makes rows look as if they were older than digests, so that
nothing vouches for them. What is older is said to be unsealed until `coalition seal`, and only what
is older can be.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, START, TELECOM, asked, card, earn
from tests.owner import owner, superuser

from coalition import database
from coalition.clearing.seal import seal_earlier_windows, unsealed_windows
from coalition.clearing.service import close_due
from coalition.earning.validity import Validity
from coalition.ledger.commands import Burn, ReverseBurn
from coalition.ledger.late import seal_movements, unsealed_movements
from coalition.ledger.post import Ledger
from coalition.sealing.anchors import AnchorError, check_seal, write_anchor
from coalition.sealing.history import PRICES, TERMS, seal_history
from coalition.sealing.key import key_of
from coalition.verify import verify
from coalition.verify.anchored import compare, read_anchors
from coalition.verify.check import MOVEMENTS, WINDOWS

LATER = START.replace(month=2)
# Everything as it was before the migration that brought digests.
BEFORE = """
set local session_replication_role = replica;
update settlement_window set statement_format = 2 where netted_at is not null;
update leg set good_until = null where points < 0;
drop function mark_now, mark_settled;
drop table sealing, earlier_digest;
alter table posting drop column digest, drop column mark, drop column pending_after;
alter table account drop column digest, drop column pending_until;
drop trigger window_digest on settlement_window;
drop function window_digest_stays;
alter table settlement_window drop column digest;
drop trigger price_stays on price;
drop trigger price_is_history on price;
alter table price drop column digest;
create trigger price_is_history before update or delete or truncate on price
    for each statement execute function refuse_change();
drop trigger terms_stay on terms;
drop trigger terms_are_history on terms;
alter table terms drop column digest;
create trigger terms_are_history before update or delete or truncate on terms
    for each statement execute function refuse_change();
set local session_replication_role = origin;
"""
# What came after digests, so that a row's columns stand in their order again.
SINCE = """
alter table account add column pending_until date;
alter table posting add column pending_after bigint not null default 0;
"""
MIGRATIONS = Path(database.__file__).parent / "migrations"
MIGRATION = MIGRATIONS / "versions/0018_digests.sql"
GRANTS = MIGRATIONS / "grants.sql"


@pytest.fixture
async def older(engine: AsyncEngine) -> Ledger:
    """A closed window and an open one from before digests, migrated: six movements of three
    members. Member 3's points lapsed while they were away, and came back with time to live."""
    await crowd.found(engine, members=3, validity=Validity(days=40))
    ledger = Ledger(engine)
    await ledger.start()
    await ledger.post([asked(earn(1, 100)), asked(earn(2, 100))])
    await close_due(engine, LATER)
    await ledger.post([asked(Burn(card(1), 30, LATER), RETAIL, now=LATER)])
    await ledger.post([asked(earn(3, 50)), asked(Burn(card(3), 30, START), RETAIL)])
    gone = START + timedelta(days=50)
    await ledger.post([asked(ReverseBurn(3, 3), RETAIL, now=gone)])
    assert await crowd.value(engine, "select count(*) from lot where first_expires_on < expires_on")
    for role, script in (
        (superuser, BEFORE),
        (owner, MIGRATION.read_text(encoding="utf-8")),
        (owner, SINCE),
        (owner, GRANTS.read_text(encoding="utf-8")),
    ):
        async with role(engine).begin() as connection:
            await (await database.raw(connection)).execute(script)
    # What connections know of the tables' columns is gone with them.
    await engine.dispose()
    return ledger


async def _rules(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return {breach.rule for breach in await verify(connection)}


async def _unsealed(engine: AsyncEngine) -> tuple[int, int]:
    async with engine.connect() as connection:
        return await unsealed_movements(connection), await unsealed_windows(connection)


async def _seal(engine: AsyncEngine) -> tuple[int, int, int]:
    """As `coalition seal` does it: as the owner."""
    movements = await seal_movements(owner(engine))
    async with owner(engine).begin() as connection:
        key = key_of(connection)
        rows = [await seal_history(connection, one, key) for one in (PRICES, TERMS)]
        return movements, sum(rows), len(await seal_earlier_windows(connection, key))


async def test_what_is_older_than_digests_breaks_no_rule_and_is_counted(older: Ledger) -> None:
    assert await _rules(older.engine) == set()
    assert await _unsealed(older.engine) == (7, 1)


async def test_a_seal_gives_all_of_it_digests_and_a_second_one_does_nothing(
    older: Ledger,
) -> None:
    movements, rows, windows = await _seal(older.engine)
    assert (movements, windows) == (7, 1)
    assert rows > 0
    assert await _unsealed(older.engine) == (0, 0)
    assert await _rules(older.engine) == set()
    assert await _seal(older.engine) == (0, 0, 0)


@pytest.mark.parametrize("is_sealed_first", [True, False])
async def test_a_chain_goes_on_whether_the_earlier_part_was_sealed_before_or_is_later(
    older: Ledger, is_sealed_first: bool
) -> None:
    if is_sealed_first:
        await _seal(older.engine)
    await older.post([asked(earn(1, 5, at=LATER), TELECOM, now=LATER)])
    await close_due(older.engine, START.replace(month=3))
    assert await _rules(older.engine) == set()
    if not is_sealed_first:
        assert await _seal(older.engine) == (7, 5, 1)
    assert await _unsealed(older.engine) == (0, 0)
    assert await _rules(older.engine) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("update posting set amount = 7 where member_id = 1 and posting_no = 3", MOVEMENTS),
        ("update earlier_digest set digest = substr(digest || '\\x00', 2)", MOVEMENTS),
        ("delete from earlier_digest where member_id = 1 and posting_no = 3", MOVEMENTS),
        ("update position set party_name = 'Nobody'", WINDOWS),
        ("update settlement_window set digest = null where window_id = 1", WINDOWS),
        ("delete from earlier_digest where member_id = 2", MOVEMENTS),
    ],
)
async def test_what_was_sealed_is_as_safe_as_what_was_posted_with_a_digest(
    older: Ledger, change: str, rule: str
) -> None:
    await _seal(older.engine)
    await older.post([asked(earn(1, 5, at=LATER), TELECOM, now=LATER)])
    await close_due(older.engine, START.replace(month=3))
    await crowd.change(older.engine, change)
    assert rule in await _rules(older.engine)


async def test_nothing_older_is_invented_once_all_of_it_is_sealed(
    older: Ledger, tmp_path: Path
) -> None:
    engine = older.engine

    async def anchor() -> bool:
        async with engine.begin() as connection:
            made = await write_anchor(connection, tmp_path, key_of(connection), LATER)
        return made is not None and made.is_sealed

    async def false() -> list[str]:
        anchors = read_anchors(tmp_path, key_of(engine))
        async with engine.connect() as connection:
            return (await compare(connection, anchors)).false

    assert not await anchor()
    await _seal(engine)
    # An anchor waits for whatever transaction of the server still runs, other tests' among them.
    await crowd.until(anchor, "an anchor says that all is sealed")
    assert await false() == []
    # Of a member who moved nothing since, as if nobody had come to seal it.
    await crowd.change(
        engine,
        "delete from earlier_digest where member_id = 2",
        "update account set digest = null where member_id = 2",
    )
    assert "posting 1 of member 2 has no digest, and all had one by the anchor of " in str(
        await false()
    )
    # Whoever seals is told, and no anchor of later knows any less.
    with pytest.raises(AnchorError, match="1 movements have none"):
        await check_seal(1, tmp_path)
    await check_seal(0, tmp_path)
    await older.post([asked(earn(1, 5, at=LATER), TELECOM, now=LATER)])
    await crowd.until(anchor, "an anchor of later says so too")


async def test_a_seal_makes_nothing_good_that_was_posted_since(engine: AsyncEngine) -> None:
    await crowd.found(engine, members=1)
    ledger = Ledger(engine)
    await ledger.start()
    await ledger.post([asked(earn(1, 100))])
    await crowd.change(
        engine, "update posting set digest = null", "update account set digest = null"
    )
    assert await seal_movements(owner(engine)) == 0
    assert await _rules(engine) == {"whatever was posted since digests are has one"}
