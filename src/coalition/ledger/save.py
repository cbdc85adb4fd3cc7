"""Writing what was decided: set-based inserts and updates in one statement, a row array a table.

Data-modifying parts of one statement see the same snapshot and are checked together at its end, so
their order does not matter, and a group costs one round trip whatever it writes. What only
reversals and captures change follows in statements of its own, because the same row may not be
written twice in one.

Each part takes whole rows of its table, in the order of the table's columns.
"""

from collections.abc import Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import asyncpg
from msgspec.structs import astuple

from coalition.ledger.burned import BurnRow
from coalition.ledger.rows import DIGEST, IS_OPEN
from coalition.ledger.state import Lot, Posting, State
from coalition.rewards.store import save_desk

_Rows = list[tuple[Any, ...]]
# The legs are rows of their own; the card and the time stand in the posting.
_ELSEWHERE = ("card", "legs", "occurred_at")
_BURN_FIELDS = [name for name in BurnRow.__struct_fields__ if name not in _ELSEWHERE]
_burn_row = attrgetter(*_BURN_FIELDS)
_POSTING_COLUMNS = ", ".join(
    [*("card_number" if name == "card" else name for name in Posting.__struct_fields__), "digest"]
)
# Rows of one member are neighbours in every index: written in that order, large groups find more of
# the pages where the row before left them.
_member = attrgetter("member_id")


class _Write(NamedTuple):
    """A part of a statement: {} stands for the rows of its table, written out as `added`."""

    table: str
    statement: str


_POSTINGS = _Write(
    "posting",
    f"""
    insert into posting ({_POSTING_COLUMNS}, mark)
    select {_POSTING_COLUMNS}, (select mark_now()) from {{}}
    """,
)
# is_open is generated, and a Lot does not have it.
_LOTS = _Write(
    "lot",
    """
    insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
        earned_on, expires_on, window_id, about_window_id, first_expires_on, rule, active_from,
        inactive_months)
    select member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
        earned_on, expires_on, window_id, about_window_id, first_expires_on, rule, active_from,
        inactive_months from {}
    """,
)
_BURNS = _Write("burn", "insert into burn select * from {}")
_LEGS = _Write("leg", "insert into leg select * from {}")
_LOT_CHANGES = _Write(
    "lot",
    """
    update lot set remaining = added.remaining from {}
    where lot.member_id = added.member_id and lot.lot_no = added.lot_no
    """,
)
_ACCOUNTS = _Write(
    "account",
    """
    update account set available = added.available, held = added.held, owed = added.owed,
        last_no = added.last_no, expires_next_on = added.expires_next_on,
        spent_on = added.spent_on, spent_points = added.spent_points,
        spent_after_no = added.spent_after_no, digest = added.digest,
        pending_until = added.pending_until
    from {} where account.member_id = added.member_id
    """,
)
# A refund, or the end of a period, may give a lot more time. Apart from _LOT_CHANGES because few
# groups do, and the trigger that watches over it looks at each row of a statement that names these
# columns.
_LOT_EXPIRIES = _Write(
    "lot",
    """
    update lot set expires_on = added.expires_on, first_expires_on = added.first_expires_on
    from {} where lot.member_id = added.member_id and lot.lot_no = added.lot_no
      and lot.expires_on is distinct from added.expires_on
    """,
)
_BURN_CHANGES = _Write(
    "burn",
    """
    update burn set points = added.points, returned = added.returned, status = added.status,
        occurred_on = added.occurred_on, window_id = added.window_id
    from {} where burn.member_id = added.member_id and burn.burn_no = added.burn_no
    """,
)
# A captured hold's own legs get their window; those it gave back were written with theirs.
_CAPTURED_LEGS = _Write(
    "burn",
    """
    update leg set window_id = added.window_id, occurred_on = added.occurred_on
    from {} where leg.member_id = added.member_id and leg.burn_no = added.burn_no
      and leg.window_id is null
    """,
)
_REVERSED = _Write("reversed_lot", "insert into reversed_lot select * from {}")
_DEBTS = _Write(
    "debt",
    """
    insert into debt select * from {}
    on conflict (member_id, origin_id) do update set points = excluded.points
    """,
)


