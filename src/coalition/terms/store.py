"""Merchants in the database: the book is loaded from here, and a folder's terms are synced into it.

What a sync may change is decided in changes.py. Windows are only read: making and closing them is
settlement's. Reading a price for a window is clearing's.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import CoalitionError, Code
from coalition.terms.book import HOUSE_ID, POOL_ID, Book, Merchant, Window
from coalition.terms.changes import (
    Change,
    PointPrice,
    PriceKey,
    Stored,
    SyncPlan,
    decide_sync,
    prices_of,
)
from coalition.terms.terms import HouseTerms, Terms
from settlement.obligation import POOL

_PARTIES = text("""
    select merchant_id, code, cast(terms as text) as terms from merchant order by merchant_id
""")
_WINDOWS = text("""
    select window_id, label, opens_at, closes_at, closed_at, status = 'open' as is_open
    from settlement_window order by window_id
""")
# A price that was written twice for one day was changed before that day: the later row counts.
_PRICES = text("""
    select o.code as origin, coalesce(r.code, '') as redeemer, p.effective_from,
           p.issue_price, p.burn_price, p.redeem_price
    from price p
    join merchant o on o.merchant_id = p.origin_id
    left join merchant r on r.merchant_id = p.redeemer_id
    order by p.price_no
""")
_SETTLED_ON = text("""
    with late (party_id, day) as (
        select origin_id, occurred_on from leg
        where window_id = any(cast(:closed as int[])) and occurred_on >= :open_from
        union all
        select redeemer_id, occurred_on from leg
        where window_id = any(cast(:closed as int[])) and occurred_on >= :open_from
        union all
        select origin_id, earned_on from lot
        where window_id = any(cast(:closed as int[])) and earned_on >= :open_from
    )
    select m.code, max(late.day) as day
    from late join merchant m on m.merchant_id = late.party_id group by m.code
""")
_LOCK_SYNC = text(
    "select pg_advisory_xact_lock(hashtextextended('coalition.merchants.store.sync', 0))"
)
_LOCK_OPEN_WINDOW = text("select window_id from settlement_window where status = 'open' for share")
_INSERT_PARTY = text("""
    insert into merchant (merchant_id, code, name, currency, time_zone, joined_on, suspended, terms,
                          synced_at)
    values (:merchant_id, :code, :name, :currency, :time_zone, :joined_on, :suspended,
            cast(:terms as jsonb), :now)
""")
_UPDATE_PARTY = text("""
    update merchant
    set name = :name, time_zone = :time_zone, joined_on = :joined_on, suspended = :suspended,
        terms = cast(:terms as jsonb), synced_at = greatest(
            :now, (select max(synced_at) from merchant) + interval '1 microsecond')
    where code = :code
""")
_INSERT_PRICE = text("""
    insert into price (origin_id, redeemer_id, effective_from, issue_price, burn_price,
                       redeem_price, recorded_at)
    values (:origin_id, :redeemer_id, :effective_from, :issue_price, :burn_price, :redeem_price,
            :now)
