"""SQL of clearing: a window's legs and lots, tallied by the database; prices as they were known;
the terms that a window was netted by.

What a tally costs is price.py; closing and netting is service.py.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.kinds import ISSUE
from coalition.clearing.price import PriceTable, Tally, price_table
from coalition.terms.book import DatedTerms
from coalition.terms.prices import Price
from coalition.terms.stored import from_stored

# One pass over the window, whatever its size: prices change on few days, so points are added up by
# the span of days between two changes (the epoch) and priced afterwards, once a line. Grouped by
# what the rows hold as it stands, so that they are hashed; what is read is named afterwards, and
# sorted, since pricing sorts by code and is twice as fast on what is nearly in that order. A
# transfer's lots are left out: those points were issued, and paid for, when they were first earned.
_TALLIES = """
select origin_id, redeemer_id, kind::text, epoch, about_window_id, points
from (select origin_id, redeemer_id, kind, width_bucket(occurred_on, $2::date[]) as epoch,
             about_window_id, sum(points) as points
      from leg where window_id = $1
      group by 1, 2, 3, 4, 5, about_window_id is not null and points < 0) legs
union all
select origin_id, origin_id, $3, epoch, about_window_id, points
from (select origin_id, width_bucket(earned_on, $2::date[]) as epoch, about_window_id,
             sum(points) as points
      from lot where window_id = $1 and kind <> 'transfer' group by 1, 2, 3) lots
order by 1, 2
"""
# A million groups in memory; with the default of 4 MB they are sorted on disk, which takes far
# longer than reading the rows.
_TALLY_MEMORY = "256MB"


async def read_prices(connection: AsyncConnection, known_at: datetime | None) -> PriceTable:
    """All dated prices; with known_at, only those recorded by then: what a close knew of.

    Of two for the same pair and day the later row wins, as it does when terms are synced.
    """
    rows = await connection.execute(
        text(
            "select o.code, r.code, p.effective_from, p.issue_price, p.burn_price, p.redeem_price"
            " from price p join merchant o on o.merchant_id = p.origin_id"
            " left join merchant r on r.merchant_id = p.redeemer_id"
            " where cast(:known_at as timestamptz) is null or p.recorded_at <= :known_at"
            " order by p.price_no"
        ),
        {"known_at": known_at},
    )
    return price_table(Price(*row) for row in rows)


async def is_first_used(connection: AsyncConnection, window_id: int) -> bool:
    """Whether every window before this one is empty: it has no legs and no lots."""
    found: Any = await connection.scalar(
        text(
            "select not exists (select from leg where window_id < :window_id)"
            " and not exists (select from lot where window_id < :window_id)"
        ),
        {"window_id": window_id},
    )
    return bool(found)


async def prices_recorded_until(connection: AsyncConnection) -> datetime | None:
    """When the latest price was recorded; None where there are no prices."""
    found: Any = await connection.scalar(text("select max(recorded_at) from price"))
    return found if isinstance(found, datetime) else None


async def write_terms(
    connection: AsyncConnection, window_id: int, dated: Mapping[int, DatedTerms]
) -> None:
    """Keep which terms, by merchant's id, a closed window is being netted by."""
    await connection.execute(
        text(
            "insert into window_terms (window_id, merchant_id, terms_no) select :window_id, *"
            " from unnest(cast(:ids as int[]), cast(:numbers as bigint[]))"
        ),
        {
            "window_id": window_id,
            "ids": list(dated),
            "numbers": [one.terms_no for one in dated.values()],
        },
    )


async def read_terms(connection: AsyncConnection, window_id: int) -> dict[int, DatedTerms]:
    """The terms that a window was netted by, by merchant's id; empty: it did not keep them."""
    rows = await connection.execute(
        text(
            "select merchant_id, terms_no, t.effective_from, cast(t.terms as text) as terms"
            " from window_terms join terms t using (merchant_id, terms_no)"
            " where window_id = :window_id order by merchant_id"
        ),
        {"window_id": window_id},
    )
    return {
        row.merchant_id: DatedTerms(row.terms_no, row.effective_from, from_stored(row.terms))
        for row in rows
    }


async def tallies(
    connection: AsyncConnection, window_id: int, table: PriceTable, codes: Mapping[int, str]
) -> list[Tally]:
    """What a window's legs took and its lots issued, in points, ready to be priced."""
    days = sorted({row.effective_from for rows in table.values() for row in rows})
    windows = await connection.execute(text("select window_id, label from settlement_window"))
    labels = {row[0]: row[1] for row in windows}
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    was = await driver.fetchval("select current_setting('work_mem')")
    await driver.execute(f"set local work_mem = '{_TALLY_MEMORY}'")
    rows = await driver.fetch(_TALLIES, window_id, days, ISSUE)
    await driver.execute(f"set local work_mem = '{was}'")

    def named() -> list[Tally]:
        found: list[Tally] = []
        for origin, redeemer, kind, epoch, about, points in rows:
            on = days[epoch - 1] if epoch else date.min
            label = labels[about] if about else None
            found.append(Tally(codes[origin], codes[redeemer], kind, on, int(points), label))
        return found

    # In a thread: of a large window it is a million, and a server that closes it goes on answering.
    return await asyncio.to_thread(named)
