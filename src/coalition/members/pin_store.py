"""PINs in the database: found by a card, set, and every attempt counted before it is compared.

Counted first, so that no number of processes and connections compares more than the limit allows.
What a PIN is and how it is hashed is pin.py.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# After so many wrong attempts in a row a PIN is locked; for so long, and twice as long after each
# further one. With four digits, half of the PINs are tried in fourteen years.
WRONG_MAX = 5
LOCKED_S = 60
LOCKED_S_MAX = 86_400

_FIND = text("""
    select c.member_id, c.status::text, m.enrolled_by, p.hash,
           m.enrolled_by = :merchant_id or exists (
               select from posting o
               where o.member_id = c.member_id and o.merchant_id = :merchant_id) as is_known
    from card c join member m using (member_id) left join pin p using (member_id)
    where c.card_number = :card
""")
_ASKED = text("""
    select c.member_id, p.hash
    from card c left join pin p using (member_id)
    where c.card_number = :card and c.status = 'active'
      and not exists (
          select from posting o where o.request_id = :request_id and o.body_hash = :body_hash)
""")
# least() twice, since an interval holds no power of any number.
_COUNT = text(f"""
    update pin set wrong = wrong + 1, locked_until = case when wrong + 1 >= {WRONG_MAX} then
        cast(:now as timestamptz) + interval '1 s' * least(
            {LOCKED_S} * power(2, least(wrong + 1 - {WRONG_MAX}, 20)), {LOCKED_S_MAX}) end
    where member_id = :member_id and hash = :hash
      and (locked_until is null or locked_until <= cast(:now as timestamptz))
""")
_FORGIVE = text("""
    update pin set wrong = 0, locked_until = null where member_id = :member_id and hash = :hash
""")
_FIRST = text("""
    insert into pin (member_id, hash, set_at) values (:member_id, :hash, :now)
    on conflict do nothing
""")
_CHANGE = text("""
    update pin set hash = :hash, set_at = :now, wrong = 0, locked_until = null
    where member_id = :member_id and hash = :before
""")


@dataclass(frozen=True, slots=True)
class KeptPin:
    """A member's PIN as it is kept; hash None: it has none."""

    member_id: int
    hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class PinHolder:
    """Whose card it is, as somebody who sets a PIN sees it. is_known: enrolled or served there."""

    pin: KeptPin
    card_status: str
    enrolled_by: int
    is_known: bool


async def find_holder(connection: AsyncConnection, card: int, merchant_id: int) -> PinHolder | None:
    """Whose card this is; None where no card has that number."""
    row = (
        await connection.execute(_FIND, {"card": card, "merchant_id": merchant_id})
    ).one_or_none()
    if row is None:
        return None
    return PinHolder(KeptPin(row.member_id, row.hash), row.status, row.enrolled_by, row.is_known)


async def find_asked(
    connection: AsyncConnection, card: int, request_id: UUID | None, body_hash: int
) -> KeptPin | None:
    """The PIN of an active card's member; None where there is none to compare.

    That is so where there is no such card too, and where the request was posted before.
    """
    row = (
        await connection.execute(
            _ASKED, {"card": card, "request_id": request_id, "body_hash": body_hash}
        )
    ).one_or_none()
    return None if row is None else KeptPin(row.member_id, row.hash)


async def count_attempt(connection: AsyncConnection, kept: KeptPin, now: datetime) -> bool:
    """Count an attempt as a wrong one, before it is compared; False where none is allowed now."""
    values = {"member_id": kept.member_id, "hash": kept.hash, "now": now}
    return (await connection.execute(_COUNT, values)).rowcount == 1


async def forgive(connection: AsyncConnection, kept: KeptPin) -> None:
    """The attempt was right: those before it count no longer."""
    await connection.execute(_FORGIVE, {"member_id": kept.member_id, "hash": kept.hash})


async def store_pin(
    connection: AsyncConnection, before: KeptPin, new_hash: str, now: datetime
) -> bool:
    """Put a PIN in the place of the one before, or of none; False where that is another by now."""
    values = {"member_id": before.member_id, "hash": new_hash, "now": now}
    if before.hash is None:
        return (await connection.execute(_FIRST, values)).rowcount == 1
    return (await connection.execute(_CHANGE, values | {"before": before.hash})).rowcount == 1
