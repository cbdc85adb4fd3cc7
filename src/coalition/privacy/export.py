"""All that is kept about a person, as one JSON document: who, cards, points and movements."""

from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import record
from coalition.privacy.store import Person
from coalition.terms.book import Book
from coalition.wire import ids

_CARDS = text("""
    select card_number, status::text, issued_at from card
    where member_id = :member_id order by issued_at, card_number
""")
_ACCOUNT = text("select available, held, owed from account where member_id = :member_id")
_LOTS = text("""
    select lot_no, origin_id, kind::text, points, remaining, earned_at, expires_on from lot
    where member_id = :member_id order by lot_no
""")
_POSTINGS = text("""
    select posting_no, kind::text, merchant_id, change, available_after, occurred_at, recorded_at,
           amount, reference, card_number
    from posting where member_id = :member_id order by posting_no
""")


class CardLine(msgspec.Struct, frozen=True):
    card: str
    status: str
    issued_at: datetime


class LotLine(msgspec.Struct, frozen=True):
    lot_id: str
    origin: str
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    expires_on: date | None


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
    """What the coalition keeps about one member."""

    member_id: str
    enrolled_by: str
    enrolled_at: datetime
    erased_at: datetime | None
    external_ref: str | None
    phone: str | None
    birthday: date | None
    locale: str | None
    available: int
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
    """Everything, oldest first. That somebody looked at all of a person is an act."""
    asked = {"member_id": person.member_id}
    member = ids.encode(ids.MEMBER, person.member_id)
    await record(connection, actor, now, "member.export", member, member_id=person.member_id)
    account = (await connection.execute(_ACCOUNT, asked)).one()
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
        available=account.available,
        held=account.held,
        owed=account.owed,
        cards=[
            CardLine(f"{row.card_number:016d}", row.status, row.issued_at)
            for row in await connection.execute(_CARDS, asked)
        ],
        lots=[_lot(row, person.member_id, book) for row in await connection.execute(_LOTS, asked)],
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
    )


def _movement(row: Any, book: Book) -> MovementLine:
    return MovementLine(
        row.kind,
        book.codes[row.merchant_id],
        row.change,
        row.available_after,
        row.occurred_at,
        row.recorded_at,
        row.amount,
        row.reference,
        None if row.card_number is None else f"{row.card_number:016d}",
    )
