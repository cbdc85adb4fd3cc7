"""Members with the cards that they have already, made many at once: member, account and card.

One member at a time, with a card of ours, is members/store.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import Code, shown
from coalition.ledger.commands import Refused
from coalition.members.store import Enrolled, Enrolment

_CARDS = text("""
    select c.card_number, c.member_id, m.enrolled_by, m.external_ref
    from card c join member m using (member_id) where c.card_number = any(:cards)
""")
_REFS = text("""
    select m.enrolled_by, m.external_ref
    from unnest(cast(:by as int[]), cast(:refs as text[])) as t (enrolled_by, external_ref)
    join member m using (enrolled_by, external_ref)
""")
# Numbers in the order of the rows, so that the same file makes the same members.
_NUMBERS = text("""
    select nextval(pg_get_serial_sequence('member', 'member_id')) from generate_series(1, :count)
""")
_INSERT = text("""
    with newcomer as (
        select * from unnest(
            cast(:members as bigint[]), cast(:cards as bigint[]), cast(:by as int[]),
            cast(:at as timestamptz[]), cast(:refs as text[]), cast(:phones as text[]),
            cast(:birthdays as date[]), cast(:locales as text[]))
            as t (member_id, card_number, enrolled_by, enrolled_at, external_ref, phone, birthday,
                  locale)),
    made as (
        insert into member (member_id, enrolled_by, enrolled_at, external_ref, phone, birthday,
                            locale)
        select member_id, enrolled_by, enrolled_at, external_ref, phone, birthday, locale
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

    @property
    def ref(self) -> tuple[int, str] | None:
        """What names it at its merchant, where that has a reference of its own for it."""
        ref = self.known.external_ref
        return None if ref is None else (self.enrolled_by, ref)


async def enrol_all(
    connection: AsyncConnection, newcomers: Sequence[Newcomer]
) -> list[Enrolled | Refused]:
    """Make every newcomer a member with an account and a card; in the order of the newcomers.

    replayed: the card is there already, and its member's merchant and reference are the same. A
    card or a reference that is another member's is refused as invalid.
    """
    cards, refs = await _cards(connection, newcomers), await _refs(connection, newcomers)
    numbers = await connection.scalars(_NUMBERS, {"count": len(newcomers)})
    made: list[tuple[int, Newcomer]] = []
    told: list[Enrolled | Refused] = []
    for newcomer, number in zip(newcomers, numbers.all(), strict=True):
        if newcomer.card in cards:
            told.append(_again(newcomer, *cards[newcomer.card]))
            continue
        if newcomer.ref in refs:
            told.append(_taken_ref(newcomer))
            continue
        cards[newcomer.card] = (number, newcomer.enrolled_by, newcomer.known.external_ref)
        if newcomer.ref is not None:
            refs.add(newcomer.ref)
        made.append((number, newcomer))
        told.append(Enrolled(number, newcomer.card))
    await _insert(connection, made)
    return told


def _again(newcomer: Newcomer, member_id: int, by: int, ref: str | None) -> Enrolled | Refused:
    if (by, ref) == (newcomer.enrolled_by, newcomer.known.external_ref):
        return Enrolled(member_id, newcomer.card, replayed=True, is_new=False)
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


async def _cards(
    connection: AsyncConnection, newcomers: Sequence[Newcomer]
) -> dict[int, tuple[int, int, str | None]]:
    """Of the cards there are already: the member, who enrolled it, and under which reference."""
    asked = {"cards": [newcomer.card for newcomer in newcomers]}
    found = await connection.execute(_CARDS, asked)
    return {row.card_number: (row.member_id, row.enrolled_by, row.external_ref) for row in found}


async def _refs(connection: AsyncConnection, newcomers: Sequence[Newcomer]) -> set[tuple[int, str]]:
    """Which of their references are taken already."""
    asked = [newcomer.ref for newcomer in newcomers if newcomer.ref is not None]
    columns = {"by": [by for by, _ in asked], "refs": [ref for _, ref in asked]}
    return {(row.enrolled_by, row.external_ref) for row in await connection.execute(_REFS, columns)}


async def _insert(connection: AsyncConnection, made: Sequence[tuple[int, Newcomer]]) -> None:
    if not made:
        return
    columns = {
        "members": [number for number, _ in made],
        "cards": [newcomer.card for _, newcomer in made],
        "by": [newcomer.enrolled_by for _, newcomer in made],
        "at": [newcomer.enrolled_at for _, newcomer in made],
        "refs": [newcomer.known.external_ref for _, newcomer in made],
        "phones": [newcomer.known.phone for _, newcomer in made],
        "birthdays": [newcomer.known.birthday for _, newcomer in made],
        "locales": [newcomer.known.locale for _, newcomer in made],
    }
    await connection.execute(_INSERT, columns)
