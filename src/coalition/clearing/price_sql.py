"""The rule of price.py as one SQL statement, by which a close tallies, prices and rounds its lines.

A large window has a million lines, and none of them travels to Python. What price.py makes of the
same legs must be the same, line by line: `coalition verify` and the tests compare the two. Prices
and terms come as arrays made of the very values that price.py reads. Netting is not here.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.kinds import EXPIRY, GIVEN_BACK, ISSUE, REDEMPTIONS, listed
from coalition.clearing.policy import Policy
from coalition.clearing.price import ZERO, PriceTable
from coalition.terms.book import HOUSE_ID, POOL_ID
from coalition.terms.prices import Price
from settlement.money import minor_digits
from settlement.obligation import BURN, OWN, REDEEM

# $1 is the window, $2 every day on which any price begins. Days between two of them (an epoch, 0
# before the first) have the same prices, so points are added up by epoch and priced afterwards.
# What is about an earlier window has twice that window's number as `about`, plus 1 for points given
# back, else 0: a correction never hides in a late item of the same path. Epoch and about are packed
# into one number (20 bits for the epoch) for as long as rows are counted, since to hash two columns
# takes a tenth longer.
_MARK = """
    (width_bucket({day}, $2::date[]) + case when about_window_id is null then 0
        else (2 * about_window_id::bigint + (points < 0)::int) << 20 end)
"""
_UNPACKED = f"({_MARK} & 1048575)::int as epoch, {_MARK} >> 20 as about"
# The legs in two halves that share no path: two processes work on them at once, and nothing that
# one of them counted has to be put together with what the other did.
_LEGS = f"""
    select origin_id, redeemer_id, kind::text as kind, {_UNPACKED.format(day="occurred_on")},
           kind in {listed(REDEMPTIONS)} and origin_id <> redeemer_id as is_cross,
           sum(points) as points
    from leg where window_id = $1 and (origin_id + redeemer_id) % 2 = {{half}}
    group by origin_id, redeemer_id, kind, {_MARK.format(day="occurred_on")}
"""
# A transfer's lots are left out: those points were issued, and paid for, when first earned.
_LOTS = f"""
    select origin_id, origin_id as redeemer_id, '{ISSUE}' as kind,
           {_UNPACKED.format(day="earned_on")}, false as is_cross, sum(points) as points
    from lot where window_id = $1 and kind <> 'transfer'
    group by origin_id, {_MARK.format(day="earned_on")}
"""
_OWN = """
    unnest($3::int[], $4::int[], $5::int[], $6::numeric[], $7::numeric[], $8::numeric[],
           $9::text[], $10::numeric[], $11::int[], $12::boolean[], $13::boolean[])
"""
_OWN_COLUMNS = """
    (party_id, from_epoch, to_epoch, issue_price, burn_price, redeem_price, currency, per_unit,
     breakage_id, gets_own_price, agrees_apart)
