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

from coalition.clearing.policy import Policy
from coalition.clearing.price import ZERO, DatedPrice, PriceTable
from coalition.terms.book import HOUSE_ID, POOL_ID
from settlement.money import minor_digits

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
           kind in ('redemption', 'cash_out', 'donation') and origin_id <> redeemer_id as is_cross,
           sum(points) as points
    from leg where window_id = $1 and (origin_id + redeemer_id) % 2 = {{half}}
    group by origin_id, redeemer_id, kind, {_MARK.format(day="occurred_on")}
"""
# A transfer's lots are left out: those points were issued, and paid for, when first earned.
_LOTS = f"""
    select origin_id, origin_id as redeemer_id, 'issue' as kind,
           {_UNPACKED.format(day="earned_on")}, false as is_cross, sum(points) as points
    from lot where window_id = $1 and kind <> 'transfer'
    group by origin_id, {_MARK.format(day="earned_on")}
"""
_OWN = """
    unnest($3::int[], $4::int[], $5::int[], $6::numeric[], $7::numeric[], $8::numeric[],
           $9::text[], $10::numeric[], $11::int[])
"""
_OWN_COLUMNS = """
    (party_id, from_epoch, to_epoch, issue_price, burn_price, redeem_price, currency, per_unit,
     breakage_id)