_MOVED = _Write(
    "activity",
    """
    insert into activity select * from {}
    on conflict (member_id, origin_id) do update set last_moved_on = excluded.last_moved_on
    """,
)
_COUNTED = _Write("counted", "insert into counted select * from {}")
_TALLIES = _Write(
    "tally",
    """
    insert into tally select * from {}
    on conflict (member_id, merchant_id, rule, span, until) do update
    set spent = excluded.spent, points = excluded.points, times = excluded.times
    """,
)


async def save(connection: asyncpg.Connection, state: State) -> None:
    """Write every row that `state` records, inside the caller's database transaction."""
    new_lots = {(lot.member_id, lot.lot_no) for lot in state.new_lots}
    new_burns = {(burn.member_id, burn.burn_no) for burn in state.new_burns}
    lots = [_lot_row(lot) for key, lot in state.changed_lots.items() if key not in new_lots]
    burns = [_burn_row(burn) for key, burn in state.changed_burns.items() if key not in new_burns]
    accounts = [member.account for member in state.changed_members.values()]
    await _write(
        connection,
        (_POSTINGS, _posting_rows(state)),
        (_LOTS, list(map(_lot_row, sorted(state.new_lots, key=_member)))),
        (_BURNS, list(map(_burn_row, state.new_burns))),
        (_LEGS, list(map(astuple, state.new_legs))),
        (_LOT_CHANGES, lots),
        (_ACCOUNTS, list(map(astuple, sorted(accounts, key=_member)))),
        (_MOVED, [(*key, day) for key, day in state.moved.items()]),
        (_COUNTED, list(map(astuple, state.new_counted))),
        (_TALLIES, _tally_rows(state)),
    )
    if state.has_lengthened or any(leg.points < 0 for leg in state.new_legs):
        await _write(connection, (_LOT_EXPIRIES, lots))
    await _write(
        connection,
        (_BURN_CHANGES, burns),
        (_CAPTURED_LEGS, list(map(_burn_row, state.captured))),
        (_REVERSED, list(map(astuple, state.new_reversed))),
        (_DEBTS, [(*key, points) for key, points in state.changed_debts.items()]),
    )
    if state.rewards.is_changed:
        await _save_rewards(connection, state)


async def _save_rewards(connection: asyncpg.Connection, state: State) -> None:
    bought = {
        (burn.member_id, burn.burn_no): (burn.redeemer_id, burn.reward)
        for burn in state.new_burns
        if burn.reward is not None
    }
    await save_desk(connection, state.rewards, bought, state.new_postings[-1].recorded_at)


def _posting_rows(state: State) -> _Rows:
    pairs = zip(state.new_postings, state.digests, strict=True)
    rows = []
    for posting, digest in pairs:
        fields = astuple(posting)
        # mark, which follows the digest, is the database's to say.
        rows.append((*fields[:DIGEST], digest, None, *fields[DIGEST:]))
    return sorted(rows, key=itemgetter(0))


def _tally_rows(state: State) -> _Rows:
    return [
        (member_id, merchant_id, *key, *astuple(tally))
        for (member_id, merchant_id, key), tally in sorted(state.changed_tallies.items())
    ]


def _lot_row(lot: Lot) -> tuple[Any, ...]:
    columns = astuple(lot)
    return (*columns[:IS_OPEN], None, *columns[IS_OPEN:])


async def _write(connection: asyncpg.Connection, *parts: tuple[_Write, _Rows]) -> None:
    """Write the parts that have rows, all in one statement."""
    filled: Sequence[tuple[_Write, _Rows]] = [part for part in parts if part[1]]
    if filled:
        statement = _statement(tuple(write for write, _ in filled))
        await connection.execute(statement, *(rows for _, rows in filled))


@cache
def _statement(writes: tuple[_Write, ...]) -> str:
    parts = [
        write.statement.format(f"unnest(${number}::{write.table}[]) as added")
        for number, write in enumerate(writes, start=1)
    ]
    *first, last = parts
    if not first:
        return last
    named = ", ".join(f"part_{n} as ({part})" for n, part in enumerate(first))
    return f"with {named} {last}"
