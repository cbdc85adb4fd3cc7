"""All that is kept about a person, as one JSON document: who, cards, points and movements."""

from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import record
from coalition.ledger.read import LAST_DAY
from coalition.privacy.store import Person
from coalition.terms.book import Book
from coalition.wire import ids

_CARDS = text("""
    select card_number, status::text, issued_at from card
    where member_id = :member_id order by issued_at, card_number
""")
_ACCOUNT = text("select available, held, owed from account where member_id = :member_id")
_LOTS = text(f"""
    select l.lot_no, l.origin_id, l.kind::text, l.points, l.remaining, l.earned_at, l.active_from,
           {LAST_DAY} as expires_on, l.rule
    from lot l left join activity a using (member_id, origin_id)
    where l.member_id = :member_id order by l.lot_no
""")
_POSTINGS = text("""
    select posting_no, kind::text, merchant_id, change,
           available_after - pending_after as available, occurred_at, recorded_at, amount,
           reference, card_number
    from posting where member_id = :member_id order by posting_no
""")


class CardLine(msgspec.Struct, frozen=True):
    card: str
    status: str
    issued_at: datetime


class LotLine(msgspec.Struct, frozen=True):
    """active_from: the first day on which it can be burned, null: at once."""

    lot_id: str
    origin: str
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    expires_on: date | None
    rule: str | None
    active_from: date | None


class MovementLine(msgspec.Struct, frozen=True):
    """points is signed: what it did to the balance. amount is in minor units."""

    type: str
    merchant: str
    points: int
    available: int
    occurred_at: datetime
    recorded_at: datetime
    amount: int | None
    reference: str | None
    card: str | None


class Export(msgspec.Struct, frozen=True):
    """What the coalition keeps about one member. pending points are not in available."""

    member_id: str
    enrolled_by: str
    enrolled_at: datetime
    erased_at: datetime | None
    external_ref: str | None
    phone: str | None
    birthday: date | None
    locale: str | None
    available: int
    pending: int
    held: int
    owed: int
    cards: list[CardLine]
    lots: list[LotLine]
    movements: list[MovementLine]


async def export(
    connection: AsyncConnection,
    person: Person,
    book: Book,
    now: datetime,
    *,
    actor: Actor = NOT_KNOWN,
) -> Export:
    """Everything, oldest first, as it is at `now`. That somebody looked at all of it is an act."""
    asked = {"member_id": person.member_id}
    member = ids.encode(ids.MEMBER, person.member_id)
    await record(connection, actor, now, "member.export", member, member_id=person.member_id)
    account = (await connection.execute(_ACCOUNT, asked)).one()
    lots = (await connection.execute(_LOTS, asked)).all()
    today = book.today(now)
    pending = sum(lot.remaining for lot in lots if lot.active_from and lot.active_from > today)
    known = person.known
    return Export(
        member_id=member,
        enrolled_by=book.codes[person.enrolled_by],
        enrolled_at=person.enrolled_at,
        erased_at=person.erased_at,
        external_ref=known.external_ref,
        phone=known.phone,
        birthday=known.birthday,
        locale=known.locale,
        available=account.available - pending,
        pending=pending,
        held=account.held,
        owed=account.owed,
        cards=[
            CardLine(f"{row.card_number:016d}", row.status, row.issued_at)
            for row in await connection.execute(_CARDS, asked)
        ],
        lots=[_lot(row, person.member_id, book) for row in lots],
        movements=[_movement(row, book) for row in await connection.execute(_POSTINGS, asked)],
    )


def _lot(row: Any, member_id: int, book: Book) -> LotLine:
    return LotLine(
        ids.encode(ids.LOT, member_id, row.lot_no),
        book.codes[row.origin_id],
        row.kind,
        row.points,
        row.remaining,
        row.earned_at,
        row.expires_on,
        row.rule,
        row.active_from,
    )


def _movement(row: Any, book: Book) -> MovementLine:
    return MovementLine(
        row.kind,
        book.codes[row.merchant_id],
        row.change,
        row.available,
        row.occurred_at,
        row.recorded_at,
        row.amount,
        row.reference,
        None if row.card_number is None else f"{row.card_number:016d}",
    )