"""

# Who owes what for a point of a tally, as price.py has it (_dues):
# - a redemption of another's points: the origin pays what it agreed on with that redeemer, else
#   with everyone. The redeemer gets what the same agreement with the pair says, else what its own
#   does, in its own currency; where that says nothing, what the origin pays (gets: null);
# - an issue: the origin pays its issue price to the house;
# - points taken back from circulation unspent: the house pays the issue price back;
# - an expiry: the point's value goes from its holder (prefunded: the house) to its owner;
# - a transfer, and a redemption of a merchant's own points: nobody owes anything.
# is_apart: the redeemer gets a price, or a currency, other than what the origin pays. Where nobody
# pays and nobody gets anything, it does not matter in which currency. Tallies of one path at the
# same prices are one line; a line of 0 points is none. A party without terms, which cannot be,
# would leave a line without a currency, and `path` refuses that.
_LINES = f"""
(with tally as ({{tally}}),
agreed as (
    select t.origin_id, t.redeemer_id, t.kind, t.about, t.is_cross, t.points,
           case when till.party_id is not null then own.currency end as currency, own.per_unit,
           coalesce(pair.burn_price, own.burn_price) as pays,
           case when pair.origin_id is null then till.redeem_price
                else pair.redeem_price end as gets,
           till.currency as till_currency, till.per_unit as till_per_unit,
           own.issue_price, own.breakage_id as owner_id,
           case when own.issue_price > 0 then own.issue_price else own.burn_price end as value,
           case when own.issue_price > 0 then {HOUSE_ID} else t.origin_id end as holder_id
    from tally t
    left join {_OWN} as own {_OWN_COLUMNS}
        on own.party_id = t.origin_id and own.from_epoch <= t.epoch and t.epoch < own.to_epoch
    left join {_OWN} as till {_OWN_COLUMNS}
        on till.party_id = t.redeemer_id and till.from_epoch <= t.epoch and t.epoch < till.to_epoch
    left join unnest($12::int[], $13::int[], $14::int[], $15::int[], $16::numeric[], $17::numeric[])
        as pair (origin_id, redeemer_id, from_epoch, to_epoch, burn_price, redeem_price)
        on pair.origin_id = t.origin_id and pair.redeemer_id = t.redeemer_id
        and pair.from_epoch <= t.epoch and t.epoch < pair.to_epoch
),
due as (
    select *,
           case when is_cross then pays
                when kind in ('issue', 'clawback', 'adjustment') then issue_price
                when kind = 'expiry' and holder_id <> owner_id then value
                else 0 end as price,
           is_cross and (gets <> pays or (gets > 0 and till_currency <> currency)) as is_apart,
           kind = 'expiry' and holder_id <> owner_id and value > 0 as is_breakage
    from agreed
),
sided as (
    select *, case when is_apart then gets end as paid_price,
           case when is_apart then till_currency end as paid_currency,
           case when is_apart then till_per_unit end as paid_per_unit,
           case when is_breakage then holder_id end as debtor_of_value,
           case when is_breakage then owner_id end as creditor_of_value
    from due
),
line as (
    select origin_id, redeemer_id, kind, about, currency, per_unit, price, paid_price,
           paid_currency, paid_per_unit, debtor_of_value, creditor_of_value,
           sum(points) as points, sum(points) * price * per_unit as exact,
           sum(points) * paid_price * paid_per_unit as paid_exact
    from sided group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 having sum(points) <> 0
),
owed as (
    select *,
           case when kind = 'expiry' then debtor_of_value
                when kind in ('clawback', 'adjustment') then {HOUSE_ID}
                else origin_id end as debtor_id,
           case kind when 'expiry' then creditor_of_value when 'issue' then {HOUSE_ID}
                else redeemer_id end as creditor_id
    from line
)
select origin_id, redeemer_id, kind, nullif(about >> 1, 0)::int as about_window_id, points,
       case when debtor_id <> creditor_id then debtor_id end as debtor_id,
       case when debtor_id <> creditor_id then creditor_id end as creditor_id,
       price, {{amount}} as amount, currency,
       paid_price, {{paid_amount}} as paid_amount, paid_currency
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
    amounts = {
        "amount": half_even("exact"),
        "paid_amount": half_even("paid_exact"),
    }
    tallies = (_LEGS.format(half=0), _LEGS.format(half=1), _LOTS)
    parts = (_LINES.format(tally=tally, **amounts) for tally in tallies)
    return " union all ".join(f"select * from {part} part" for part in parts)


# INSERT never runs in several processes at once, and CREATE TABLE AS does.
_PRICE = f"create temp table priced on commit drop as select * from ({_priced()}) lines"
_COLUMNS = """
    origin_id, redeemer_id, kind, about_window_id, points, debtor_id, creditor_id, price, amount,
    currency, paid_price, paid_amount, paid_currency
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
    await driver.execute(_PRICE, window_id, days, *_columns(own, 9), *_columns(pairs, 6))
    for name in _WHILE_PRICING:
        await connection.execute(text(f"set local {name} to default"))
    await driver.execute(_WRITE, window_id)


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(count)]


def _own_prices(
    table: PriceTable, policy: Policy, ids: Mapping[str, int], days: Sequence[date]
) -> Iterator[tuple[Any, ...]]:
    """Each party's own prices by epochs, from the first epoch on, with what its terms say."""
    for code, party in policy.parties.items():
        party_id = ids[code]
        breakage_id = {"issuer": party_id, "house": HOUSE_ID, "pool": POOL_ID}[party.breakage]
        per_unit = Decimal(10 ** minor_digits(party.currency))
        # Nothing was agreed before the first price, so nothing is owed.
        prices: list[tuple[Decimal, Decimal, Decimal | None]] = [(ZERO, ZERO, None)]
        rows = table.get((code, None), ())
        prices += [(row.issue_price, row.burn_price, row.redeem_price) for row in rows]
        for epochs, price in zip(_epochs(rows, days, first=0), prices, strict=True):
            yield (party_id, *epochs, *price, party.currency, per_unit, breakage_id)


def _pair_prices(
    table: PriceTable, ids: Mapping[str, int], days: Sequence[date]
) -> Iterator[tuple[Any, ...]]:
    for (origin, redeemer), rows in table.items():
        if redeemer is not None:
            for epochs, row in zip(_epochs(rows, days), rows, strict=True):
                yield (ids[origin], ids[redeemer], *epochs, row.burn_price, row.redeem_price)


def _epochs(
    rows: Sequence[DatedPrice], days: Sequence[date], *, first: int | None = None
) -> list[tuple[int, int]]:
    """For each row the epoch it begins with, and the one that it holds no longer in."""
    begins = [] if first is None else [first]
    begins += [bisect_left(days, row.effective_from) + 1 for row in rows]
    return list(pairwise([*begins, _NO_END]))
