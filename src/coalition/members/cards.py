"""A member's cards: issued, replaced, blocked, unblocked, and by whom each may be.

A card is universal, but not everybody's to change. Block: whoever enrolled the member, issued the
number or served the member (has a posting of it), and the house. Unblock: whoever blocked it, and
the house. Replace: whoever enrolled the member or issued the number, and the house. To anybody else
there is no such card. A merchant that is suspended changes none. Each change is in the audit, with
whoever made it.

Whoever changes a card takes the account's row lock first, so that it is before or after every
movement of that member's points and never in between. What a number looks like is card.py.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import last_four, record
from coalition.errors import CoalitionError, Code
from coalition.members.card import make_card
from coalition.terms.book import HOUSE_ID
from coalition.terms.standing import check_not_suspended

# A clash is one in 10^14 / cards issued; ten in a row is a broken random source.
_DRAWS_MAX = 10

# Nothing too where another request under the same key has just issued a number.
_ISSUE = text("""
    insert into card (card_number, member_id, issued_at, issued_by, request_id, body_hash)
    values (:card, :member_id, :now, :by, :request_id, :body_hash)
    on conflict do nothing
""")
_ISSUED_UNDER = text("select card_number, body_hash from card where request_id = :request_id")
_LOCK = text("""
    select from account
    where member_id = (select member_id from card where card_number = :card) for update
""")
_FIND = text("""
    select c.card_number, c.member_id, c.status::text, c.blocked_by, m.enrolled_by,
           coalesce(c.issued_by, m.enrolled_by) as issued_by
    from card c join member m using (member_id) where c.card_number = :card
""")
# By the beginning of the journal's primary key; at most all of one member's postings are read.
_SERVED = text("""
    select exists (select from posting where member_id = :member_id and merchant_id = :by)
""")
# In one statement, so that the time it takes tells little of whether there is such a card.
_FAMILIAR = text("""
    select exists (select from card c join member m using (member_id)
                   where c.card_number = :card and :by in (m.enrolled_by, c.issued_by))
        or exists (select from posting where merchant_id = :by
                   and member_id = (select member_id from card where card_number = :card))
""")
_REPLACE = text("update card set status = 'replaced' where card_number = :card")
_BLOCK = text("""
    update card set status = 'blocked', blocked_by = :by, blocked_at = :now
    where card_number = :card
""")
_UNBLOCK = text("""
    update card set status = 'active', blocked_by = null, blocked_at = null
    where card_number = :card
""")


@dataclass(frozen=True, slots=True)
class Replacement:
    """The new number. replayed: issued by an earlier request under the same key."""

    card: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Card:
    """blocked_by None: it is not blocked, or was before it was noted who did."""

    number: int
    member_id: int
    status: str
    blocked_by: int | None
    enrolled_by: int
    issued_by: int

    def is_own(self, by: int) -> bool:
        """Whether it is this party's own to replace."""
        return by in (self.enrolled_by, self.issued_by, HOUSE_ID)


async def issue(
    connection: AsyncConnection,
    member_id: int,
    by: int,
    now: datetime,
    *,
    request_id: UUID | None = None,
    body_hash: int | None = None,
) -> int:
    """A new random number for a member who has no card in use.

    Raises idempotency_key_reused where another member's card was just issued under request_id.
    """
    for _ in range(_DRAWS_MAX):
        card = make_card(secrets.randbelow(10**14))
        values = {
            "card": card,
            "member_id": member_id,
            "now": now,
            "by": by,
            "request_id": request_id,
            "body_hash": body_hash,
        }
        if (await connection.execute(_ISSUE, values)).rowcount:
            return card
        if await _issued_under(connection, request_id) is not None:
            raise _key_reused()
    raise AssertionError("no free card number in ten draws")


async def replace(
    connection: AsyncConnection,
    card: int,
    by: int,
    now: datetime,
    *,
    request_id: UUID | None = None,
    body_hash: int | None = None,
    actor: Actor = NOT_KNOWN,
) -> Replacement:
    """A new number for a lost or broken card; the old one is dead, the points stay.

    A blocked card may be replaced: that is how a lost one is. One that the house blocked is
    replaced by the house alone, or a new number would be a way around its block. Under the same
    request_id and body_hash, the first number again.
    Raises unknown_card, card_not_active, idempotency_key_reused, merchant_suspended.
    """
    found = await _locked(connection, card)
    first = await _issued_under(connection, request_id)
    if first is not None and first[1] == body_hash:
        return Replacement(first[0], replayed=True)
    if found is None or not found.is_own(by):
        raise unknown_card(card)
    _check_in_use(found)
    if found.blocked_by == HOUSE_ID != by:
        raise CoalitionError(
            Code.CARD_NOT_ACTIVE, f"card {card} was blocked by the house, which alone replaces it"
        )
    if first is not None:
        raise _key_reused()
    await check_not_suspended(connection, by)
    await connection.execute(_REPLACE, {"card": card})
    new = await issue(
        connection, found.member_id, by, now, request_id=request_id, body_hash=body_hash
    )
    told = {"status": "replaced", "card": last_four(new)}
    await _record(connection, actor, now, "card.replace", found, told)
    return Replacement(new)


