"""What happens in the demo's year: sales, rewards, returns and cancellations, as plain values.

The nouns, their order in time, and which of them can be posted at once. Making them from the
shopping data is data.py; putting them into the ledger is replay.py.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec

from coalition.earning.purchase import Item

# The shops are in Cincinnati: a day of the demo is a day there.
ZONE = ZoneInfo("America/New_York")


class Sale(msgspec.Struct, frozen=True):
    """One basket's part at one merchant: an earn. items are in cents, by product department."""

    at: datetime
    household: int
    basket: int
    merchant: str
    items: tuple[Item, ...]


class Return(msgspec.Struct, frozen=True):
    """A sale brought back whole: its earn is reversed."""

    at: datetime
    household: int
    basket: int
    merchant: str


class Reward(msgspec.Struct, frozen=True):
    """A coupon redeemed: a burn of `points`, or of what there is. number counts from 1."""

    at: datetime
    household: int
    number: int
    merchant: str
    points: int


class Cancel(msgspec.Struct, frozen=True):
    """A reward cancelled whole: the burn of reward `number` is reversed."""

    at: datetime
    household: int
    number: int
    merchant: str


Event = Sale | Return | Reward | Cancel

# At the same instant points are earned before they are taken back, and rewards come last: a reward
# is collected at the end of the visit that earned.
_RANK = {Sale: 0, Return: 1, Reward: 2, Cancel: 3}


def order(event: Event) -> tuple[datetime, int, int, str]:
    """The key that events are sorted by: time, kind, then their own number and merchant."""
    number = event.basket if isinstance(event, Sale | Return) else event.number
    return event.at, _RANK[type(event)], number, event.merchant


@dataclass(frozen=True, slots=True)
class Year:
    """Every event in order, and what the data held. households are sorted.

    free_parts counts a basket's parts at a merchant that came to 0 cents: they earn nothing.
    """

    events: tuple[Event, ...]
    households: tuple[int, ...]
    lines: int
    baskets: int
    free_parts: int
    redemptions: int


def days(events: Iterable[Event]) -> Iterator[tuple[datetime, list[Event]]]:
    """Events by their local day: the midnight it begins with, and its events in order."""
    for day, group in groupby(events, key=lambda event: event.at.astimezone(ZONE).date()):
        yield datetime.combine(day, time(), ZONE), list(group)


def rounds(day: Iterable[Event]) -> list[list[Event]]:
    """Split a day so that a reward stands in a later round than its household's earlier events.

    A household's events keep their order, and no household's touch another's. So each round can be
    posted at once, and what is posted is as if it had been posted one by one.
    """
    parts: list[list[Event]] = []
    round_of: defaultdict[int, int] = defaultdict(int)
    waiting: set[int] = set()
    for event in day:
        # Only a reward needs to know what happened earlier that day: the balance it may burn.
        # What a return or a cancellation reverses lies days back.
        if isinstance(event, Reward) and event.household in waiting:
            round_of[event.household] += 1
        waiting.add(event.household)
        place = round_of[event.household]
        while place >= len(parts):
            parts.append([])
        parts[place].append(event)
    return parts
