"""Writing what was decided: set-based inserts and updates from arrays, in one statement.

Data-modifying parts of one statement see the same snapshot and are checked together at its end, so
their order does not matter, and a group costs one round trip whatever it writes. What only
reversals and captures change follows in statements of its own, because the same row may not be
written twice in one.
"""

from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import asyncpg

from coalition.ledger.state import State


class _Write(NamedTuple):
    """A part of the statement: {} stands for unnest over one array a field, typed in order."""

    statement: str
    fields: tuple[tuple[str, str], ...]


_POSTINGS = _Write(
    """
    insert into posting (member_id, posting_no, kind, merchant_id, card_number, change,
        available_after, occurred_at, recorded_at, window_id, owed, target_no, amount,
        peer_member_id, request_id, body_hash, reference)
    select * from {}
    """,
    (
        ("member_id", "bigint"),
        ("posting_no", "int"),
        ("kind", "posting_kind"),
        ("merchant_id", "int"),
        ("card", "bigint"),
        ("change", "bigint"),
        ("available_after", "bigint"),
        ("occurred_at", "timestamptz"),
        ("recorded_at", "timestamptz"),
        ("window_id", "int"),
        ("owed", "bigint"),
        ("target_no", "int"),
        ("amount", "bigint"),
        ("peer_member_id", "bigint"),
        ("request_id", "uuid"),
        ("body_hash", "bigint"),
        ("reference", "text"),
    ),
)
_LOTS = _Write(
    """
    insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
        earned_on, expires_on, window_id, about_window_id)
    select * from {}
    """,
    (
        ("member_id", "bigint"),
        ("lot_no", "int"),
        ("earn_no", "int"),
        ("origin_id", "int"),
        ("kind", "lot_kind"),
        ("points", "bigint"),
        ("remaining", "bigint"),
        ("earned_at", "timestamptz"),
        ("earned_on", "date"),
        ("expires_on", "date"),
        ("window_id", "int"),
        ("about_window_id", "int"),
    ),
)
_BURNS = _Write(
    """
    insert into burn (member_id, burn_no, redeemer_id, kind, points, returned, status, occurred_on,
        hold_expires_at, window_id)
    select * from {}
    """,
    (
        ("member_id", "bigint"),
        ("burn_no", "int"),
        ("redeemer_id", "int"),
        ("kind", "burn_kind"),
        ("points", "bigint"),
        ("returned", "bigint"),
        ("status", "burn_status"),
        ("occurred_on", "date"),
        ("hold_expires_at", "timestamptz"),
        ("window_id", "int"),
    ),
)
_LEGS = _Write(
    """
    insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind, points,
        occurred_on, window_id, about_window_id, leg_no)
    select * from {}
    """,
    (
        ("member_id", "bigint"),
        ("lot_no", "int"),
        ("posting_no", "int"),
        ("burn_no", "int"),
        ("origin_id", "int"),
        ("redeemer_id", "int"),
        ("kind", "burn_kind"),
        ("points", "bigint"),
        ("occurred_on", "date"),
        ("window_id", "int"),
        ("about_window_id", "int"),
        ("leg_no", "int"),
    ),
)
_LOT_CHANGES = _Write(
    """
    update lot set remaining = t.remaining from {} as t (member_id, lot_no, remaining)
    where lot.member_id = t.member_id and lot.lot_no = t.lot_no
    """,
    (("member_id", "bigint"), ("lot_no", "int"), ("remaining", "bigint")),
)
_ACCOUNTS = _Write(
    """
    update account set available = t.available, held = t.held, owed = t.owed, last_no = t.last_no,
        expires_next_on = t.expires_next_on
    from {} as t (member_id, available, held, owed, last_no, expires_next_on)
    where account.member_id = t.member_id
    """,
    (
        ("member_id", "bigint"),
        ("available", "bigint"),
        ("held", "bigint"),
        ("owed", "bigint"),
        ("last_no", "int"),
        ("expires_next_on", "date"),
    ),
)
# Only the few lots that come back after their day get a new one.
_LOT_EXPIRIES = _Write(
    """
    update lot set expires_on = t.expires_on, first_expires_on = t.first_expires_on
    from {} as t (member_id, lot_no, expires_on, first_expires_on)
    where lot.member_id = t.member_id and lot.lot_no = t.lot_no
      and lot.expires_on is distinct from t.expires_on
    """,
    (
        ("member_id", "bigint"),
        ("lot_no", "int"),
        ("expires_on", "date"),
        ("first_expires_on", "date"),
    ),
)
_BURN_CHANGES = _Write(
    """
    update burn set points = t.points, returned = t.returned, status = t.status,
        occurred_on = t.occurred_on, window_id = t.window_id
    from {} as t (member_id, burn_no, points, returned, status, occurred_on, window_id)
    where burn.member_id = t.member_id and burn.burn_no = t.burn_no
    """,
    (
        ("member_id", "bigint"),
        ("burn_no", "int"),
        ("points", "bigint"),
        ("returned", "bigint"),
        ("status", "burn_status"),
        ("occurred_on", "date"),
        ("window_id", "int"),
    ),
)
# A captured hold's own legs get their window; those it gave back were written with theirs.
_CAPTURED_LEGS = _Write(
    """
    update leg set window_id = t.window_id, occurred_on = t.occurred_on
    from {} as t (member_id, burn_no, window_id, occurred_on)
    where leg.member_id = t.member_id and leg.burn_no = t.burn_no and leg.window_id is null
    """,
    (
        ("member_id", "bigint"),
        ("burn_no", "int"),
        ("window_id", "int"),
        ("occurred_on", "date"),
    ),
)
_DEBTS = """
insert into debt (member_id, origin_id, points)
select * from unnest($1::bigint[], $2::int[], $3::bigint[])
on conflict (member_id, origin_id) do update set points = excluded.points
"""


