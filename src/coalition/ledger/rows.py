"""The SQL that reads the ledger's rows, and how a row becomes a value. Set-based, no locks.

Which of these a group of commands needs is load.py; the locks are load_group's, in the schema.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import asyncpg

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.earned import EarnPart, EarnRow
from coalition.ledger.state import Called, Lot, Posting

Keys = set[tuple[int, int]]

# Where the table has is_open, a column that the database fills in, among the struct's.
IS_OPEN = Lot.__struct_fields__.index("first_expires_on") + 1
_LOT_WIDTH = len(Lot.__struct_fields__) + 1


def lot_of(row: Any) -> Lot:
    """A whole row of the table lot. What a later migration adds comes behind what is known here."""
    return Lot(*row[:IS_OPEN], *row[IS_OPEN + 1 : _LOT_WIDTH])


# Where the table has digest and mark, among the struct's columns.
DIGEST = Posting.__struct_fields__.index("actor") + 1
_POSTING_WIDTH = len(Posting.__struct_fields__) + 2


def posting_of(row: Any) -> Posting:
    """A whole row of the table posting, as lot_of()."""
    return Posting(*row[:DIGEST], *row[DIGEST + 2 : _POSTING_WIDTH])


_LOT_COLUMNS = """
lot.member_id, lot.lot_no, lot.earn_no, lot.origin_id, lot.kind::text, lot.points, lot.remaining,
lot.earned_at, lot.earned_on, lot.expires_on, lot.window_id, lot.about_window_id,
lot.first_expires_on, lot.rule, lot.active_from, lot.inactive_months
"""
_LOTS = f"""
select {_LOT_COLUMNS} from lot
where (member_id, lot_no) in (select * from unnest($1::bigint[], $2::int[]))
"""
_OPEN_LOTS = f"select {_LOT_COLUMNS} from lot where member_id = any($1::bigint[]) and is_open"
# A movement's lots are numbered after it and before its member's next one: found by their key,
# however many lots the member has.
_NEXT_MOVEMENT = """
cross join lateral (
    select coalesce(min(posting_no), 2147483647) as posting_no from (
        select n.posting_no from posting n
        where n.member_id = t.member_id and n.posting_no > t.earn_no
        order by n.posting_no limit 1) n) next
"""
_LOTS_OF_EARNS = f"""
select {_LOT_COLUMNS} from unnest($1::bigint[], $2::int[]) as t (member_id, earn_no)
{_NEXT_MOVEMENT}
cross join lateral (
    select * from lot l where l.member_id = t.member_id and l.earn_no = t.earn_no
      and l.lot_no > t.earn_no and l.lot_no < next.posting_no offset 0) lot
order by lot.lot_no
"""
# Giver and taker are locked together, so that one's gifts to the other are numbered in the same
# order on both sides: the giver's third to this taker is the taker's third from this giver.
_LOTS_OF_GIFTS = f"""
select t.member_id, t.posting_no, {_LOT_COLUMNS}
from unnest($1::bigint[], $2::int[]) as t (member_id, posting_no)
join posting p on p.member_id = t.member_id and p.posting_no = t.posting_no
cross join lateral (
    select count(*) as before from posting o
    where o.member_id = p.member_id and o.posting_no < p.posting_no and o.kind = 'transfer_out'
      and o.peer_member_id = p.peer_member_id) given
cross join lateral (
    select i.member_id, i.posting_no from posting i
    where i.member_id = p.peer_member_id and i.kind = 'transfer_in'
      and i.peer_member_id = p.member_id
    order by i.posting_no offset given.before limit 1) got
join lot on lot.member_id = got.member_id and lot.earn_no = got.posting_no
order by lot.lot_no
"""
_HELD = """
select member_id, burn_no from burn where status = 'held' and member_id = any($1::bigint[])
"""
_BURNS = """
select b.member_id, b.burn_no, b.redeemer_id, b.kind::text, b.points, b.returned, b.status::text,
       b.occurred_on, b.hold_expires_at, b.window_id, p.card_number, p.occurred_at,
       b.reward, b.quantity, b.price_no, b.money, b.store, b.on_lapse
