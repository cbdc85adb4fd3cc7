"""The ledger's read side: a card, its history, a burn, a lot. One statement a view, no locks.

Who may see what is the API's to say; what is shown is as of the statement's start.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.terms.book import Book

# Open lots, and lots that a hold has taken from, once for each such hold; a member without any of
# them is one row.
_CARD = text("""
    select c.status::text, c.member_id, m.tier, l.*
    from card c join member m using (member_id)
    left join lateral (
        with h as (
            select g.lot_no, b.burn_no, b.hold_expires_at, sum(g.points)::bigint as points
            from burn b join leg g using (member_id, burn_no)
            where b.member_id = c.member_id and b.status = 'held'
              and (select a.held > 0 from account a where a.member_id = c.member_id)
            group by g.lot_no, b.burn_no, b.hold_expires_at)
        select lot.lot_no, lot.origin_id, lot.expires_on, lot.remaining, h.points as held,
               h.hold_expires_at
        from lot left join h using (lot_no)
        where lot.member_id = c.member_id and (lot.is_open or h.lot_no is not null)
        order by h.hold_expires_at, h.burn_no
    ) l on true
    where c.card_number = :card
""")
_HISTORY = text("""
    select posting_no, kind::text, merchant_id, change, occurred_at, target_no, reference
    from posting
    where member_id = :member_id and posting_no < :before_no
      and (cast(:merchant_id as int) is null or merchant_id = :merchant_id)
    order by posting_no desc limit :rows_max
""")
_BURN = text("""
    select b.redeemer_id, b.kind::text, b.status::text, b.points, b.returned, b.hold_expires_at,
           p.card_number, p.occurred_at, p.recorded_at, p.reference, w.label as window,
           g.lot_no, g.origin_id, g.points as leg_points, g.occurred_on, l.earned_at,
           e.reference as earn_reference, m.kind::text as movement, m.occurred_at as leg_at,
           gw.label as leg_window, aw.label as about
    from burn b
    join posting p on p.member_id = b.member_id and p.posting_no = b.burn_no
    left join settlement_window w on w.window_id = b.window_id
    left join leg g on g.member_id = b.member_id and g.burn_no = b.burn_no
    left join lot l on l.member_id = g.member_id and l.lot_no = g.lot_no
    left join posting e on e.member_id = l.member_id and e.posting_no = l.earn_no
    left join posting m on m.member_id = g.member_id and m.posting_no = g.posting_no
    left join settlement_window gw on gw.window_id = g.window_id
    left join settlement_window aw on aw.window_id = g.about_window_id
    where b.member_id = :member_id and b.burn_no = :burn_no
    order by g.posting_no, g.leg_no
""")
_LOT = text("""
    select l.origin_id, l.kind::text, l.points, l.remaining, l.earned_at, l.expires_on, l.earn_no,
           e.kind::text as made_by, w.label as window,
           g.burn_no, g.redeemer_id, g.kind::text as leg_kind, g.points as leg_points,
           p.occurred_at as leg_at, gw.label as leg_window
    from lot l
    join posting e on e.member_id = l.member_id and e.posting_no = l.earn_no
    join settlement_window w on w.window_id = l.window_id
    left join leg g on g.member_id = l.member_id and g.lot_no = l.lot_no
    left join posting p on p.member_id = g.member_id and p.posting_no = g.posting_no
    left join settlement_window gw on gw.window_id = g.window_id
    where l.member_id = :member_id and l.lot_no = :lot_no
    order by g.posting_no, g.leg_no
""")


@dataclass(frozen=True, slots=True)
class CardView:
    """A card and its member's points at one moment.

    available leaves out points past their day and counts those of holds past their time, whether
    the jobs have come by or not. origins maps a merchant's id, expiring a last good day to points.
    """

    member_id: int
    status: str
    tier: str | None
    available: int
    held: int
    origins: dict[int, int]
    expiring: dict[date, int]


@dataclass(slots=True)
class _Lot:
    """What is left of a lot while a view is made of it."""

    origin_id: int
    points: int
    expires_on: date | None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A posting. change is signed: what it did to the available balance."""

    posting_no: int
    kind: str
    merchant_id: int
    change: int
    occurred_at: datetime
    target_no: int | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class LegOfBurn:
    """What a burn still holds of one lot, and where that lot came from."""

    lot_no: int
    origin_id: int
    points: int
    earned_at: datetime
    earn_reference: str | None


@dataclass(frozen=True, slots=True)
class LegWritten:
    """A leg as it was written: points is negative where movement (a kind of posting) gave back.

    on is the business date whose price counts, window where the leg is settled (None: held only),
    about the earlier window that it belongs to.
    """

    lot_no: int
    origin_id: int
    movement: str
    points: int
    at: datetime
    on: date
    window: str | None
    about: str | None


@dataclass(frozen=True, slots=True)
class BurnView:
    """A burn as it stands. points counts what was taken, returned what reversals gave back.

    legs is what is left of it, history every leg that was ever written for it, in order.
    """

    redeemer_id: int
    kind: str
    status: str
    points: int
    returned: int
    hold_expires_at: datetime | None
    card: int | None
    occurred_at: datetime
    recorded_at: datetime
    reference: str | None
    window: str | None
    legs: tuple[LegOfBurn, ...]
    history: tuple[LegWritten, ...]


@dataclass(frozen=True, slots=True)
class LegOfLot:
    """One movement that took from a lot, or gave back (negative)."""

    burn_no: int
    redeemer_id: int
    kind: str
    points: int
    at: datetime
    window: str | None