async def save(connection: asyncpg.Connection, state: State) -> None:
    """Write every row that `state` records, inside the caller's database transaction."""
    new_lots = {(lot.member_id, lot.lot_no) for lot in state.new_lots}
    new_burns = {(burn.member_id, burn.burn_no) for burn in state.new_burns}
    lots = [lot for key, lot in state.changed_lots.items() if key not in new_lots]
    burns = [burn for key, burn in state.changed_burns.items() if key not in new_burns]
    await _write(
        connection,
        (_POSTINGS, state.new_postings),
        (_LOTS, state.new_lots),
        (_BURNS, state.new_burns),
        (_LEGS, state.new_legs),
        (_LOT_CHANGES, lots),
        (_ACCOUNTS, [member.account for member in state.changed_members.values()]),
    )
    if any(leg.points < 0 for leg in state.new_legs):
        await _write(connection, (_LOT_EXPIRIES, lots))
    await _write(connection, (_BURN_CHANGES, burns), (_CAPTURED_LEGS, state.captured))
    if state.changed_debts:
        debts = [(m, origin, points) for (m, origin), points in state.changed_debts.items()]
        await connection.execute(_DEBTS, *map(list, zip(*debts, strict=True)))


async def _write(connection: asyncpg.Connection, *parts: tuple[_Write, Sequence[Any]]) -> None:
    """Write the parts that have rows, all in one statement."""
    filled = [(write, rows) for write, rows in parts if rows]
    if filled:
        columns = (
            list(map(attrgetter(name), rows)) for write, rows in filled for name, _ in write.fields
        )
        await connection.execute(_statement(tuple(write for write, _ in filled)), *columns)


@cache
def _statement(writes: tuple[_Write, ...]) -> str:
    parts: list[str] = []
    number = 0
    for write in writes:
        arrays = []
        for _, type_name in write.fields:
            number += 1
            arrays.append(f"${number}::{type_name}[]")
        parts.append(write.statement.format(f"unnest({', '.join(arrays)})"))
    *first, last = parts
    if not first:
        return last
    named = ", ".join(f"part_{n} as ({part})" for n, part in enumerate(first))
    return f"with {named} {last}"
