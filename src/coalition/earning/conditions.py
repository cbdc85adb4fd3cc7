"""When a rule of earning applies: `[earn.when]`, whose lines must all hold. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from coalition.earning.facts import Facts
from coalition.earning.purchase import Channel, Item, Purchase
from coalition.earning.validity import months_later

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(msgspec.Struct, frozen=True):
    """Minutes of the day: from start on, until before end; over midnight where end is earlier."""

    start: int
    end: int

    def hold(self, minute: int) -> bool:
        """Whether they hold this minute of the day."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"


class Conditions(msgspec.Struct, frozen=True):
    """Conditions; what is empty or None asks nothing.

    category and sku choose the items that the rule looks at, all others the purchase. weekdays
    count from 0, Monday. minimum is in minor units of the merchant's currency, of the rule's base.
    first_visit: the member has no earn at the merchant that is not wholly returned.
    birthday_month: the member was born in a month of that name. member_months: so many months or
    more since it was enrolled.
    """

    category: tuple[str, ...] = ()
    sku: tuple[str, ...] = ()
    channel: tuple[Channel, ...] = ()
    action: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    store: tuple[str, ...] = ()
    first_on: date | None = None
    last_on: date | None = None
    weekdays: tuple[int, ...] = ()
    hours: Hours | None = None
    minimum: int | None = None
    first_visit: bool = False
    birthday_month: bool = False
    member_months: int | None = None

    @property
    def asks_facts(self) -> bool:
        return self.birthday_month or self.member_months is not None

    @property
    def chooses_items(self) -> bool:
        return bool(self.category or self.sku)

    def items_of(self, purchase: Purchase) -> Sequence[Item]:
        """The items that the rule looks at."""
        if not self.chooses_items:
            return purchase.items
        return [
            item
            for item in purchase.items
            if (not self.category or item.category in self.category)
            and (not self.sku or item.sku in self.sku)
        ]

    def unmet(self, purchase: Purchase) -> str | None:
        """Why these do not hold, in words; None: all do, but for minimum, which asks the base."""
        day = purchase.at.date()
        if self.first_on is not None and day < self.first_on:
            return f"begins on {self.first_on}"
        if self.last_on is not None and day > self.last_on:
            return f"ended on {self.last_on}"
        if self.weekdays and day.weekday() not in self.weekdays:
            return f"on {', '.join(WEEKDAYS[one] for one in self.weekdays)} only"
        if self.hours is not None and not self.hours.hold(_minute(purchase)):
            return f"at {self.hours} only"
        for name, wanted, said in (
            ("action", self.action, purchase.action),
            ("channel", self.channel, purchase.channel),
            ("region", self.region, purchase.region),
            ("store", self.store, purchase.store),
        ):
            if wanted and said not in wanted:
                return f"for {name} {' or '.join(wanted)} only"
        if self.chooses_items and not self.items_of(purchase):
            return f"no item {self._items_in_words()}"
        return None

    def unmet_by(self, facts: Facts, at: datetime) -> str | None:
        """Why the member does not meet these at that time, in words; None: it does."""
        if self.first_visit and not facts.is_first_visit:
            return "on a first visit only"
        if self.birthday_month and facts.birth_month != at.month:
            return "in the month of the birthday only"
        if self.member_months is not None and (
            facts.enrolled_at is None
            or months_later(facts.enrolled_at.astimezone(at.tzinfo).date(), self.member_months)
            > at.date()
        ):
            return f"for who is a member for {self.member_months} months only"
        return None

    def never(self, begin: date) -> str | None:
        """Why no day from `begin` on meets these, in words; None: some day does."""
        first = max(self.first_on or begin, begin)
        if self.last_on is None:
            return None
        if self.last_on < first:
            return f"{self.last_on} is over before {first}"
        days = [first + timedelta(days=n) for n in range(min((self.last_on - first).days + 1, 7))]
        if self.weekdays and not any(day.weekday() in self.weekdays for day in days):
            names = ", ".join(WEEKDAYS[one] for one in self.weekdays)
            return f"no {names} is from {first} to {self.last_on}"
        return None

    def _items_in_words(self) -> str:
        of = [f"of category {' or '.join(self.category)}"] if self.category else []
        return " and ".join(of + ([f"of sku {' or '.join(self.sku)}"] if self.sku else []))


def _minute(purchase: Purchase) -> int:
    return purchase.at.hour * 60 + purchase.at.minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
