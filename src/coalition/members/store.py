"""Members in the database: enrol one, find whose card it is. What becomes of cards is cards.py."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import last_four, record
from coalition.errors import CoalitionError, Code
from coalition.members import cards
from coalition.members.numbers import draw_member_id
from coalition.members.personal import PHONE, REF, Enrolment, sealed
from coalition.sealing.encryption import Keyring

__all__ = ["Enrolled", "Enrolment", "enrol", "find_by", "find_member"]

# A clash of two numbers is a theory; ten in a row are a broken random source.
_DRAWS_MAX = 10

_MEMBER = text("""
    insert into member (member_id, enrolled_by, external_ref_sealed, external_ref_digest,
                        phone_sealed, phone_digest, birthday_sealed, birth_month, locale,
                        enrolled_at, request_id, body_hash)
    values (:member_id, :enrolled_by, :external_ref_sealed, :external_ref_digest,
            :phone_sealed, :phone_digest, :birthday_sealed, :birth_month, :locale,
            :enrolled_at, :request_id, :body_hash)
    on conflict do nothing
    returning member_id
""")
_ACCOUNT = text("insert into account (member_id) values (:member_id)")
_ENROLLED = text("""
    select m.member_id, m.body_hash, c.card_number
    from member m join card c using (member_id)
    where m.request_id = :request_id order by c.issued_at, c.status desc limit 1
""")
# The card in use: a card that was replaced since is of no use to who asks for its member.
_OF_REF = text("""
    select m.member_id, c.card_number
    from member m join card c using (member_id)
    where m.enrolled_by = :enrolled_by and m.external_ref_digest = any(:digests)
      and not m.repeats_ref and c.status <> 'replaced'
""")
_BY_PHONE = text("""
    select m.member_id, c.card_number from member m join card c using (member_id)
    where m.phone_digest = any(:digests) and c.status <> 'replaced'
      and (cast(:merchant_id as int) is null or m.enrolled_by = :merchant_id or exists (
          select from posting p where p.member_id = m.member_id and p.merchant_id = :merchant_id))
    limit 2
""")
_BY_REF = text("""
    select m.member_id, c.card_number from member m join card c using (member_id)
    where m.external_ref_digest = any(:digests) and c.status <> 'replaced'
      and (cast(:merchant_id as int) is null or m.enrolled_by = :merchant_id)
    limit 2
""")
_FIND = text("select member_id from card where card_number = :card")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """replayed: by an earlier request under the same key. is_new: this request made the member."""

    member_id: int
    card: int
    replayed: bool = False
    is_new: bool = True


async def enrol(
    connection: AsyncConnection,
    enrolment: Enrolment,
    enrolled_by: int,
    now: datetime,
    *,
    ring: Keyring | None = None,
    request_id: UUID | None = None,
    body_hash: int | None = None,
    actor: Actor = NOT_KNOWN,
) -> Enrolled:
    """A new member with an account and a card; under the same request_id, the first one again.

    Where enrolled_by has enrolled a member under this external_ref before, that member and its card
    in use; nothing of it is changed. ring seals what names the person, and is needed for it.
    Raises CoalitionError, idempotency_key_reused, where that was asked with another body.
    """
    ref = enrolment.external_ref
    digests = [] if ref is None or ring is None else ring.digests(ref, REF)
    if len(digests) > 1:
        # While keys are changed, its reference may lie there under an older one.
        before = await _enrolled_before(connection, digests, enrolled_by, request_id, body_hash)
        if before is not None:
            return before
    values = {
        "enrolled_by": enrolled_by,
        "enrolled_at": now,
        "request_id": request_id,
        "body_hash": body_hash,
    }
    for _ in range(_DRAWS_MAX):
        member_id = draw_member_id()
        known = {"member_id": member_id, **asdict(sealed(enrolment, member_id, ring))}
        if await connection.scalar(_MEMBER, known | values) is not None:
            return await _opened(connection, member_id, enrolled_by, now, actor)
        # Whoever enrolled the same at the same moment has committed by now.
        before = await _enrolled_before(connection, digests, enrolled_by, request_id, body_hash)
        if before is not None:
            return before
    raise AssertionError("no free member_id in ten draws")


async def _opened(
    connection: AsyncConnection, member_id: int, enrolled_by: int, now: datetime, actor: Actor
) -> Enrolled:
    """The account and the card of a new member."""
    await connection.execute(_ACCOUNT, {"member_id": member_id})
    card = await cards.issue(connection, member_id, enrolled_by, now)
    told = {"status": "active"}
    await record(
        connection, actor, now, "card.issue", last_four(card), member_id=member_id, after=told
    )
    return Enrolled(member_id, card)


async def _enrolled_before(
    connection: AsyncConnection,
    digests: list[bytes],
    enrolled_by: int,
    request_id: UUID | None,
    body_hash: int | None,
) -> Enrolled | None:
    """The member of an earlier request, or of an earlier reference; None: the number was taken."""
    first = (await connection.execute(_ENROLLED, {"request_id": request_id})).one_or_none()
    if first is None:
        named = {"enrolled_by": enrolled_by, "digests": digests}
        known = (await connection.execute(_OF_REF, named)).one_or_none()
        if known is None:
            return None
        return Enrolled(known.member_id, known.card_number, is_new=False)
    if first.body_hash != body_hash:
        raise CoalitionError(
            Code.IDEMPOTENCY_KEY_REUSED,
            "this Idempotency-Key enrolled a member with another body; use a new key",
        )
    return Enrolled(first.member_id, first.card_number, replayed=True)


async def find_by(
    connection: AsyncConnection,
    ring: Keyring,
    merchant_id: int | None,
    *,
    phone: str | None = None,
    external_ref: str | None = None,
) -> list[tuple[int, int]]:
    """(member_id, card in use) of the members with this phone (E.164) or reference, two at most.

    Only those whom this merchant enrolled or served, and by reference only those it enrolled; None:
    the house, which sees all.
    """
    if phone is not None:
        asked = {"digests": ring.digests(phone, PHONE), "merchant_id": merchant_id}
        found = await connection.execute(_BY_PHONE, asked)
    else:
        assert external_ref is not None, "by one of the two"
        asked = {"digests": ring.digests(external_ref, REF), "merchant_id": merchant_id}
        found = await connection.execute(_BY_REF, asked)
    return [(row.member_id, row.card_number) for row in found]


async def find_member(connection: AsyncConnection, card: int) -> int | None:
    """Whose card this is or was; None where no card has that number."""
    member_id: int | None = await connection.scalar(_FIND, {"card": card})
    return member_id
