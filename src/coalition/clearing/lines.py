"""SQL that reads the lines of a closed window back: what each side of each path came to.

A row of `path` says who owes whom for what, so nothing is decided here. How rows are written is
price_sql.py.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement import results
from settlement.obligation import HOUSE, REDEEM, Lines, PathLine, Result

# The order of a window's lines is the order of what they say, so that it needs no number stored.
# First those of the window itself, then by the earlier window they are about; by origin, redeemer
# and kind; what is given back after what came late; and of one such path by price.
_LINES = """
select w.label, o.code, r.code, p.kind, w.label is not null and p.points < 0,
       p.points, p.price, p.amount, p.currency, p.reason, d.code, c.code, p.onward_reason, f.code
from path p
join merchant o on o.merchant_id = p.origin_id
join merchant r on r.merchant_id = p.redeemer_id
left join merchant d on d.merchant_id = p.debtor_id
left join merchant c on c.merchant_id = p.creditor_id
left join merchant f on f.merchant_id = p.onward_id
left join settlement_window w on w.window_id = p.about_window_id
where p.window_id = :window_id
order by w.label collate "C" nulls first, o.code collate "C", r.code collate "C",
         p.kind collate "C", 5, p.price, p.currency collate "C", p.points,
         d.code collate "C" nulls first, c.code collate "C"
"""
_BYSTANDERS = f"""
select m.code, p.currency
from (select distinct origin_id, currency from path
      where window_id = :window_id and reason <> '{REDEEM}'
        and (amount = 0 or coalesce(origin_id not in (debtor_id, creditor_id), true))) p
join merchant m on m.merchant_id = p.origin_id
"""


class _Stored(NamedTuple):
    """A row of path, its parties by their codes; numeric comes as Decimal."""

    about: str | None
    origin: str
    redeemer: str
    kind: str
    is_given_back: bool
    points: Decimal
    price: Decimal
    amount: Decimal
    currency: str
    reason: str
    debtor: str | None
    creditor: str | None
    onward_reason: str | None
    onward: str | None


async def bystanders(connection: AsyncConnection, window_id: int) -> set[tuple[str, str]]:
    """Origins, with their currencies, of lines that leave them nothing to pay or to receive."""
    rows = await connection.execute(text(_BYSTANDERS), {"window_id": window_id})
    return {(code, currency) for code, currency in rows}


async def result_of(connection: AsyncConnection, window_id: int) -> Result:
    """What a netted window came to, as stored."""
    rows = (await connection.execute(text(_LINES), {"window_id": window_id})).all()
    # In a thread: a large window has a million lines, and a server that reads it goes on answering.
    lines = await asyncio.to_thread(_lines, rows)
    passed = await results.passed_nets(connection, window_id, after=len(lines.obligations))
    return Result(
        tuple(lines.paths),
        (*lines.obligations, *passed),
        await results.positions(connection, window_id),
        tuple(lines.tills),
    )


def _lines(rows: Sequence[Any]) -> Lines:
    lines = Lines()
    stored = map(_Stored._make, rows)
    for _, path in groupby(stored, key=lambda row: row[:5]):
        its_rows = list(path)
        for row in its_rows:
            if row.reason != REDEEM:
                lines.add(_line(lines.next_no, row, row.reason), row.debtor, row.creditor)
        for row in its_rows:
            if row.reason == REDEEM:
                lines.add(_line(lines.next_no, row, REDEEM), row.debtor, row.creditor)
            elif row.onward_reason is not None:
                lines.add(_line(lines.next_no, row, row.onward_reason), HOUSE, row.onward)
    return lines


def _line(number: int, row: _Stored, reason: str) -> PathLine:
    return PathLine(
        number, row.origin, row.redeemer, row.kind, int(row.points), row.price, int(row.amount),
        row.currency, row.about, reason,
    )  # fmt: skip
