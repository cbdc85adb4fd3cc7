"""What rules of earning remember of a member: sums over a day, a period, or for ever. Pure."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from settlement.rule import payment_day_after

# budget: over all members, and of no member's own.
Span = Literal["day", "period", "ever", "budget"]
FOREVER = date(9999, 1, 1)
PERIODS = {
    "month": "FREQ=MONTHLY;BYMONTHDAY=-1",
    "quarter": "FREQ=MONTHLY;BYMONTH=3,6,9,12;BYMONTHDAY=-1",
    "year": "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31",
}


class Key(NamedTuple):
    """Which sum of a merchant's rule: of the span that ends with the day `until`."""

    rule: str
    span: Span
    until: date


# How often a member earned at a merchant, whichever rules gave anything: no rule is called "".
VISITS = Key("", "ever", FOREVER)


class Tally(msgspec.Struct, frozen=True, gc=False):
    """What was counted under a key: minor units spent, points given, how many times."""

    spent: int = 0
    points: int = 0
    times: int = 0

    def plus(self, spent: int, points: int, times: int) -> "Tally":
        return Tally(self.spent + spent, self.points + points, self.times + times)


NOTHING_YET = Tally()


class Count(NamedTuple):
    """What one earn adds under a key. payer: whose points they are, where a return takes what the
    sum then says (brackets); None: it takes what the earn gave.
    """

    key: Key
    spent: int
    points: int
    times: int
    payer: str | None = None


@lru_cache(maxsize=4096)
def period_end(rule: str, day: date) -> date:
    """The last day of the period that `day` is in; rule (RFC 5545) names such days."""
    return payment_day_after(rule, day - timedelta(days=1)) or FOREVER
