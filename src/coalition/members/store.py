"""Members and cards in the database: enrol, replace, block, unblock.

Whoever changes a card takes the account's row lock first, so that it is before or after every
movement of that member's points and never in between. Each change is in the audit, with whoever
made it. What a number looks like is card.py.
"""

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import last_four, record
from coalition.errors import CoalitionError, Code
from coalition.members.card import make_card

# A clash is one in 10^14 / cards issued; ten in a row is a broken random source.
_DRAWS_MAX = 10

_MEMBER = text("""
    insert into member (enrolled_by, external_ref, phone, birthday, locale, enrolled_at, request_id,
                        body_hash)
    values (:enrolled_by, :external_ref, :phone, :birthday, :locale, :enrolled_at, :request_id,
            :body_hash)
    on conflict do nothing
    returning member_id
""")
_ACCOUNT = text("insert into account (member_id) values (:member_id)")
_CARD = text("""
    insert into card (card_number, member_id, issued_at) values (:card, :member_id, :issued_at)
    on conflict (card_number) do nothing
""")
_ENROLLED = text("""
    select m.member_id, m.body_hash, c.card_number
    from member m join card c using (member_id)
    where m.request_id = :request_id order by c.issued_at, c.status desc limit 1
""")
# The card in use: a card that was replaced since is of no use to who asks for its member.
_OF_REF = text("""
    select m.member_id, c.card_number
    from member m join card c using (member_id)
    where m.enrolled_by = :enrolled_by and m.external_ref = :external_ref and not m.repeats_ref
      and c.status <> 'replaced'
""")
_LOCK = text("""
    select from account
    where member_id = (select member_id from card where card_number = :card) for update
""")
_FIND = text("select member_id, status::text from card where card_number = :card")
_STATUS = text("update card set status = cast(:status as card_status) where card_number = :card")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is known of a new member; all of it may be missing."""

    external_ref: str | None = None
    phone: str | None = None
    birthday: date | None = None
    locale: str | None = None


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
    request_id: UUID | None = None,
    body_hash: int | None = None,
    actor: Actor = NOT_KNOWN,
) -> Enrolled:
    """A new member with an account and a card; under the same request_id, the first one again.

    Where enrolled_by has enrolled a member under this external_ref before, that member and its card
    in use; nothing of it is changed.
    Raises CoalitionError, idempotency_key_reused, where that was asked with another body.
    """
    member_id: int | None = await connection.scalar(
        _MEMBER,
        {
            "enrolled_by": enrolled_by,
            "external_ref": enrolment.external_ref,
            "phone": enrolment.phone,
            "birthday": enrolment.birthday,
            "locale": enrolment.locale,
            "enrolled_at": now,
            "request_id": request_id,
            "body_hash": body_hash,
        },
    )
    if member_id is None:
        # Whoever enrolled the same at the same moment has committed by now.
        return await _enrolled_before(
            connection, enrolment.external_ref, enrolled_by, request_id, body_hash
        )
    await connection.execute(_ACCOUNT, {"member_id": member_id})
    card = await _issue(connection, member_id, now)
    await record(
        connection,
        actor,
        now,
        "card.issue",
        last_four(card),
        member_id=member_id,
        after={"status": "active"},
    )
    return Enrolled(member_id, card)


async def _enrolled_before(
    connection: AsyncConnection,
    external_ref: str | None,
    enrolled_by: int,
    request_id: UUID | None,
    body_hash: int | None,
) -> Enrolled:
    first = (await connection.execute(_ENROLLED, {"request_id": request_id})).one_or_none()
    if first is None:
        named = {"enrolled_by": enrolled_by, "external_ref": external_ref}
        known = (await connection.execute(_OF_REF, named)).one()
        return Enrolled(known.member_id, known.card_number, is_new=False)
    if first.body_hash != body_hash:
        raise CoalitionError(
            Code.IDEMPOTENCY_KEY_REUSED,
            "this Idempotency-Key enrolled a member with another body; use a new key",
        )
    return Enrolled(first.member_id, first.card_number, replayed=True)


async def _issue(connection: AsyncConnection, member_id: int, now: datetime) -> int:
    for _ in range(_DRAWS_MAX):
        card = make_card(secrets.randbelow(10**14))
        values = {"card": card, "member_id": member_id, "issued_at": now}
        if (await connection.execute(_CARD, values)).rowcount:
            return card
    raise AssertionError("no free card number in ten draws")


async def find_member(connection: AsyncConnection, card: int) -> int | None:
    """Whose card this is or was; None where no card has that number."""
    found = (await connection.execute(_FIND, {"card": card})).one_or_none()
    return None if found is None else found.member_id


async def replace(
    connection: AsyncConnection, card: int, now: datetime, *, actor: Actor = NOT_KNOWN
) -> int:
    """A new number for a lost or broken card; the old one is dead, the points stay.

    A blocked card may be replaced: that is how a lost one is. Raises unknown_card, card_not_active.
    """
    member_id, status = await _lock(connection, card)
    await connection.execute(_STATUS, {"card": card, "status": "replaced"})
    new = await _issue(connection, member_id, now)
    await record(
        connection,
        actor,
        now,
        "card.replace",
        last_four(card),
        member_id=member_id,
        before={"status": status},
        after={"status": "replaced", "card": last_four(new)},
    )
    return new


async def set_blocked(
    connection: AsyncConnection,
    card: int,
    now: datetime,
    *,
    blocked: bool,
    actor: Actor = NOT_KNOWN,
) -> str:
    """Block or unblock a card, and answer its status. Doing it twice is doing it once.

    Raises unknown_card, and card_not_active for a card that was replaced.
    """
    member_id, before = await _lock(connection, card)
    status = "blocked" if blocked else "active"
    if status == before:
        return status
    await connection.execute(_STATUS, {"card": card, "status": status})
    await record(
        connection,
        actor,
        now,
        "card.block" if blocked else "card.unblock",
        last_four(card),
        member_id=member_id,
        before={"status": before},
        after={"status": status},
    )
    return status


async def _lock(connection: AsyncConnection, card: int) -> tuple[int, str]:
    """Lock the account of the card's member, then look at the card: whose it is, and its status.

    Raises as replace() says.
    """
    await connection.execute(_LOCK, {"card": card})
    # A second statement: one that waited for a lock still sees the card as it was before.
    found = (await connection.execute(_FIND, {"card": card})).one_or_none()
    if found is None:
        raise CoalitionError(Code.UNKNOWN_CARD, f"no card has the number {card}")
    if found.status == "replaced":
        raise CoalitionError(
            Code.CARD_NOT_ACTIVE, f"card {card} was replaced; use the one that replaced it"
        )
    return found.member_id, found.status
