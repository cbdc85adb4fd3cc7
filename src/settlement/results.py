"""SQL of what a closed window came to: sums of its debts, passed nets, positions and names.

Every function runs in the transaction of the connection it is given. The lines that the debts come
from are written and read by whoever knows what was owed for what.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.netting import THROUGH
from settlement.obligation import Obligation, Position
from settlement.window import Window

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


async def passed_nets(
    connection: AsyncConnection, window_id: int, *, after: int
) -> list[Obligation]:
    """The nets of indirect participants, numbered from after + 1."""
    rows = await connection.execute(text(_PASSED_NETS), {"window_id": window_id})
    return [
        Obligation(number, debtor, creditor, int(amount), currency, f"{THROUGH}{party}")
        for number, (party, debtor, creditor, amount, currency) in enumerate(rows, start=after + 1)
    ]


async def positions(connection: AsyncConnection, window_id: int) -> tuple[Position, ...]:
    """Where a netted window left each party."""
    rows = await connection.execute(text(_POSITIONS), {"window_id": window_id})
    return tuple(Position(*row[:2], *map(int, row[2:])) for row in rows)