"""

# Who owes what for a point of a tally, as price.py has it (_dues):
# - a redemption of another's points: the origin pays what it agreed on with that redeemer, else
#   with everyone. The redeemer gets what the same agreement with the pair says, else what its own
#   does, in its own currency; where that says nothing, what the origin pays (gets: null);
# - an issue: the origin pays its issue price to the house;
# - points taken back from circulation unspent: the house pays the issue price back;
# - an expiry: the point's value goes from its holder (prefunded: the house) to its owner;
# - a transfer, and a redemption of a merchant's own points: nobody owes anything.
# is_apart: the redeemer may get another price, or currency, than what the origin pays, since prices
# that say so were ever agreed on; then its side is a line of its own, and else it is told in the
# origin's (onward). Tallies of one side of one path at the same price are one line; a line of 0
# points is none. A party without terms, which cannot be, would leave a line without a currency, and
# `path` refuses that.
_LINES = f"""
(with tally as ({{tally}}),
agreed as (
    select t.origin_id, t.redeemer_id, t.kind, t.about, t.is_cross, t.points,
           case when till.party_id is not null then own.currency end as currency, own.per_unit,
           coalesce(pair.burn_price, own.burn_price) as pays,
           case when pair.origin_id is null then till.redeem_price
                else pair.redeem_price end as gets,
           till.currency as till_currency, till.per_unit as till_per_unit,
           t.is_cross and (till.gets_own_price or own.agrees_apart) as is_apart,
           own.issue_price, own.breakage_id as owner_id,
           case when own.issue_price > 0 then own.issue_price else own.burn_price end as value,
           case when own.issue_price > 0 then {HOUSE_ID} else t.origin_id end as holder_id
    from tally t
    left join {_OWN} as own {_OWN_COLUMNS}
        on own.party_id = t.origin_id and own.from_epoch <= t.epoch and t.epoch < own.to_epoch
    left join {_OWN} as till {_OWN_COLUMNS}
        on till.party_id = t.redeemer_id and till.from_epoch <= t.epoch and t.epoch < till.to_epoch
    left join unnest($14::int[], $15::int[], $16::int[], $17::int[], $18::numeric[], $19::numeric[])
        as pair (origin_id, redeemer_id, from_epoch, to_epoch, burn_price, redeem_price)
        on pair.origin_id = t.origin_id and pair.redeemer_id = t.redeemer_id
        and pair.from_epoch <= t.epoch and t.epoch < pair.to_epoch
),
due as (
    select *,
           case when is_cross then pays
                when kind in {listed((ISSUE, *GIVEN_BACK))} then issue_price
                when kind = '{EXPIRY}' and holder_id <> owner_id then value
                else 0 end as own_price,
           kind = '{EXPIRY}' and holder_id <> owner_id and value > 0 as is_breakage
    from agreed
),
line as (
    select origin_id, redeemer_id, kind, about, is_cross, is_apart, side.*,
           case when is_breakage then holder_id end as debtor_of_value,
           case when is_breakage then owner_id end as creditor_of_value,
           sum(points) as points, sum(points) * side.price * side.unit as exact
    from due cross join lateral (
        select false as is_till, own_price as price, currency as money, per_unit as unit
        union all
        select true, coalesce(gets, pays), case when gets is null then currency
            else till_currency end, case when gets is null then per_unit else till_per_unit end
        where is_apart) side
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 having sum(points) <> 0
),
owed as (
    select *,
           case when is_till then '{REDEEM}' when is_cross then '{BURN}'
                when kind in {listed(REDEMPTIONS)} then '{OWN}'
                when kind = '{EXPIRY}' then 'breakage' else kind end as reason,
           case when is_till or kind in {listed(GIVEN_BACK)} then {HOUSE_ID}
                when is_cross or kind = '{ISSUE}' then origin_id
                else debtor_of_value end as debtor_id,
           case when is_till then redeemer_id
                when is_cross or kind = '{ISSUE}' then {HOUSE_ID}
                when kind in {listed(GIVEN_BACK)} then origin_id
                else creditor_of_value end as creditor_id,
           is_cross and not is_apart as is_onward
    from line
)
select origin_id, redeemer_id, kind, nullif(about >> 1, 0)::int as about_window_id, points,
       case when debtor_id <> creditor_id then debtor_id end as debtor_id,
       case when debtor_id <> creditor_id then creditor_id end as creditor_id,
       price, {{amount}} as amount, money as currency, reason,
       case when is_onward then nullif(redeemer_id, {HOUSE_ID}) end as onward_id,
       case when is_onward then '{REDEEM}' end as onward_reason
from owed)
"""


def half_even(exact: str) -> str:
    """SQL that rounds once, half-even; round() of numeric is exact, but takes a half away from 0.

    Only where a half was rounded, and to an odd number, is it one too far.
    """
    return (
        f"round({exact}) - case when abs({exact} - round({exact})) = 0.5 "
        f"and round({exact}) % 2 <> 0 then sign({exact}) else 0 end"
    )


def _priced() -> str:
    tallies = (_LEGS.format(half=0), _LEGS.format(half=1), _LOTS)
    parts = (_LINES.format(tally=tally, amount=half_even("exact")) for tally in tallies)
    return " union all ".join(f"select * from {part} part" for part in parts)


# INSERT never runs in several processes at once, and CREATE TABLE AS does.
_PRICE = f"create temp table priced on commit drop as select * from ({_priced()}) lines"
_COLUMNS = """
    origin_id, redeemer_id, kind, about_window_id, points, debtor_id, creditor_id, price, amount,
    currency, reason, onward_id, onward_reason