""")


async def load_book(connection: AsyncConnection) -> Book:
    """Every party's terms and every window, the oldest first.

    Raises CoalitionError, not_found, before the first sync: there is no house yet.
    """
    rows = list(await connection.execute(_PARTIES))
    windows = await connection.execute(_WINDOWS)
    parties = {row.code: _terms(row.merchant_id, row.terms) for row in rows}
    house = next((one for one in parties.values() if isinstance(one, HouseTerms)), None)
    if house is None:
        raise CoalitionError(
            Code.NOT_FOUND, "the database has no house yet: sync a folder of merchants first"
        )
    return Book(
        house=house,
        house_zone=ZoneInfo(house.time_zone),
        merchants={
            row.merchant_id: Merchant(row.merchant_id, terms, ZoneInfo(terms.time_zone))
            for row in rows
            if isinstance(terms := parties[row.code], Terms)
        },
        ids={row.code: row.merchant_id for row in rows},
        codes={row.merchant_id: row.code for row in rows},
        windows=tuple(
            Window(row.window_id, row.label, row.opens_at, row.closes_at, row.is_open)
            for row in windows
        ),
    )


async def plan_sync(
    connection: AsyncConnection, house: HouseTerms, terms: list[Terms], now: datetime
) -> list[Change]:
    """What sync would do now, in order of code; nothing is changed or locked.

    Raises SyncRefusedError where it would be refused.
    """
    return (await _plan(connection, house, terms, now)).changes


async def sync(
    connection: AsyncConnection, house: HouseTerms, terms: list[Terms], now: datetime
) -> list[Change]:
    """Make the database say what the files say, in the caller's transaction; the changes made.

    A second run changes nothing. A merchant without a file stays. Raises SyncRefusedError, before
    anything is changed, where a currency, a price in force or a closed window would change.
    """
    # One sync at a time; then the open window's row, as a till takes it, so that a close waits:
    # a price that is checked against the open window is in place before that window is priced.
    await connection.execute(_LOCK_SYNC)
    await _lock_open_window(connection)
    plan = await _plan(connection, house, terms, now)
    await _store(connection, plan, now)
    return plan.changes


async def _lock_open_window(connection: AsyncConnection) -> None:
    # A close that commits while we wait leaves us with no row; the next statement sees the window
    # that it opened. Only before the first window is there none at all.
    for _ in range(3):
        if (await connection.execute(_LOCK_OPEN_WINDOW)).first() is not None:
            return
        if (await connection.execute(_WINDOWS)).first() is None:
            return
    raise CoalitionError(Code.BUSY, "windows are being closed: sync again in a moment")


async def _plan(
    connection: AsyncConnection, house: HouseTerms, terms: list[Terms], now: datetime
) -> SyncPlan:
    rows = list(await connection.execute(_PARTIES))
    parties = {
        row.code: _terms(row.merchant_id, row.terms) for row in rows if row.merchant_id != POOL_ID
    }
    prices = {
        PriceKey(row.origin, row.redeemer, row.effective_from): PointPrice(
            row.issue_price, row.burn_price, row.redeem_price
        )
        for row in await connection.execute(_PRICES)
    }
    zone = ZoneInfo(getattr(parties.get(house.code), "time_zone", house.time_zone))
    filed = {key: price for one in terms for key, price in prices_of(one).items()}
    open_from, settled_on = await _settled(connection, zone, is_asked=filed != prices)
    stored = Stored(
        parties={code: one for code, one in parties.items() if one is not None},
        prices=prices,
        open_from=open_from,
        settled_on=settled_on,
    )
    return decide_sync(stored, house, terms, now.astimezone(zone).date())


async def _settled(
    connection: AsyncConnection, zone: ZoneInfo, *, is_asked: bool
) -> tuple[date | None, dict[str, date]]:
    """Stored.open_from and Stored.settled_on; the second is looked for only where is_asked."""
    windows = list(await connection.execute(_WINDOWS))
    closed = [window for window in windows if not window.is_open]
    if not closed:
        return None, {}
    opens_at: datetime = next(
        (window.opens_at for window in windows if window.is_open), windows[-1].closes_at
    )
    open_from = opens_at.astimezone(zone).date()
    # A till cannot post what has not happened, so a window that was closed before that day began
    # anywhere on earth holds nothing of it: few windows, and seldom a large one, are read.
    began_at = datetime.combine(open_from, time.min, UTC) - timedelta(hours=14)
    closed_late = [window.window_id for window in closed if window.closed_at > began_at]
    if not is_asked or not closed_late:
        return open_from, {}
    rows = await connection.execute(_SETTLED_ON, {"closed": closed_late, "open_from": open_from})
    return open_from, {row.code: row.day for row in rows}


async def _store(connection: AsyncConnection, plan: SyncPlan, now: datetime) -> None:
    rows = await connection.execute(_PARTIES)
    ids: dict[str, int] = {row.code: row.merchant_id for row in rows}
    for one in plan.added:
        if isinstance(one, HouseTerms):
            ids[one.code] = HOUSE_ID
            ids[POOL] = POOL_ID
            pool = _party(one, now) | {"code": POOL, "name": "Pool", "terms": "{}"}
            await connection.execute(_INSERT_PARTY, pool | {"merchant_id": POOL_ID})
        else:
            ids[one.code] = max(ids.values()) + 1
        await connection.execute(_INSERT_PARTY, _party(one, now) | {"merchant_id": ids[one.code]})
    for one in plan.updated:
        await connection.execute(_UPDATE_PARTY, _party(one, now))
    for key, price in plan.prices.items():
        await connection.execute(
            _INSERT_PRICE,
            {
                "origin_id": ids[key.origin],
                "redeemer_id": ids[key.redeemer] if key.redeemer else None,
                "effective_from": key.effective_from,
                "issue_price": price.issue_price,
                "burn_price": price.burn_price,
                "redeem_price": price.redeem_price,
                "now": now,
            },
        )


def _party(one: Terms | HouseTerms, now: datetime) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": one.name,
        "currency": one.currency,
        "time_zone": one.time_zone,
        "joined_on": one.first_window_on if isinstance(one, HouseTerms) else one.joined_on,
        "suspended": isinstance(one, Terms) and one.suspended,
        "terms": msgspec.json.encode(one).decode(),
        "now": now,
    }


def _terms(merchant_id: int, stored: str) -> Terms | HouseTerms | None:
    """What is stored of a party's file; the pool has none."""
    if merchant_id == HOUSE_ID:
        return msgspec.json.decode(stored, type=HouseTerms)
    return None if merchant_id == POOL_ID else msgspec.json.decode(stored, type=Terms)
