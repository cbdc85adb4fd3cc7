"""SQL of what a closed window came to: sums of its lines, positions, and reading all of it back.

Every function runs in the transaction of the connection it is given. The lines themselves are
written by whoever knows what was owed for what; the columns of the tables path and obligation, and
what they mean, are told in the schema.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.netting import THROUGH
from settlement.obligation import (
    CLAWBACK,
    HOUSE,
    Obligation,
    PathLine,
    Position,
    Result,
)
from settlement.window import Window

# The order of a window's lines is the order of what they say, so that it needs no number stored.
# First those of the window itself, then by the earlier window they are about; by origin, redeemer
# and kind; what is given back after what came late; and of one such path by price.
_LINES = """
select o.code, r.code, p.kind, p.points, p.price, p.amount, p.currency, w.label,
       d.code, c.code, p.paid_price, p.paid_amount, p.paid_currency
from path p
join merchant o on o.merchant_id = p.origin_id
join merchant r on r.merchant_id = p.redeemer_id
left join merchant d on d.merchant_id = p.debtor_id
left join merchant c on c.merchant_id = p.creditor_id
left join settlement_window w on w.window_id = p.about_window_id
where p.window_id = :window_id
order by w.label collate "C" nulls first, o.code collate "C", r.code collate "C",
         p.kind collate "C", w.label is not null and p.points < 0, p.price,
         d.code collate "C" nulls first, c.code collate "C",
         coalesce(p.paid_price, p.price), coalesce(p.paid_currency, p.currency) collate "C"
"""
_POSITIONS = """
select m.code, p.currency, p.receivable, p.payable, p.opening, p.instructed
from position p join merchant m on m.merchant_id = p.party_id
where p.window_id = :window_id order by m.code collate "C", p.currency collate "C"
"""
_PASSED_NET = ("window_id", "party_id", "debtor_id", "creditor_id", "amount", "currency")
_POSITION = (
    "window_id", "party_id", "party_name", "currency", "receivable", "payable", "net", "opening",
    "instructed", "closing",
)  # fmt: skip
_PASSED_NETS = """
select m.code, d.code, c.code, n.amount, n.currency
from passed_net n
join merchant m on m.merchant_id = n.party_id
join merchant d on d.merchant_id = n.debtor_id
join merchant c on c.merchant_id = n.creditor_id
where n.window_id = :window_id order by m.code collate "C", n.currency collate "C"
"""
# A million lines are a thousand debts between two parties each, and to net one or the other is the
# same, since only sums count.
_DEBTS = """
select d.code, c.code, b.amount, b.currency
from (select debtor_id, creditor_id, currency, sum(amount) as amount from obligation
      where window_id = :window_id group by 1, 2, 3) b
join merchant d on d.merchant_id = b.debtor_id
join merchant c on c.merchant_id = b.creditor_id
"""
_BYSTANDERS = """
select m.code, p.currency
from (select distinct origin_id, currency from path
      where window_id = :window_id
        and (amount = 0 or coalesce(origin_id not in (debtor_id, creditor_id), true))) p
join merchant m on m.merchant_id = p.origin_id
"""
# Sums of a million rows in a thousand groups are hashed, and not sorted on disk first, which is
# what a planner chooses that has no statistics of rows just written.
_WHILE_SUMMING = "set local enable_sort = off"


async def closings(connection: AsyncConnection, window_id: int) -> dict[tuple[str, str], int]:
    """The balances a window left, by party and currency (minor units); those of 0 left out."""
    rows = await connection.execute(
        text(
            "select m.code, p.currency, p.closing from position p"
            " join merchant m on m.merchant_id = p.party_id"
            " where p.window_id = :window_id and p.closing <> 0"
        ),
        {"window_id": window_id},
    )
    return {(code, currency): int(closing) for code, currency, closing in rows}


async def debts(connection: AsyncConnection, window_id: int) -> list[Obligation]:
    """What each party owes each other by the window's stored lines: one sum for each currency."""
    await connection.execute(text(_WHILE_SUMMING))
    rows = await connection.execute(text(_DEBTS), {"window_id": window_id})
    await connection.execute(text("set local enable_sort to default"))
    return [
        Obligation(number, debtor, creditor, int(amount), currency, "sum")
        for number, (debtor, creditor, amount, currency) in enumerate(rows, start=1)
    ]


async def bystanders(connection: AsyncConnection, window_id: int) -> set[tuple[str, str]]:
    """Origins, with their currencies, of lines that leave them nothing to pay or to receive."""
    rows = await connection.execute(text(_BYSTANDERS), {"window_id": window_id})
    return {(code, currency) for code, currency in rows}


