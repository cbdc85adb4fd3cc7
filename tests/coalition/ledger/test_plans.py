"""How the database finds what a posting needs: by its keys, however small the tables once were."""

from datetime import timedelta

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.world import FIRST_DAY, Person, World, merchant, noon

from coalition.earning.validity import Validity
from coalition.ledger import commands as ask
from coalition.ledger.connection import KeptConnection

LARGE = ["card", "account", "posting", "lot", "burn", "leg"]
# More than a plan is tried before it is kept.
GROUPS = 12
HOLDS_ELSEWHERE = 5_000
# One card's history before the last of its groups is sent again.
GROUP_ROWS = 150
HISTORY_GROUPS = 4
READ_A_ROW_MAX = 40
POSTED_A_ROW_MAX = 60


async def _scans(kept: KeptConnection) -> dict[str, int]:
    driver = await kept.driver()
    await driver.execute("select pg_stat_force_next_flush()")
    rows = await driver.fetch(
        "select relname, seq_scan from pg_stat_user_tables where relname = any($1::text[])", LARGE
    )
    return {row[0]: row[1] for row in rows}


async def test_a_posting_never_reads_a_table_from_end_to_end(engine: AsyncEngine) -> None:
    world = World(engine)
    pending = replace(merchant("two"), validity=Validity(usable_after_days=14))
    await world.sync([merchant("one"), pending])
    for name in ("ann", "bob"):
        await world.enrol(name)
    kept = KeptConnection(engine)
    ann, bob = world.people["ann"], world.people["bob"]
    before = await _scans(kept)
    for number in range(GROUPS):
        world.now = noon(FIRST_DAY) + timedelta(hours=number)
        for person in (ann, bob):
            earn = ask.Earn(person.card, world.now, points=5)
            [outcome] = await world.ledger.post([world.request(earn, "two")], kept)
            assert isinstance(outcome, ask.Done)
        group: list[ask.Command] = [
            ask.Earn(ann.card, world.now, points=20, reference=f"e{number}"),
            ask.Earn(bob.card, world.now, points=20),
            ask.Burn(ann.card, 15, world.now, reference=f"b{number}"),
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
        later: list[ask.Command] = [
            ask.ReverseBurn(burned.member_id, burned.burn_no, 2),
            ask.ReverseEarn(earned.member_id, earned.earn_no, 1),
            ask.Capture(held.member_id, held.burn_no, 4),
            ask.ReverseEarnCalled(ann.card, f"e{number}", 1),
            ask.ReverseBurnCalled(ann.card, f"b{number}", 1),
        ]
        again = [world.request(command, "one") for command in later]
        for outcome in await world.ledger.post(again, kept):
            assert isinstance(outcome, ask.Done), outcome
        for outcome in await world.ledger.post(again, kept):
            assert isinstance(outcome, ask.Done)
            assert outcome.replayed
    assert await _scans(kept) == before
    await _hold_elsewhere(engine)
    read = await _index_entries_read(kept)
    [outcome] = await world.ledger.post(
        [world.request(ask.Burn(bob.card, 1, world.now, hold_seconds=60), "one")], kept
    )
    assert isinstance(outcome, ask.Done)
    assert await _index_entries_read(kept) - read < HOLDS_ELSEWHERE / 10
    await kept.close()


async def test_what_one_card_sent_again_reads_grows_with_its_rows_and_not_with_its_history(
    engine: AsyncEngine,
) -> None:
    world = World(engine)
    await world.sync([merchant("one"), merchant("two")])
    ann = await world.enrol("ann")
    kept = KeptConnection(engine)
    for _ in range(HISTORY_GROUPS):
        groups = await _all_kinds(world, kept, ann)
    # And what names a movement by its reference reads no more when it is posted.
    for called in (ask.ReverseBurnCalled, ask.ReverseEarnCalled):
        named = [r.command for rs, _ in groups for r in rs if isinstance(r.command, called)]
        requests = [world.request(command, "one") for command in named]
        read = await _index_entries_read(kept)
        await world.ledger.post(requests, kept)
        assert (await _index_entries_read(kept) - read) / len(requests) < POSTED_A_ROW_MAX
    for requests, first in groups:
        read = await _index_entries_read(kept)
        again = await world.ledger.post(requests, kept)
        assert again == [ask.Done(done.answer, replayed=True) for done in first]
        per_row = (await _index_entries_read(kept) - read) / len(requests)
        assert per_row < READ_A_ROW_MAX, (type(requests[0].command).__name__, per_row)
    await kept.close()


_Group = tuple[list[ask.Request], list[ask.Done]]


async def _all_kinds(world: World, kept: KeptConnection, ann: Person) -> list[_Group]:
    """Earns, burns and reversals of both on one card, a group each, and their outcomes."""
    groups: list[_Group] = []

    async def post(commands: list[ask.Command]) -> list[ask.Done]:
        requests = [world.request(command, "one") for command in commands]
        found = await world.ledger.post(requests, kept)
        outcomes = [done for done in found if isinstance(done, ask.Done)]
        assert len(outcomes) == len(commands)
        groups.append((requests, outcomes))
        return outcomes

    so_far = (await world.balance("ann")).available
    names = [f"r{so_far}-{number}" for number in range(GROUP_ROWS)]
    earned = await post(
        [ask.Earn(ann.card, world.now, points=20, reference=name) for name in names]
    )
    burned = await post([ask.Burn(ann.card, 10, world.now, reference=name) for name in names])
    answers = [done.answer for done in burned]
    await post(
        [
            ask.ReverseBurn(answer.member_id, answer.burn_no, 1)
            for answer in answers
            if isinstance(answer, ask.BurnAnswer)
        ]
    )
    answers = [done.answer for done in earned]
    await post(
        [
            ask.ReverseEarn(answer.member_id, answer.earn_no, 1)
            for answer in answers
            if isinstance(answer, ask.EarnAnswer)
        ]
    )
    await post([ask.ReverseBurnCalled(ann.card, name, 1) for name in names])
    await post([ask.ReverseEarnCalled(ann.card, name, 1) for name in names])
    return groups


async def _hold_elsewhere(engine: AsyncEngine) -> None:
    """Holds of many other members, of which a posting for one member reads nothing."""
    await crowd.change(
        engine,
        f"""insert into burn (member_id, burn_no, redeemer_id, kind, points, status, occurred_on,
                              hold_expires_at)
            select 1000 + n, 1, 2, 'redemption', 1, 'held', '2026-01-01', '2026-02-01'
            from generate_series(1, {HOLDS_ELSEWHERE}) n""",
    )


async def _index_entries_read(kept: KeptConnection) -> int:
    driver = await kept.driver()
    await driver.execute("select pg_stat_force_next_flush()")
    read = await driver.fetchval(
        "select sum(idx_tup_read) from pg_stat_user_indexes where relname = any($1::text[])", LARGE
    )
    return int(read)
