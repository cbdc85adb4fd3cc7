"""What there is of rewards and vouchers, set-based, in the caller's transaction.

Rows of reward_count are locked by lock_counts alone, and only by whoever holds the accounts of its
group already, each in the order of the rewards: so nobody waits in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg

from coalition.rewards.codes import SealedCode
from coalition.rewards.voucher import Count, Desk, RewardKey, Taken, Voucher, VoucherEvent

_ADD_COUNTS = """
insert into reward_count (merchant_id, reward)
select * from unnest($1::int[], $2::text[]) order by 1, 2
on conflict do nothing
"""
_LOCK_COUNTS = """
select merchant_id, reward, sold from reward_count
where (merchant_id, reward) in (select * from unnest($1::int[], $2::text[]))
order by merchant_id, reward for update
"""
_TAKEN = """
select b.member_id, b.redeemer_id, b.reward, b.burn_no, p.recorded_at,
       div(cast(b.quantity as numeric) * (b.points - b.returned), b.points)::bigint
from unnest($1::bigint[], $2::int[], $3::text[]) as t (member_id, redeemer_id, reward)
cross join lateral (
    select * from burn where burn.member_id = t.member_id and burn.redeemer_id = t.redeemer_id
      and burn.reward = t.reward and burn.reward is not null offset 0) b
join posting p on p.member_id = b.member_id and p.posting_no = b.burn_no
"""
_VOUCHER_COLUMNS = """
v.member_id, v.voucher_no, v.burn_no, v.status, v.value, v.remaining, v.expires_on, v.part_use
"""
_VOUCHERS = f"""
select {_VOUCHER_COLUMNS}, c.digest, c.sealed
from unnest($1::bigint[], $2::int[]) as t (member_id, burn_no)
cross join lateral (
    select * from voucher where voucher.member_id = t.member_id and voucher.burn_no = t.burn_no
    offset 0) v
join voucher_code c on c.member_id = v.member_id and c.voucher_no = v.voucher_no
"""
_EVENTS = """
select member_id, posting_no, voucher_no, kind, amount, remaining from voucher_event
where (member_id, posting_no) in (select * from unnest($1::bigint[], $2::int[]))
"""
# Whoever may give one out holds the count of its reward, so that nobody else does meanwhile.
_FREE = """
select t.merchant_id, t.reward, c.digest, c.sealed
from unnest($1::int[], $2::text[], $3::bigint[]) as t (merchant_id, reward, needed)
cross join lateral (
    select digest, sealed from voucher_code v
    where v.merchant_id = t.merchant_id and v.reward = t.reward and v.member_id is null
    order by v.added_at limit t.needed) c
"""
_ADD_VOUCHERS = """
insert into voucher select * from unnest(
    $1::bigint[], $2::int[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::date[],
    $8::boolean[])
"""
_ADD_CODES = """
insert into voucher_code (digest, sealed, merchant_id, reward, added_at, member_id, voucher_no)
select * from unnest($1::bytea[], $2::bytea[], $3::int[], $4::text[], $5::timestamptz[],
                     $6::bigint[], $7::int[])
on conflict (digest) do update set member_id = excluded.member_id,
                                   voucher_no = excluded.voucher_no
"""
_ADD_EVENTS = """
insert into voucher_event select * from unnest(
    $1::bigint[], $2::int[], $3::int[], $4::text[], $5::bigint[], $6::bigint[])
"""
_MOVE_VOUCHERS = """
update voucher v set status = t.status, remaining = t.remaining
from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[])
    as t (member_id, voucher_no, status, remaining)
where v.member_id = t.member_id and v.voucher_no = t.voucher_no
"""
_COUNT = """
update reward_count c set sold = t.sold, stock = t.stock
from unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[])
    as t (merchant_id, reward, sold, stock)
