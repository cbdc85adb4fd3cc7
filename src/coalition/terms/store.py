"""Merchants in the database: the book is loaded from here, and a folder's terms are synced into it.

What a sync may change is decided in changes.py. Windows are only read: making and closing them is
settlement's. Reading a price for a window is clearing's.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.errors import CoalitionError, Code
from coalition.sealing.history import PRICES, TERMS, seal_history
from coalition.sealing.key import key_of
from coalition.terms.acts import record_sync
from coalition.terms.book import (
    HOUSE_ID,
    POOL_ID,
    Book,
    DatedTerms,
    Merchant,
    in_order_of_days,
)
from coalition.terms.changes import (
    Change,
    Stored,
    SyncPlan,
    decide_sync,
    prices_of,
)
from coalition.terms.dating import changed
from coalition.terms.prices import Price
from coalition.terms.stored import from_stored, to_stored
from coalition.terms.terms import HouseTerms, Terms
from settlement.obligation import POOL
from settlement.store import list_windows

_PARTIES = text("""
    select merchant_id, code, cast(terms as text) as terms from merchant order by merchant_id
""")
_WINDOWS = text("""
    select window_id, opens_at, closes_at, closed_at, status = 'open' as is_open
    from settlement_window order by window_id
""")
# A price that was written twice for one day was changed before that day: the later row counts.
_PRICES = text("""
    select o.code as origin, r.code as redeemer, p.effective_from,
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
# In the order in which they were recorded: of two for one day the later counts.
_TERMS = text("""
    select m.code, t.terms_no, t.effective_from, cast(t.terms as text) as terms
    from terms t join merchant m using (merchant_id) where merchant_id > 1 order by t.terms_no
""")
_POSTED_ON = text("""
    select m.code, max(cast(p.occurred_at at time zone m.time_zone as date)) as day
    from posting p join merchant m using (merchant_id)
    where m.code = any(cast(:codes as text[])) group by m.code
""")
_INSERT_TERMS = text("""
    insert into terms (merchant_id, effective_from, terms, recorded_at)
    values (:merchant_id, :effective_from, cast(:terms as jsonb), :now)
""")
# What servers look at to know that their book is old.
_TOUCH_PARTY = text("""
    update merchant set synced_at = greatest(
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
    windows = await list_windows(connection)
    dated = await _dated(connection)
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
            row.merchant_id: Merchant(
                row.merchant_id,
                terms,
                ZoneInfo(terms.time_zone),
                in_order_of_days(dated.get(row.code, ())),
            )
            for row in rows
            if isinstance(terms := parties[row.code], Terms)
        },
        ids={row.code: row.merchant_id for row in rows},
        codes={row.merchant_id: row.code for row in rows},
        windows=tuple(windows),
    )


async def plan_sync(
    connection: AsyncConnection, house: HouseTerms, terms: list[Terms], now: datetime
) -> list[Change]:
    """What sync would do now, in order of code; nothing is changed or locked.

    Raises SyncRefusedError where it would be refused.
    """
    return (await _plan(connection, house, terms, now)).changes


async def sync(
    connection: AsyncConnection,
    house: HouseTerms,
    terms: list[Terms],
    now: datetime,
    actor: Actor = NOT_KNOWN,
) -> list[Change]:
    """Make the database say what the files say, in the caller's transaction; the changes made.

    A second run changes nothing. A merchant without a file stays. The audit says what changes, and
    by whom. Raises SyncRefusedError, before anything is changed, where a currency, a price in force
    or a closed window would change.
    """
    # One sync at a time; then the open window's row, as a till takes it, so that a close waits:
    # a price that is checked against the open window is in place before that window is priced.
    await connection.execute(_LOCK_SYNC)
    await _lock_open_window(connection)
    plan = await _plan(connection, house, terms, now)
    stored = {row.code: row.terms for row in await connection.execute(_PARTIES)}
    await record_sync(connection, plan, stored, now, actor)
    await _store(connection, plan, now)
    if plan.changes:
        for history in (PRICES, TERMS):
            await seal_history(connection, history, key_of(connection))
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
    prices = [Price(*row) for row in await connection.execute(_PRICES)]
    dated = await _dated(connection)
    # A merchant that is only now added has no postings.
    moved = [one.code for one in changed(dated, terms) if one.code in parties]
    zone = ZoneInfo(getattr(parties.get(house.code), "time_zone", house.time_zone))
    recorded = {price.key: price for price in prices}
    filed = prices_of(terms)
    open_from, settled_on = await _settled(connection, zone, is_asked=filed != recorded)
    stored = Stored(
        parties={code: one for code, one in parties.items() if one is not None},
        terms=dated,
        posted_on=await _posted_on(connection, moved),
        prices=recorded,
        open_from=open_from,
        settled_on=settled_on,
    )
    return decide_sync(stored, house, terms, now.astimezone(zone).date())


async def _dated(connection: AsyncConnection) -> dict[str, list[DatedTerms]]:
    rows: dict[str, list[DatedTerms]] = {}
    for row in await connection.execute(_TERMS):
        terms = from_stored(row.terms)
        rows.setdefault(row.code, []).append(DatedTerms(row.terms_no, row.effective_from, terms))
    return rows


async def _posted_on(connection: AsyncConnection, codes: list[str]) -> dict[str, date]:
    """The last day, at its own till, of each merchant's postings. Reads the whole journal."""
    if not codes:
        return {}
    rows = await connection.execute(_POSTED_ON, {"codes": codes})
    return {row.code: row.day for row in rows}


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
    await _store_terms(connection, plan, ids, now)
    for price in plan.prices:
        await connection.execute(
            _INSERT_PRICE,
            {
                "origin_id": ids[price.origin],
                "redeemer_id": ids[price.redeemer] if price.redeemer else None,
                "effective_from": price.effective_from,
                "issue_price": price.issue_price,
                "burn_price": price.burn_price,
                "redeem_price": price.redeem_price,
                "now": now,
            },
        )


async def _store_terms(
    connection: AsyncConnection, plan: SyncPlan, ids: dict[str, int], now: datetime
) -> None:
    rows = [(new.terms.code, new.effective_from, _text(new.terms)) for new in plan.terms]
    for one in (*plan.added, *plan.updated):
        if isinstance(one, HouseTerms):
            # The house's own file, its calendar above all, holds at once.
            today = now.astimezone(ZoneInfo(one.time_zone)).date()
            begin = one.first_window_on if one in plan.added else today
            rows.append((one.code, begin, _text(one)))
    for code, effective_from, terms in rows:
        values = {"merchant_id": ids[code], "effective_from": effective_from, "terms": terms}
        await connection.execute(_INSERT_TERMS, values | {"now": now})
    touched = {one.code for one in (*plan.added, *plan.updated)}
    for code in sorted({code for code, _, _ in rows} - touched):
        await connection.execute(_TOUCH_PARTY, {"code": code, "now": now})


def _text(one: Terms | HouseTerms) -> str:
    """A party's terms as they are stored by date; prices have days and a table of their own."""
    if isinstance(one, Terms):
        one = replace(one, prices=(), pair_prices=())
    return to_stored(one)


def _party(one: Terms | HouseTerms, now: datetime) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": one.name,
        "currency": one.currency,
        "time_zone": one.time_zone,
        "joined_on": one.first_window_on if isinstance(one, HouseTerms) else one.joined_on,
        "suspended": isinstance(one, Terms) and one.suspended,
        "terms": to_stored(one),
        "now": now,
    }


def _terms(merchant_id: int, stored: str) -> Terms | HouseTerms | None:
    """What is stored of a party's file; the pool has none."""
    if merchant_id == HOUSE_ID:
        return msgspec.json.decode(stored, type=HouseTerms)
    return None if merchant_id == POOL_ID else from_stored(stored)
