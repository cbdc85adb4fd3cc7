"""The ledger's read side: a card, its history, a burn, a lot. One statement a view, no locks.

Who may see what is the API's to say; what is shown is as of the statement's start.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.database import raw
from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.lapses import lapse
from coalition.ledger.rows import lot_of
from coalition.ledger.state import Account, Member, State
from coalition.terms.book import Book
from settlement.window import Window

# How many columns of a row are known here; what a later migration adds comes behind them. A burn's
# card and legs are rows of their own.
_ACCOUNT_COLUMNS, _LEG_COLUMNS = (len(one.__struct_fields__) for one in (Account, Leg))
_BURN_COLUMNS = BurnRow.__struct_fields__.index("card")
# All but the card, the time and the legs.
_REWARDS_UNTIL = len(BurnRow.__struct_fields__) - 3
# Of rows that are never written.
_NO_WINDOW = Window(
    0, "", datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "closed"
)

# With what time alone may still do to the points: open lots, held burns with their legs and lots,
# and debts. Whole rows, which lapses.py works on as it does when it is asked to write.
_CARD = """
    with h as (
        select b from burn b join account a using (member_id) join card c using (member_id)
        where c.card_number = $1 and a.held > 0 and b.status = 'held')
    select c.status::text as status, m.tier, a as account,
        (select array_agg(l) from lot l where l.member_id = c.member_id and (l.is_open
            or l.lot_no in (select g.lot_no from h join leg g on g.member_id = c.member_id
                            and g.burn_no = (h.b).burn_no))) as lots,
        (select array_agg(h.b) from h) as burns,
        (select array_agg(g order by g.posting_no, g.leg_no) from h join leg g
            on g.member_id = c.member_id and g.burn_no = (h.b).burn_no) as legs,
        (select array_agg(d) from debt d where d.member_id = c.member_id and a.owed > 0) as debts,
        (select array_agg(m) from activity m where m.member_id = c.member_id) as moved
    from card c join member m using (member_id) join account a using (member_id)
    where c.card_number = $1
"""
_IS_REPLACED = text("""
    select exists (select from card where card_number = :card and status = 'replaced')
""")
_HISTORY = text("""
    select posting_no, kind::text, merchant_id, change, occurred_at, target_no, reference, imported,
           case when cast(:merchant_id as int) is null or exists (
               select from api_key k
               where k.key_id = substr(posting.actor, 5) and k.merchant_id = :merchant_id)
           then actor end as actor
    from posting
    where member_id = :member_id and posting_no < :before_no
      and (cast(:merchant_id as int) is null or merchant_id = :merchant_id)
    order by posting_no desc limit :rows_max