where c.merchant_id = t.merchant_id and c.reward = t.reward
"""

_Of = tuple[int, int]


async def lock_counts(
    driver: asyncpg.Connection, desk: Desk, asked: Iterable[RewardKey], known: Iterable[RewardKey]
) -> None:
    """Lock what is gone of each reward, until the end of the transaction. asked are in the terms
    and may never have been taken; known have been.
    """
    wanted = sorted({*asked, *known})
    rows = await driver.fetch(_LOCK_COUNTS, *_columns(wanted, 2))
    if missing := sorted({*asked} - {(row[0], row[1]) for row in rows}):
        await driver.execute(_ADD_COUNTS, *_columns(missing, 2))
        rows = await driver.fetch(_LOCK_COUNTS, *_columns(wanted, 2))
    desk.counts = {(row[0], row[1]): Count(*row) for row in rows}


async def load_taken(
    driver: asyncpg.Connection, desk: Desk, wanted: set[tuple[int, RewardKey]]
) -> None:
    """What each of these members has taken of each reward, and not given back whole."""
    asked = sorted((member_id, *key) for member_id, key in wanted)
    for row in await driver.fetch(_TAKEN, *_columns(asked, 3)):
        desk.taken.setdefault((row[0], (row[1], row[2])), []).append(Taken(*row[3:]))


async def load_vouchers(driver: asyncpg.Connection, desk: Desk, burns: set[_Of]) -> None:
    """The vouchers of these (member_id, burn_no), with their codes."""
    for row in await driver.fetch(_VOUCHERS, *_columns(sorted(burns), 2)):
        of = (row[0], row[1])
        desk.vouchers[of] = Voucher(*row[:-2])
        desk.codes[of] = SealedCode(*row[-2:])


async def load_free(
    driver: asyncpg.Connection, desk: Desk, needed: Mapping[RewardKey, int]
) -> None:
    """As many loaded codes of each reward as are needed, where there are so many."""
    rows = [(*key, count) for key, count in sorted(needed.items())]
    for row in await driver.fetch(_FREE, *_columns(rows, 3)):
        desk.free.setdefault((row[0], row[1]), []).append(SealedCode(row[2], row[3]))


async def load_events(driver: asyncpg.Connection, desk: Desk, postings: set[_Of]) -> None:
    """What these (member_id, posting_no) did to their vouchers."""
    for row in await driver.fetch(_EVENTS, *_columns(sorted(postings), 2)):
        desk.events[row[0], row[1]] = VoucherEvent(*row)


async def save_desk(
    driver: asyncpg.Connection, desk: Desk, rewards: dict[_Of, RewardKey], now: datetime
) -> None:
    """Write what was decided. rewards: which reward each new voucher's (member_id, burn_no) is of;
    now: when codes that were made came to be.
    """
    vouchers = desk.new_vouchers
    if vouchers:
        rows = [
            (v.member_id, v.voucher_no, v.burn_no, "issued", v.value, v.value, v.expires_on,
             v.part_use) for v in vouchers
        ]  # fmt: skip
        await driver.execute(_ADD_VOUCHERS, *_columns(rows, 8))
        codes = [
            (*desk.codes[v.member_id, v.voucher_no], *rewards[v.member_id, v.burn_no], now,
             v.member_id, v.voucher_no) for v in vouchers
        ]  # fmt: skip
        await driver.execute(_ADD_CODES, *_columns(codes, 7))
    if desk.new_events:
        events = [
            (e.member_id, e.posting_no, e.voucher_no, e.kind, e.amount, e.remaining)
            for e in desk.new_events
        ]
        await driver.execute(_ADD_EVENTS, *_columns(events, 6))
        moved = [
            (*of, voucher.status, voucher.remaining)
            for of, voucher in sorted(desk.changed_vouchers.items())
        ]
        await driver.execute(_MOVE_VOUCHERS, *_columns(moved, 4))
    if desk.changed_counts:
        counts = [
            (*key, desk.counts[key].sold, stock)
            for key, stock in sorted(desk.changed_counts.items())
        ]
        await driver.execute(_COUNT, *_columns(counts, 4))


def _columns(rows: Sequence[tuple[object, ...]], count: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
