"""Makes the data's households members of the coalition, each with a card of its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coalition.importing.importer import Importer
from coalition.importing.members import Newcomer
from coalition.members.card import make_card
from coalition.members.store import Enrolled, Enrolment
from coalition.terms.book import HOUSE_ID


@dataclass(frozen=True, slots=True)
class Person:
    """A household as a member: its row in the ledger and the number on its card."""

    member_id: int
    card: int


async def enrol(importer: Importer, households: Sequence[int], at: datetime) -> dict[int, Person]:
    """Make every household a member with an account and a card, all at once, as of `at`.

    Card numbers come from the household's number, so that they are the same every time.
    """
    told = await importer.enrol(
        [
            Newcomer(make_card(one), HOUSE_ID, at, Enrolment(external_ref=f"household {one}"))
            for one in households
        ]
    )
    people = {}
    for household, enrolled in zip(households, told, strict=True):
        assert isinstance(enrolled, Enrolled), f"household {household}: {enrolled}"
        people[household] = Person(enrolled.member_id, enrolled.card)
    return people