async def write_positions(
    connection: AsyncConnection,
    window: Window,
    passed: Iterable[Obligation],
    positions: Iterable[Position],
    names: Mapping[str, str],
) -> None:
    """Store where a window leaves each party, and the nets that were passed on. It is done once.

    names says what each party with a position is called on paper from now on, by its code.
    """
    ids: dict[str, int] = {}
    for code, merchant_id in await connection.execute(
        text("select code, merchant_id from merchant")
    ):
        ids[code] = merchant_id
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(
        "passed_net",
        columns=_PASSED_NET,
        records=[
            (
                window.window_id, ids[line.reason.removeprefix(THROUGH)], ids[line.debtor],
                ids[line.creditor], line.amount, line.currency,
            )
            for line in passed
        ],
    )  # fmt: skip
    await driver.copy_records_to_table(
        "position",
        columns=_POSITION,
        records=[
            (
                window.window_id, ids[line.party], names[line.party], line.currency,
                line.receivable, line.payable, line.net, line.opening, line.instructed,
                line.closing,
            )
            for line in positions
        ],
    )  # fmt: skip


async def name_at_netting(connection: AsyncConnection, window_id: int, party: str) -> str | None:
    """What `party` was called when the window was netted; its code where it has no position.

    None where there is no such party.
    """
    name: str | None = await connection.scalar(
        text(
            "select coalesce((select min(p.party_name) from position p"
            " where p.window_id = :window_id and p.party_id = m.merchant_id), m.code)"
            " from merchant m where m.code = :party"
        ),
        {"window_id": window_id, "party": party},
    )
    return name


async def result_of(connection: AsyncConnection, window_id: int) -> Result:
    """What a netted window came to, as stored."""
    at = {"window_id": window_id}
    lines = (await connection.execute(text(_LINES), at)).all()
    passed = (await connection.execute(text(_PASSED_NETS), at)).all()
    positions = (await connection.execute(text(_POSITIONS), at)).all()
    # In a thread: a large window has a million lines, and a server that reads it goes on answering.
    return await asyncio.to_thread(_result, lines, passed, positions)


def _result(lines: Sequence[Any], passed: Sequence[Any], positions: Sequence[Any]) -> Result:
    paths: list[PathLine] = []
    obligations: list[Obligation] = []
    for row in map(_Stored._make, lines):
        line = _path(len(paths) + 1, row)
        paths.append(line)
        for debt in _debts_of(line, row):
            if debt.amount and debt.debtor != debt.creditor:
                obligations.append(_obligation(len(obligations) + 1, line, debt))
    for party, debtor, creditor, amount, currency in passed:
        number, reason = len(obligations) + 1, f"{THROUGH}{party}"
        obligations.append(Obligation(number, debtor, creditor, int(amount), currency, reason))
    return Result(
        tuple(paths),
        tuple(obligations),
        tuple(Position(*row[:2], *map(int, row[2:])) for row in positions),
    )


class _Stored(NamedTuple):
    """A row of path, its parties by their codes; numeric comes as Decimal, and amounts are int."""

    origin: str
    redeemer: str
    kind: str
    points: Decimal
    price: Decimal
    amount: Decimal
    currency: str
    about: str | None
    debtor: str | None
    creditor: str | None
    paid_price: Decimal | None
    paid_amount: Decimal | None
    paid_currency: str | None


class _Debt(NamedTuple):
    """Who owes whom for a line of positive points."""

    debtor: str
    creditor: str
    reason: str
    price: Decimal
    amount: int
    currency: str


def _path(number: int, row: _Stored) -> PathLine:
    return PathLine(
        number, row.origin, row.redeemer, row.kind, int(row.points), row.price, int(row.amount),
        row.currency, row.about,
    )  # fmt: skip


def _debts_of(line: PathLine, row: _Stored) -> Iterator[_Debt]:
    """What a line owes, as the view obligation has it: by way of the house, but for breakage."""
    debtor, creditor = row.debtor, row.creditor
    if debtor is None or creditor is None:
        return
    pays = line.price, line.amount, line.currency
    if line.kind == "expiry":
        yield _Debt(debtor, creditor, "breakage", *pays)
        return
    yield _Debt(debtor, HOUSE, "issue" if line.kind == "issue" else "burn", *pays)
    reason = line.kind if line.kind in (CLAWBACK, "adjustment") else "redeem"
    if row.paid_price is None or row.paid_amount is None or row.paid_currency is None:
        yield _Debt(HOUSE, creditor, reason, *pays)
    else:
        paid = row.paid_price, int(row.paid_amount), row.paid_currency
        yield _Debt(HOUSE, creditor, reason, *paid)


def _obligation(number: int, line: PathLine, debt: _Debt) -> Obligation:
    debtor, creditor = debt.debtor, debt.creditor
    if line.quantity < 0:
        debtor, creditor = creditor, debtor
    return Obligation(
        number, debtor, creditor, abs(debt.amount), debt.currency, debt.reason, line.path_no,
        abs(line.quantity), debt.price,
    )  # fmt: skip
