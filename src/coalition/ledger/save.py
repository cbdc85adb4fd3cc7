"""Writing what was decided: set-based inserts and updates from arrays, in the order keys demand."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from coalition.ledger.state import State

_POSTINGS = """
insert into posting (member_id, posting_no, kind, merchant_id, card_number, change,
    available_after, occurred_at, recorded_at, window_id, owed, target_no, amount, peer_member_id,
    request_id, body_hash, reference)
select * from unnest($1::bigint[], $2::int[], $3::posting_kind[], $4::int[], $5::bigint[],
    $6::bigint[], $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::int[], $11::bigint[],
    $12::int[], $13::bigint[], $14::bigint[], $15::uuid[], $16::bigint[], $17::text[])
"""
_POSTING_FIELDS = (
    "member_id", "posting_no", "kind", "merchant_id", "card", "change", "available_after",
    "occurred_at", "recorded_at", "window_id", "owed", "target_no", "amount", "peer_member_id",
    "request_id", "body_hash", "reference",
)  # fmt: skip
_LOTS = """
insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
    earned_on, expires_on, window_id, about_window_id)
select * from unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::lot_kind[], $6::bigint[],
    $7::bigint[], $8::timestamptz[], $9::date[], $10::date[], $11::int[], $12::int[])
"""
_LOT_FIELDS = (
    "member_id", "lot_no", "earn_no", "origin_id", "kind", "points", "remaining", "earned_at",
    "earned_on", "expires_on", "window_id", "about_window_id",
)  # fmt: skip
_BURNS = """
insert into burn (member_id, burn_no, redeemer_id, kind, points, returned, status, occurred_on,
    hold_expires_at, window_id)
select * from unnest($1::bigint[], $2::int[], $3::int[], $4::burn_kind[], $5::bigint[],
    $6::bigint[], $7::burn_status[], $8::date[], $9::timestamptz[], $10::int[])
"""
_BURN_FIELDS = (
    "member_id", "burn_no", "redeemer_id", "kind", "points", "returned", "status", "occurred_on",
    "hold_expires_at", "window_id",
)  # fmt: skip
_LEGS = """
insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind, points,
    occurred_on, window_id, about_window_id, leg_no)
select * from unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[],
    $7::burn_kind[], $8::bigint[], $9::date[], $10::int[], $11::int[], $12::smallint[])
"""
_LEG_FIELDS = (
    "member_id", "lot_no", "posting_no", "burn_no", "origin_id", "redeemer_id", "kind", "points",
    "occurred_on", "window_id", "about_window_id", "leg_no",
)  # fmt: skip
_LOT_CHANGES = """
update lot set remaining = t.remaining
from unnest($1::bigint[], $2::int[], $3::bigint[], $4::date[])
    as t (member_id, lot_no, remaining, expires_on)
where lot.member_id = t.member_id and lot.lot_no = t.lot_no
"""
# Only the few lots that come back after their day get a new one.
_LOT_EXPIRIES = """
update lot set expires_on = t.expires_on
from unnest($1::bigint[], $2::int[], $3::bigint[], $4::date[])
    as t (member_id, lot_no, remaining, expires_on)
where lot.member_id = t.member_id and lot.lot_no = t.lot_no
  and lot.expires_on is distinct from t.expires_on
"""
_BURN_CHANGES = """
update burn set points = t.points, returned = t.returned, status = t.status,
    occurred_on = t.occurred_on, window_id = t.window_id
from unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::burn_status[], $6::date[],
    $7::int[]) as t (member_id, burn_no, points, returned, status, occurred_on, window_id)
where burn.member_id = t.member_id and burn.burn_no = t.burn_no
"""
_BURN_CHANGE_FIELDS = (
    "member_id", "burn_no", "points", "returned", "status", "occurred_on", "window_id",
)  # fmt: skip
_CAPTURED_LEGS = """
update leg set window_id = t.window_id, occurred_on = t.occurred_on
from unnest($1::bigint[], $2::int[], $3::int[], $4::date[])
    as t (member_id, burn_no, window_id, occurred_on)
where leg.member_id = t.member_id and leg.burn_no = t.burn_no and leg.window_id is null
"""
_ACCOUNTS = """
update account set available = t.available, held = t.held, owed = t.owed, last_no = t.last_no,
    expires_next_on = t.expires_next_on
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::date[])
    as t (member_id, available, held, owed, last_no, expires_next_on)
where account.member_id = t.member_id
"""
_ACCOUNT_FIELDS = ("member_id", "available", "held", "owed", "last_no", "expires_next_on")
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
    await _write(connection, _POSTINGS, state.new_postings, _POSTING_FIELDS)
    await _write(connection, _LOTS, state.new_lots, _LOT_FIELDS)
    await _write(connection, _BURNS, state.new_burns, _BURN_FIELDS)
    await _write(connection, _LEGS, state.new_legs, _LEG_FIELDS)
    lot_fields = ("member_id", "lot_no", "remaining", "expires_on")
    await _write(connection, _LOT_CHANGES, lots, lot_fields)
    if any(leg.points < 0 for leg in state.new_legs):
        await _write(connection, _LOT_EXPIRIES, lots, lot_fields)
    await _write(connection, _BURN_CHANGES, burns, _BURN_CHANGE_FIELDS)
    leg_fields = ("member_id", "burn_no", "window_id", "occurred_on")
    await _write(connection, _CAPTURED_LEGS, state.captured, leg_fields)
    accounts = [member.account for member in state.changed_members.values()]
    await _write(connection, _ACCOUNTS, accounts, _ACCOUNT_FIELDS)
    if state.changed_debts:
        debts = [(m, origin, points) for (m, origin), points in state.changed_debts.items()]
        await connection.execute(_DEBTS, *map(list, zip(*debts, strict=True)))


async def _write(
    connection: asyncpg.Connection, statement: str, rows: Sequence[Any], fields: Sequence[str]
) -> None:
    if rows:
        await connection.execute(statement, *([getattr(r, f) for r in rows] for f in fields))