"""
_WRITE = f"insert into path (window_id, {_COLUMNS}) select $1, {_COLUMNS} from priced"

# What the planner should know and cannot: a window that has just ended is in no statistics, so it
# may take a million paths for a handful. Each group and each join is hashed then, which is right
# for few rows and for many; the halves run beside each other, not each in parallel again. work_mem
# bounds each of their two large hash tables (hash_mem_multiplier: to twice as much), beyond which
# they go to disk.
_WHILE_PRICING = {
    "work_mem": "96MB",
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "1TB",
}
_NO_END = 2**31 - 1
_EPOCHS_MAX = 2**20


async def write_lines(
    connection: AsyncConnection,
    window_id: int,
    table: PriceTable,
    policy: Policy,
    ids: Mapping[str, int],
) -> None:
    """Write what each path of a closed window came to, from its legs and lots, into `path`."""
    days = sorted({row.effective_from for rows in table.values() for row in rows})
    assert len(days) < _EPOCHS_MAX, f"prices begin on {len(days)} days"
    own = list(_own_prices(table, policy, ids, days))
    pairs = list(_pair_prices(table, ids, days))
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    for name, value in _WHILE_PRICING.items():
        await connection.execute(text(f"set local {name} = '{value}'"))
    await driver.execute(_PRICE, window_id, days, *_columns(own, 11), *_columns(pairs, 6))
    for name in _WHILE_PRICING:
        await connection.execute(text(f"set local {name} to default"))
    await driver.execute(_WRITE, window_id)


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(count)]


def _own_prices(
    table: PriceTable, policy: Policy, ids: Mapping[str, int], days: Sequence[date]
) -> Iterator[tuple[Any, ...]]:
    """Each party's own prices by epochs, from the first epoch on, with what its terms say."""
    agree_apart = {
        origin
        for (origin, redeemer), rows in table.items()
        if redeemer is not None and any(row.redeem_price is not None for row in rows)
    }
    for code, party in policy.parties.items():
        party_id = ids[code]
        breakage_id = {"issuer": party_id, "house": HOUSE_ID, "pool": POOL_ID}[party.breakage]
        per_unit = Decimal(10 ** minor_digits(party.currency))
        # Nothing was agreed before the first price, so nothing is owed.
        prices: list[tuple[Decimal, Decimal, Decimal | None]] = [(ZERO, ZERO, None)]
        rows = table.get((code, None), ())
        prices += [(row.issue_price, row.burn_price, row.redeem_price) for row in rows]
        apart = any(row.redeem_price is not None for row in rows), code in agree_apart
        for epochs, price in zip(_epochs(rows, days, first=0), prices, strict=True):
            yield (party_id, *epochs, *price, party.currency, per_unit, breakage_id, *apart)


def _pair_prices(
    table: PriceTable, ids: Mapping[str, int], days: Sequence[date]
) -> Iterator[tuple[Any, ...]]:
    for (origin, redeemer), rows in table.items():
        if redeemer is not None:
            for epochs, row in zip(_epochs(rows, days), rows, strict=True):
                yield (ids[origin], ids[redeemer], *epochs, row.burn_price, row.redeem_price)


def _epochs(
    rows: Sequence[Price], days: Sequence[date], *, first: int | None = None
) -> list[tuple[int, int]]:
    """For each row the epoch it begins with, and the one that it holds no longer in."""
    begins = [] if first is None else [first]
    begins += [bisect_left(days, row.effective_from) + 1 for row in rows]
    return list(pairwise([*begins, _NO_END]))
