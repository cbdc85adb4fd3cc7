"""Makes the data's households members of the coalition, all at once: member, account and card.

One member at a time, over HTTP, is members/store.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.members.card import make_card


@dataclass(frozen=True, slots=True)
class Person:
    """A household as a member: its row in the ledger and the number on its card."""

    member_id: int
    card: int


async def enrol(
    connection: AsyncConnection, households: Sequence[int], at: datetime
) -> dict[int, Person]:
    """Make every household a member with an account and a card, all at once, as of `at`.

    Card numbers come from the household's number, so that they are the same every time.
    """
    people = {
        household: Person(member_id, make_card(household))
        for member_id, household in enumerate(households, start=1)
    }
    rows = {
        "members": [person.member_id for person in people.values()],
        "cards": [person.card for person in people.values()],
        "refs": [f"household {household}" for household in people],
        "at": at,
    }
    await connection.execute(
        text(
            "insert into member (member_id, enrolled_by, external_ref, enrolled_at)"
            " select m, 0, r, :at"
            " from unnest(cast(:members as bigint[]), cast(:refs as text[])) as t (m, r)"
        ),
        {key: rows[key] for key in ("members", "refs", "at")},
    )
    await connection.execute(
        text("insert into account (member_id) select unnest(cast(:members as bigint[]))"),
        {"members": rows["members"]},
    )
    await connection.execute(
        text(
            "insert into card (card_number, member_id, issued_at) select c, m, :at"
            " from unnest(cast(:cards as bigint[]), cast(:members as bigint[])) as t (c, m)"
        ),
        {key: rows[key] for key in ("cards", "members", "at")},
    )
    # The next member to enrol gets the number behind these.
    await connection.execute(
        text("select setval(pg_get_serial_sequence('member', 'member_id'), :last)"),
        {"last": len(people)},
    )
    return people