from unnest($1::bigint[], $2::int[]) as t (member_id, burn_no)
join burn b on b.member_id = t.member_id and b.burn_no = t.burn_no
join posting p on p.member_id = b.member_id and p.posting_no = b.burn_no
"""
_LEGS = """
select l.member_id, l.lot_no, l.posting_no, l.burn_no, l.origin_id, l.redeemer_id, l.kind::text,
       l.points, l.occurred_on, l.window_id, l.about_window_id, l.leg_no, l.good_until
from unnest($1::bigint[], $2::int[]) as t (member_id, burn_no)
cross join lateral (
    select * from leg where leg.member_id = t.member_id and leg.burn_no = t.burn_no offset 0) l
order by l.member_id, l.posting_no, l.leg_no
"""
_EARNS = f"""
select p.member_id, p.posting_no, p.merchant_id, p.card_number, coalesce(made.points, 0),
       p.amount, coalesce(made.earned_on, (p.occurred_at at time zone m.time_zone)::date),
       p.window_id, made.about_window_id, back.points, back.amount,
       p.occurred_at, back.lapsed, made.lot_nos, made.origins, made.lot_points, made.rules,
       gone.expired, gone.found
from unnest($1::bigint[], $2::int[]) as t (member_id, earn_no)
join posting p on p.member_id = t.member_id and p.posting_no = t.earn_no and p.kind = 'earn'
join merchant m using (merchant_id)
{_NEXT_MOVEMENT}
cross join lateral (
    select sum(points)::bigint as points, min(earned_on) as earned_on,
           min(about_window_id) as about_window_id,
           array_agg(lot_no order by lot_no) as lot_nos,
           array_agg(origin_id order by lot_no) as origins,
           array_agg(rule order by lot_no) as rules,
           array_agg(points order by lot_no) as lot_points from lot l
    where l.member_id = t.member_id and l.earn_no = t.earn_no
      and l.lot_no > t.earn_no and l.lot_no < next.posting_no) made
cross join lateral (
    select coalesce(sum(r.owed + r.lapsed - r.change), 0)::bigint as points,
           coalesce(sum(r.lapsed), 0)::bigint as lapsed,
           coalesce(sum(r.amount), 0)::bigint as amount from posting r
    where r.member_id = p.member_id and r.target_no = p.posting_no
      and r.kind = 'reverse_earn') back
cross join lateral (
    select array_agg(l.points order by own.lot_no) as expired,
           array_agg(found.points order by own.lot_no) as found
    from unnest(made.lot_nos) as own (lot_no)
    cross join lateral (
        select coalesce(sum(points) filter (where kind = 'expiry'), 0)::bigint as points from leg
        where leg.member_id = p.member_id and leg.lot_no = own.lot_no offset 0) l
    cross join lateral (
        select coalesce(sum(lapsed), 0)::bigint as points from reversed_lot r
        where r.member_id = p.member_id and r.lot_no = own.lot_no offset 0) found) gone
"""
# Two are as many as are needed to tell that a reference names more than one.
_CALLED = """
select t.member_id, t.merchant_id, t.is_earn, t.reference, found.posting_no
from unnest($1::bigint[], $2::int[], $3::boolean[], $4::text[])
    as t (member_id, merchant_id, is_earn, reference)
cross join lateral (
    select p.posting_no from posting p
    where p.member_id = t.member_id and p.merchant_id = t.merchant_id
      and p.reference = t.reference
      and (p.kind = 'earn') = t.is_earn and p.kind in ('earn', 'burn', 'hold')
    limit 2) found