async def block(
    connection: AsyncConnection, card: int, by: int, now: datetime, *, actor: Actor = NOT_KNOWN
) -> str:
    """Block a card, and answer its status. Doing it twice is doing it once.

    A card that is blocked stays its blocker's to unblock, whoever else blocks it; but the house's
    once the house has. Raises unknown_card, card_not_active for a card that was replaced,
    merchant_suspended.
    """
    found = await _locked(connection, card)
    if found is None or not await _may_block(connection, found, by):
        raise unknown_card(card)
    _check_in_use(found)
    await check_not_suspended(connection, by)
    if found.status == "active" or (by == HOUSE_ID != found.blocked_by):
        await connection.execute(_BLOCK, {"card": card, "by": by, "now": now})
        await _record(connection, actor, now, "card.block", found, {"status": "blocked"})
    return "blocked"


async def unblock(
    connection: AsyncConnection, card: int, by: int, now: datetime, *, actor: Actor = NOT_KNOWN
) -> str:
    """Unblock a card, and answer its status; an active one stays so for whoever may block it.

    Raises as block() does.
    """
    found = await _locked(connection, card)
    if found is None or not await _may_unblock(connection, found, by):
        raise unknown_card(card)
    _check_in_use(found)
    await check_not_suspended(connection, by)
    if found.status == "blocked":
        await connection.execute(_UNBLOCK, {"card": card})
        await _record(connection, actor, now, "card.unblock", found, {"status": "active"})
    return "active"


async def is_familiar(connection: AsyncConnection, card: int, by: int) -> bool:
    """Whether there is such a card and `by` can know it: it enrolled or served the member."""
    return bool(await connection.scalar(_FAMILIAR, {"card": card, "by": by}))


def unknown_card(card: int) -> CoalitionError:
    """The same words whether there is none or it is not the asker's to change."""
    return CoalitionError(Code.UNKNOWN_CARD, f"no card has the number {card}")


async def _record(
    connection: AsyncConnection,
    actor: Actor,
    now: datetime,
    action: str,
    card: _Card,
    after: dict[str, str],
) -> None:
    await record(
        connection,
        actor,
        now,
        action,
        last_four(card.number),
        member_id=card.member_id,
        before={"status": card.status},
        after=after,
    )


async def _locked(connection: AsyncConnection, card: int) -> _Card | None:
    """Lock the account of the card's member, then look at the card."""
    await connection.execute(_LOCK, {"card": card})
    # A second statement: one that waited for a lock still sees the card as it was before.
    return await _find(connection, card)


async def _find(connection: AsyncConnection, card: int) -> _Card | None:
    found = (await connection.execute(_FIND, {"card": card})).one_or_none()
    return None if found is None else _Card(*found)


async def _issued_under(
    connection: AsyncConnection, request_id: UUID | None
) -> tuple[int, int] | None:
    """The number that was issued under this key, and the hash of the body that asked for it."""
    if request_id is None:
        return None
    asked = {"request_id": request_id}
    found = (await connection.execute(_ISSUED_UNDER, asked)).one_or_none()
    return None if found is None else (found.card_number, found.body_hash)


async def _may_block(connection: AsyncConnection, card: _Card, by: int) -> bool:
    if card.is_own(by):
        return True
    asked = {"member_id": card.member_id, "by": by}
    return bool(await connection.scalar(_SERVED, asked))


async def _may_unblock(connection: AsyncConnection, card: _Card, by: int) -> bool:
    if card.status == "blocked":
        return by in (card.blocked_by, HOUSE_ID)
    return await _may_block(connection, card, by)


def _check_in_use(card: _Card) -> None:
    if card.status == "replaced":
        raise CoalitionError(
            Code.CARD_NOT_ACTIVE,
            f"card {card.number} was replaced; use the one that replaced it",
        )


def _key_reused() -> CoalitionError:
    return CoalitionError(
        Code.IDEMPOTENCY_KEY_REUSED,
        "this Idempotency-Key replaced another card, or with another body; use a new key",
    )