@dataclass(frozen=True, slots=True)
class LotView:
    """A lot and its path. earn_no is None where something else than an earn made it."""

    origin_id: int
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    expires_on: date | None
    earn_no: int | None
    window: str
    legs: tuple[LegOfLot, ...]


async def card_view(
    connection: AsyncConnection, card: int, book: Book, now: datetime
) -> CardView | None:
    """What the card's member has at `now`; None where there is no such card."""
    rows = (await connection.execute(_CARD, {"card": card})).all()
    if not rows:
        return None
    held = 0
    lots: dict[int, _Lot] = {}
    for row in rows:
        if row.lot_no is None:
            continue
        lot = lots.setdefault(row.lot_no, _Lot(row.origin_id, row.remaining, row.expires_on))
        if row.held and row.hold_expires_at <= now:
            _give_back(lot, row.held, book.today(row.hold_expires_at), book)
        else:
            held += row.held or 0
    origins, expiring = _by_origin_and_day(lots.values(), book.today(now))
    first = rows[0]
    return CardView(
        member_id=first.member_id,
        status=first.status,
        tier=first.tier,
        available=sum(origins.values()),
        held=held,
        origins=origins,
        expiring=expiring,
    )


def _give_back(lot: _Lot, points: int, over_on: date, book: Book) -> None:
    """What a hold that ended on the day over_on gives back, as ledger/lapses.py will write it."""
    if lot.expires_on is not None and lot.expires_on < over_on:
        origin = book.merchants.get(lot.origin_id)
        grace = origin.on(over_on).validity.grace_days if origin else 30
        # What was free of the lot had expired by then; what was held lives on.
        lot.points, lot.expires_on = 0, over_on + timedelta(days=grace)
    lot.points += points


def _by_origin_and_day(lots: Iterable[_Lot], today: date) -> tuple[dict[int, int], dict[date, int]]:
    origins: defaultdict[int, int] = defaultdict(int)
    expiring: defaultdict[date, int] = defaultdict(int)
    for lot in lots:
        if not lot.points or (lot.expires_on is not None and lot.expires_on < today):
            continue
        origins[lot.origin_id] += lot.points
        if lot.expires_on is not None:
            expiring[lot.expires_on] += lot.points
    return dict(origins), dict(sorted(expiring.items()))


async def history(
    connection: AsyncConnection,
    member_id: int,
    *,
    before_no: int,
    merchant_id: int | None,
    rows_max: int,
) -> list[HistoryLine]:
    """Postings with a number under before_no, the newest first; merchant_id None: everybody's."""
    rows = await connection.execute(
        _HISTORY,
        {
            "member_id": member_id,
            "before_no": before_no,
            "merchant_id": merchant_id,
            "rows_max": rows_max,
        },
    )
    return [HistoryLine(*row) for row in rows]


async def burn_view(
    connection: AsyncConnection, member_id: int, burn_no: int, now: datetime
) -> BurnView | None:
    """The burn at `now`, None where there is none; a hold past its time is void by itself."""
    rows = (await connection.execute(_BURN, {"member_id": member_id, "burn_no": burn_no})).all()
    if not rows:
        return None
    first = rows[0]
    is_over = first.status == "held" and first.hold_expires_at <= now
    written = [row for row in rows if row.lot_no is not None]
    return BurnView(
        redeemer_id=first.redeemer_id,
        kind=first.kind,
        status="voided" if is_over else first.status,
        points=first.points,
        returned=first.points if is_over else first.returned,
        hold_expires_at=first.hold_expires_at,
        card=first.card_number,
        occurred_at=first.occurred_at,
        recorded_at=first.recorded_at,
        reference=first.reference,
        window=first.window,
        legs=() if is_over else _left(written),
        history=tuple(
            LegWritten(
                row.lot_no, row.origin_id, row.movement, row.leg_points, row.leg_at,
                row.occurred_on, row.leg_window, row.about,
            )
            for row in written
        ),
    )  # fmt: skip


def _left(written: Iterable[Row[Any]]) -> tuple[LegOfBurn, ...]:
    """What a burn still holds of each lot, in the order in which they were taken."""
    left: dict[int, LegOfBurn] = {}
    for row in written:
        before = left[row.lot_no].points if row.lot_no in left else 0
        points = before + row.leg_points
        left[row.lot_no] = LegOfBurn(
            row.lot_no, row.origin_id, points, row.earned_at, row.earn_reference
        )
    return tuple(leg for leg in left.values() if leg.points)


async def lot_view(connection: AsyncConnection, member_id: int, lot_no: int) -> LotView | None:
    """The lot and every leg that took from it, in order; None where there is no such lot."""
    rows = (await connection.execute(_LOT, {"member_id": member_id, "lot_no": lot_no})).all()
    if not rows:
        return None
    first = rows[0]
    legs = tuple(
        LegOfLot(
            row.burn_no, row.redeemer_id, row.leg_kind, row.leg_points, row.leg_at, row.leg_window
        )
        for row in rows
        if row.burn_no is not None
    )
    return LotView(
        origin_id=first.origin_id,
        kind=first.kind,
        points=first.points,
        remaining=first.remaining,
        earned_at=first.earned_at,
        expires_on=first.expires_on,
        earn_no=first.earn_no if first.made_by == "earn" else None,
        window=first.window,
        legs=legs,
    )