"""
_DEBTS = "select member_id, origin_id, points from debt where member_id = any($1::bigint[])"


async def lots_called(connection: asyncpg.Connection, wanted: Keys) -> list[Lot]:
    """The lots with these (member_id, lot_no), open or not."""
    return [Lot(*row) for row in await connection.fetch(_LOTS, *_columns(wanted))]


async def open_lots(connection: asyncpg.Connection, members: Iterable[int]) -> list[Lot]:
    """Every open lot of these members."""
    return [Lot(*row) for row in await connection.fetch(_OPEN_LOTS, list(members))]


async def lots_of_earns(
    connection: asyncpg.Connection, wanted: Keys
) -> dict[tuple[int, int], list[Lot]]:
    """The lots that each (member_id, earn_no) made, in the order of their numbers."""
    lots: dict[tuple[int, int], list[Lot]] = defaultdict(list)
    if wanted:
        for row in await connection.fetch(_LOTS_OF_EARNS, *_columns(wanted)):
            lots[(row[0], row[2])].append(Lot(*row))
    return lots


async def lots_of_gifts(
    connection: asyncpg.Connection, wanted: Keys
) -> dict[tuple[int, int], list[Lot]]:
    """The taker's lots that each transfer made, by the giver's (member_id, posting_no)."""
    lots: dict[tuple[int, int], list[Lot]] = defaultdict(list)
    if wanted:
        for row in await connection.fetch(_LOTS_OF_GIFTS, *_columns(wanted)):
            lots[(row[0], row[1])].append(Lot(*row[2:]))
    return lots


async def held_burns(connection: asyncpg.Connection, members: list[int]) -> Keys:
    """The (member_id, burn_no) of every held burn of these members."""
    return {(row[0], row[1]) for row in await connection.fetch(_HELD, members)}


async def burns_called(
    connection: asyncpg.Connection, wanted: Keys
) -> dict[tuple[int, int], BurnRow]:
    """The burns with these (member_id, burn_no), with their legs in the order written."""
    members, numbers = _columns(wanted)
    burns = {
        (row[0], row[1]): BurnRow(*row) for row in await connection.fetch(_BURNS, members, numbers)
    }
    for row in await connection.fetch(_LEGS, members, numbers):
        leg = Leg(*row)
        burns[(leg.member_id, leg.burn_no)].legs.append(leg)
    return burns


async def earns_called(connection: asyncpg.Connection, wanted: Keys) -> list[EarnRow]:
    """The earns with these (member_id, earn_no), and what of each is reversed."""
    return [_earn(row) for row in await connection.fetch(_EARNS, *_columns(wanted))]


# Those of the earn itself; the parts are made of the others.
_EARN_COLUMNS = EarnRow.__struct_fields__.index("parts")


def _earn(row: asyncpg.Record) -> EarnRow:
    lapsed, lot_nos, origins, points, rules, expired, found = row[_EARN_COLUMNS:]
    if lot_nos is None:
        # It gave no point, and counted for rules with a memory.
        return EarnRow(*(*row[:_EARN_COLUMNS], []))
    if len(lot_nos) == 1:
        # What reversals found gone of an earn's only lot stands in their own lines of the journal.
        found = [lapsed]
    parts = [
        EarnPart(lot_no, origin_id, given, over - known, rule)
        for lot_no, origin_id, given, over, known, rule in zip(
            lot_nos, origins, points, expired, found, rules, strict=True
        )
    ]
    return EarnRow(*(*row[:_EARN_COLUMNS], parts))


async def called(
    connection: asyncpg.Connection, wanted: Iterable[Called]
) -> dict[Called, list[int]]:
    """The numbers of the earns, or else burns and holds, of each name; two at most of each."""
    found: dict[Called, list[int]] = {name: [] for name in wanted}
    if found:
        for row in await connection.fetch(_CALLED, *map(list, zip(*found, strict=True))):
            found[Called(*row[:-1])].append(row[-1])
    return found


async def debts_of(
    connection: asyncpg.Connection, members: list[int]
) -> Iterable[tuple[int, int, int]]:
    """(member_id, origin_id, points) of what these members owe."""
    return [(row[0], row[1], row[2]) for row in await connection.fetch(_DEBTS, members)]


def _columns(keys: Keys) -> tuple[list[int], list[int]]:
    ordered = sorted(keys)
    return [key[0] for key in ordered], [key[1] for key in ordered]