""")
_BURN = text("""
    select b.redeemer_id, b.kind::text, b.status::text, b.points, b.returned, b.hold_expires_at,
           b.reward, b.quantity, b.on_lapse, b.store, p.card_number,
           p.occurred_at, p.recorded_at, p.reference, w.label as window,
           g.lot_no, g.origin_id, g.points as leg_points, g.occurred_on, l.earned_at,
           e.reference as earn_reference,
           e.kind = 'earn' and e.merchant_id <> g.origin_id as is_paid,
           m.kind::text as movement, m.occurred_at as leg_at,
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
# Of a lot l with its activity a, which may not be there: as Member.last_day() has it.
LAST_DAY = """
    case when l.inactive_months is null then l.expires_on
         else greatest(l.expires_on, (coalesce(a.last_moved_on, l.earned_on)
                                      + make_interval(months => l.inactive_months))::date) end
"""
_LOT = text(f"""
    select l.origin_id, l.kind::text, l.points, l.remaining, l.earned_at, l.earn_no, l.active_from,
           {LAST_DAY} as expires_on, l.rule,
           e.kind::text as made_by, e.merchant_id as earned_with, w.label as window,
           g.burn_no, g.redeemer_id, g.kind::text as leg_kind, g.points as leg_points,
           p.occurred_at as leg_at, gw.label as leg_window
    from lot l
    join posting e on e.member_id = l.member_id and e.posting_no = l.earn_no
    join settlement_window w on w.window_id = l.window_id
    left join activity a on a.member_id = l.member_id and a.origin_id = l.origin_id
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
    the jobs have come by or not. origins and owed map a merchant's id, expiring a last good day to
    points. pending, of which pending_from maps the first good day to points, is in neither
    available nor origins, but in expiring.
    """

    member_id: int
    status: str
    tier: str | None
    available: int
    held: int
    origins: dict[int, int]
    expiring: dict[date, int]
    owed: dict[int, int]
    pending: int
    pending_from: dict[date, int]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A posting. change is signed: what it did to the balance, pending points included.

    imported: it came with the history that the coalition brought along. actor is whoever asked for
    it, None where that is not known or not the reader's to know.
    """

    posting_no: int
    kind: str
    merchant_id: int
    change: int
    occurred_at: datetime
    target_no: int | None
    reference: str | None
    imported: bool
    actor: str | None


@dataclass(frozen=True, slots=True)
class LegOfBurn:
    """What a burn still holds of one lot, and where that lot came from.

    is_paid: another merchant than the origin gave the points, and the origin pays for them.
    """

    lot_no: int
    origin_id: int
    points: int
    earned_at: datetime
    earn_reference: str | None
    is_paid: bool


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

    legs is what is left of it, history every leg that was ever written for it, in order. reward,
    quantity and store (where it is collected) are those of a burn of a reward.
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
    reward: str | None = None
    quantity: int | None = None
    store: str | None = None


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
    """A lot and its path. earn_no is None where something else than an earn made it.

    earned_with is the merchant of the movement that made it. rule: the name of the rule that gave
    it, None: the rates did, or nothing that has a name.
    """

    origin_id: int
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    expires_on: date | None
    active_from: date | None
    earn_no: int | None
    earned_with: int
    rule: str | None
    window: str
    legs: tuple[LegOfLot, ...]


async def card_view(
    connection: AsyncConnection, card: int, book: Book, now: datetime
) -> CardView | None:
    """What the card's member has at `now`; None where there is no such card."""
    row = await (await raw(connection)).fetchrow(_CARD, card)
    if row is None:
        return None
    member = _member(row)
    # What the jobs would write is worked out in memory, and thrown away.
    lapse(member, State(_NO_WINDOW), book, now)
    origins: defaultdict[int, int] = defaultdict(int)
    expiring: defaultdict[date, int] = defaultdict(int)
    pending_from: defaultdict[date, int] = defaultdict(int)
    today = book.today(now)
    for lot in member.lots_in_order():
        if lot.active_from is not None and lot.active_from > today:
            pending_from[lot.active_from] += lot.remaining
        else:
            origins[lot.origin_id] += lot.remaining
        if (last_day := member.last_day(lot)) is not None:
            expiring[last_day] += lot.remaining
    return CardView(
        member_id=member.account.member_id,
        status=row["status"],
        tier=row["tier"],
        available=member.account.available - sum(pending_from.values()),
        held=member.account.held,
        origins=dict(origins),
        expiring=dict(expiring),
        owed={origin_id: points for origin_id, points in member.debts.items() if points},
        pending=sum(pending_from.values()),
        pending_from=dict(sorted(pending_from.items())),
    )


def _member(row: asyncpg.Record) -> Member:
    member = Member(Account(*row["account"][:_ACCOUNT_COLUMNS]), lots_loaded=True)
    member.lots = {lot[1]: lot_of(lot) for lot in row["lots"] or ()}
    for burn in row["burns"] or ():
        member.burns[burn[1]] = BurnRow(
            *(*burn[:_BURN_COLUMNS], None, None, *burn[_BURN_COLUMNS:_REWARDS_UNTIL])
        )
    for leg in row["legs"] or ():
        member.burns[leg[3]].legs.append(Leg(*leg[:_LEG_COLUMNS]))
    member.debts = {debt[1]: debt[2] for debt in row["debts"] or ()}
    member.moved_on = {moved[1]: moved[2] for moved in row["moved"] or ()}
    return member


async def is_replaced(connection: AsyncConnection, card: int) -> bool:
    """Whether a card of this number is dead, and another one has taken its place."""
    return bool(await connection.scalar(_IS_REPLACED, {"card": card}))


async def history(
    connection: AsyncConnection,
    member_id: int,
    *,
    before_no: int,
    merchant_id: int | None,
    rows_max: int,
) -> list[HistoryLine]:
    """Postings with a number under before_no, the newest first; merchant_id None: everybody's.

    A merchant learns of its own keys only that they asked.
    """
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
    is_over = first.status == "held" and first.hold_expires_at <= now and not first.on_lapse
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
        reward=first.reward,
        quantity=first.quantity,
        store=first.store,
    )  # fmt: skip


def _left(written: Iterable[Row[Any]]) -> tuple[LegOfBurn, ...]:
    """What a burn still holds of each lot, in the order in which they were taken."""
    left: dict[int, LegOfBurn] = {}
    for row in written:
        before = left[row.lot_no].points if row.lot_no in left else 0
        points = before + row.leg_points
        left[row.lot_no] = LegOfBurn(
            row.lot_no, row.origin_id, points, row.earned_at, row.earn_reference, row.is_paid
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
        active_from=first.active_from,
        earn_no=first.earn_no if first.made_by == "earn" else None,
        earned_with=first.earned_with,
        rule=first.rule,
        window=first.window,
        legs=legs,
    )
