"""Reading what earns counted that are to be reversed, under the lock of their accounts."""

from collections.abc import Iterable, Sequence

import asyncpg

from coalition.earning.memory import VISITS, Key, Tally
from coalition.ledger.earned import Counted, EarnRow, Pool
from coalition.ledger.state import State

_COUNTED_COLUMNS = ", ".join(f"c.{name}" for name in Counted.__struct_fields__)
_COUNTED = f"""
select {_COUNTED_COLUMNS} from unnest($1::bigint[], $2::int[]) as t (member_id, earn_no)
join counted c on c.member_id = t.member_id and c.earn_no = t.earn_no
order by c.member_id, c.posting_no, c.rule, c.span
"""
_KEYS = """
unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::date[])
    as k (member_id, merchant_id, rule, span, until)
"""
_TALLIES = f"""
select t.* from {_KEYS}
join tally t using (member_id, merchant_id, rule, span, until)
"""
# Of one period of a rule that goes by the sum: who counted, and what expired of what they gave.
_POOLS = f"""
select k.*, array_agg(distinct c.earn_no),
       (coalesce(sum(expired.points), 0) - sum(c.lapsed))::bigint
from {_KEYS}
join counted c using (member_id, merchant_id, rule, span, until)
left join lateral (
    select sum(g.points) as points from lot l join leg g using (member_id, lot_no)
    where c.posting_no = c.earn_no and l.member_id = c.member_id and l.earn_no = c.earn_no
      and l.rule = c.rule and g.kind = 'expiry') expired on true
group by k.member_id, k.merchant_id, k.rule, k.span, k.until
"""


# Only until the merchant's first count of the member, so that a long history is read once.
_EARNED_AT = """
select k.* from unnest($1::bigint[], $2::int[]) as k (member_id, merchant_id)
where exists (select from posting p where p.member_id = k.member_id
              and p.merchant_id = k.merchant_id and p.kind = 'earn')
"""


async def add_earned_at(
    connection: asyncpg.Connection, state: State, asked: Iterable[tuple[int, int, str]]
) -> None:
    """Of (card, merchant_id, rule) whose visits were never counted: whether there were any."""
    wanted: set[tuple[int, int]] = set()
    for number, merchant_id, rule in asked:
        card = state.cards.get(number)
        member = state.members.get(card.member_id) if card else None
        if card is None or member is None or rule != VISITS.rule:
            continue
        if VISITS not in member.tallies.get(merchant_id, {}):
            wanted.add((card.member_id, merchant_id))
    if wanted:
        columns = [[pair[place] for pair in wanted] for place in (0, 1)]
        for member_id, merchant_id in await connection.fetch(_EARNED_AT, *columns):
            state.members[member_id].earned_at.add(merchant_id)


async def add_counted(
    connection: asyncpg.Connection, state: State, earns: Sequence[EarnRow]
) -> None:
    """Put what these earns counted beside them, and the tallies and pools of its keys."""
    by_number = {(one.member_id, one.earn_no): one for one in earns}
    if not by_number:
        return
    members, numbers = ([key[place] for key in by_number] for place in (0, 1))
    keys: set[tuple[int, int, Key]] = set()
    pools: set[tuple[int, int, Key]] = set()
    for row in await connection.fetch(_COUNTED, members, numbers):
        one = Counted(*row)
        earned = by_number[one.member_id, one.earn_no]
        earned.counted.append(one)
        if len(earned.parts) == 1:
            # Its line in the journal says together what was gone of its lot and of the period's.
            earned.parts[0].lapsed_left += one.lapsed
        keys.add((one.member_id, one.merchant_id, one.key))
        if one.origin_id is not None:
            pools.add((one.member_id, one.merchant_id, one.key))
    if keys:
        for member_id, merchant_id, rule, span, until, *sums in await connection.fetch(
            _TALLIES, *_columns(keys)
        ):
            tallies = state.members[member_id].tallies.setdefault(merchant_id, {})
            tallies[Key(rule, span, until)] = Tally(*sums)
    if pools:
        for (
            member_id,
            merchant_id,
            rule,
            span,
            until,
            numbers_there,
            lapsed,
        ) in await connection.fetch(_POOLS, *_columns(pools)):
            pool = Pool(set(numbers_there), lapsed)
            state.members[member_id].pools[merchant_id, Key(rule, span, until)] = pool


def _columns(keys: set[tuple[int, int, Key]]) -> list[list[object]]:
    rows = [(member_id, merchant_id, *key) for member_id, merchant_id, key in keys]
    return [list(column) for column in zip(*rows, strict=True)]
