"""How the database finds what a posting needs: by its keys, however small the tables once were."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import FIRST_DAY, World, merchant, noon

from coalition.ledger import commands as ask
from coalition.ledger.connection import KeptConnection

LARGE = ["card", "account", "posting", "lot", "burn", "leg"]
# More than a plan is tried before it is kept.
GROUPS = 12
HOLDS_ELSEWHERE = 5_000


async def _scans(kept: KeptConnection) -> dict[str, int]:
    driver = await kept.driver()
    await driver.execute("select pg_stat_force_next_flush()")
    rows = await driver.fetch(
        "select relname, seq_scan from pg_stat_user_tables where relname = any($1::text[])", LARGE
    )
    return {row[0]: row[1] for row in rows}


async def test_a_posting_never_reads_a_table_from_end_to_end(engine: AsyncEngine) -> None:
    world = World(engine)
    await world.sync([merchant("one"), merchant("two")])
    for name in ("ann", "bob"):
        await world.enrol(name)
    kept = KeptConnection(engine)
    ann, bob = world.people["ann"], world.people["bob"]
    before = await _scans(kept)
    for number in range(GROUPS):
        world.now = noon(FIRST_DAY) + timedelta(hours=number)
        group = [
            ask.Earn(ann.card, world.now, points=20),
            ask.Earn(bob.card, world.now, points=20),
            ask.Burn(ann.card, 15, world.now),
            ask.Burn(bob.card, 5, world.now, hold_seconds=60),
            ask.Transfer(ann.card, bob.card, 1),
        ]
        outcomes = await world.ledger.post(
            [world.request(command, "one") for command in group], kept
        )
        posted = [done.answer for done in outcomes if isinstance(done, ask.Done)]
        earned, _, burned, held, _ = posted
        assert isinstance(earned, ask.EarnAnswer)
        assert isinstance(burned, ask.BurnAnswer)
        assert isinstance(held, ask.BurnAnswer)
        later = [
            ask.ReverseBurn(burned.member_id, burned.burn_no, 2),
            ask.ReverseEarn(earned.member_id, earned.earn_no, 1),
            ask.Capture(held.member_id, held.burn_no, 4),
        ]
        again = [world.request(command, "one") for command in later]
        for outcome in await world.ledger.post(again, kept):
            assert isinstance(outcome, ask.Done), outcome
        for outcome in await world.ledger.post(again, kept):
            assert isinstance(outcome, ask.Done)
            assert outcome.replayed
    assert await _scans(kept) == before
    await _hold_elsewhere(kept)
    read = await _index_entries_read(kept)
    [held] = await world.ledger.post(
        [world.request(ask.Burn(bob.card, 1, world.now, hold_seconds=60), "one")], kept
    )
    assert isinstance(held, ask.Done)
    assert await _index_entries_read(kept) - read < HOLDS_ELSEWHERE / 10
    await kept.close()


async def _hold_elsewhere(kept: KeptConnection) -> None:
    """Holds of many other members, of which a posting for one member reads nothing."""
    driver = await kept.driver()
    await driver.execute("set session_replication_role = replica")
    await driver.execute(
        """insert into burn (member_id, burn_no, redeemer_id, kind, points, status, occurred_on,
                             hold_expires_at)
           select 1000 + n, 1, 2, 'redemption', 1, 'held', '2026-01-01', '2026-02-01'
           from generate_series(1, $1) n""",
        HOLDS_ELSEWHERE,
    )
    await driver.execute("reset session_replication_role")


async def _index_entries_read(kept: KeptConnection) -> int:
    driver = await kept.driver()
    await driver.execute("select pg_stat_force_next_flush()")
    read = await driver.fetchval(
        "select sum(idx_tup_read) from pg_stat_user_indexes where relname = any($1::text[])", LARGE
    )
    return int(read)
