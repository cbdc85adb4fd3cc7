"""Members with the cards that they have already, made many at once: member, account and card.

One member at a time, with a card of ours, is members/store.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import Code, shown
from coalition.ledger.commands import Refused
from coalition.members.numbers import draw_member_id
from coalition.members.personal import REF, Enrolment, sealed
from coalition.members.store import Enrolled
from coalition.sealing.encryption import Keyring

_CARDS = text("""
    select c.card_number, c.member_id, m.enrolled_by, m.external_ref_digest
    from card c join member m using (member_id) where c.card_number = any(:cards)
""")
_REFS = text("""
    select m.enrolled_by, m.external_ref_digest
    from unnest(cast(:by as int[]), cast(:digests as bytea[]))
        as t (enrolled_by, external_ref_digest)
    join member m using (enrolled_by, external_ref_digest)
""")
_TAKEN = text("select member_id from member where member_id = any(:members)")
_INSERT = text("""
    with newcomer as (
        select * from unnest(
            cast(:members as bigint[]), cast(:cards as bigint[]), cast(:by as int[]),
            cast(:at as timestamptz[]), cast(:refs as bytea[]), cast(:ref_digests as bytea[]),
            cast(:phones as bytea[]), cast(:phone_digests as bytea[]),
            cast(:birthdays as bytea[]), cast(:birth_months as smallint[]),
            cast(:locales as text[]))
            as t (member_id, card_number, enrolled_by, enrolled_at, external_ref_sealed,
                  external_ref_digest, phone_sealed, phone_digest, birthday_sealed, birth_month,
                  locale)),
    made as (
        insert into member (member_id, enrolled_by, enrolled_at, external_ref_sealed,
                            external_ref_digest, phone_sealed, phone_digest, birthday_sealed,
                            birth_month, locale)
        select member_id, enrolled_by, enrolled_at, external_ref_sealed, external_ref_digest,
               phone_sealed, phone_digest, birthday_sealed, birth_month, locale
        from newcomer),
    opened as (insert into account (member_id) select member_id from newcomer)
    insert into card (card_number, member_id, issued_at)
    select card_number, member_id, enrolled_at from newcomer
""")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A member of the programme that is imported, and the number of its card. enrolled_by: whose
    customer it is (0: the house's).
    """

    card: int
    enrolled_by: int
    enrolled_at: datetime
    known: Enrolment = field(default_factory=Enrolment)

    def digest(self, ring: Keyring) -> bytes | None:
        """What its merchant's own reference for it is found by, where there is one."""
        ref = self.known.external_ref
        return None if ref is None else ring.digest(ref, REF)


class _Known(NamedTuple):
    """The member of a card that there is already, and what its reference is found by."""

    member_id: int
    enrolled_by: int
    digest: bytes | None


async def enrol_all(
    connection: AsyncConnection, newcomers: Sequence[Newcomer], ring: Keyring
) -> list[Enrolled | Refused]:
    """Make every newcomer a member with an account and a card; in the order of the newcomers.

    replayed: the card is there already, and its member's merchant and reference are the same. A
    card or a reference that is another member's is refused as invalid.
    """
    digests = [newcomer.digest(ring) for newcomer in newcomers]
    cards, refs = await _cards(connection, newcomers), await _refs(connection, newcomers, digests)
    numbers = await _numbers(connection, len(newcomers))
    made: list[tuple[int, Newcomer]] = []
    told: list[Enrolled | Refused] = []
    for newcomer, digest, number in zip(newcomers, digests, numbers, strict=True):
        if newcomer.card in cards:
            told.append(_again(newcomer, digest, cards[newcomer.card]))
            continue
        if digest is not None and (newcomer.enrolled_by, digest) in refs:
            told.append(_taken_ref(newcomer))
            continue
        cards[newcomer.card] = _Known(number, newcomer.enrolled_by, digest)
        if digest is not None:
            refs.add((newcomer.enrolled_by, digest))
        made.append((number, newcomer))
        told.append(Enrolled(number, newcomer.card))
    await _insert(connection, made, ring)
    return told


async def _numbers(connection: AsyncConnection, count: int) -> list[int]:
    """Numbers that are nobody's yet, and no two alike."""
    free: set[int] = set()
    while len(free) < count:
        drawn = {draw_member_id() for _ in range(count - len(free))}
        taken = await connection.scalars(_TAKEN, {"members": list(drawn)})
        free |= drawn - set(taken)
    return list(free)


def _again(newcomer: Newcomer, digest: bytes | None, known: _Known) -> Enrolled | Refused:
    if (known.enrolled_by, known.digest) == (newcomer.enrolled_by, digest):
        return Enrolled(known.member_id, newcomer.card, replayed=True, is_new=False)
    return Refused(
        Code.INVALID,
        f"card {newcomer.card} belongs to another member already: a card names one member",
    )


def _taken_ref(newcomer: Newcomer) -> Refused:
    ref = shown(newcomer.known.external_ref or "")
    return Refused(
        Code.INVALID,
        f"external_ref {ref!r} names another member of this merchant already: a reference names "
        "one",
    )


async def _cards(connection: AsyncConnection, newcomers: Sequence[Newcomer]) -> dict[int, _Known]:
    """Of the cards there are already: the member, who enrolled it, and under which reference."""
    asked = {"cards": [newcomer.card for newcomer in newcomers]}
    found = await connection.execute(_CARDS, asked)
    return {
        row.card_number: _Known(row.member_id, row.enrolled_by, row.external_ref_digest)
        for row in found
    }


async def _refs(
    connection: AsyncConnection, newcomers: Sequence[Newcomer], digests: Sequence[bytes | None]
) -> set[tuple[int, bytes]]:
    """Which of their references are taken: the merchant, and what the reference is found by."""
    named = [(one.enrolled_by, digest) for one, digest in zip(newcomers, digests, strict=True)]
    asked = [(by, digest) for by, digest in named if digest is not None]
    columns = {"by": [by for by, _ in asked], "digests": [digest for _, digest in asked]}
    found = await connection.execute(_REFS, columns)
    return {(row.enrolled_by, row.external_ref_digest) for row in found}


async def _insert(
    connection: AsyncConnection, made: Sequence[tuple[int, Newcomer]], ring: Keyring
) -> None:
    if not made:
        return
    known = [sealed(newcomer.known, number, ring) for number, newcomer in made]
    columns = {
        "members": [number for number, _ in made],
        "cards": [newcomer.card for _, newcomer in made],
        "by": [newcomer.enrolled_by for _, newcomer in made],
        "at": [newcomer.enrolled_at for _, newcomer in made],
        "refs": [one.external_ref_sealed for one in known],
        "ref_digests": [one.external_ref_digest for one in known],
        "phones": [one.phone_sealed for one in known],
        "phone_digests": [one.phone_digest for one in known],
        "birthdays": [one.birthday_sealed for one in known],
        "birth_months": [one.birth_month for one in known],
        "locales": [one.locale for one in known],
    }
    await connection.execute(_INSERT, columns)
