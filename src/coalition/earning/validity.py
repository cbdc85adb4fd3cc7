"""How long points live, as a merchant's terms say. Pure."""

import calendar
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import msgspec

from settlement.rule import payment_day_after


class Validity(msgspec.Struct, frozen=True):
    """How long a point lives. All None: it never expires. At most one of months, days, until,
    period_rule and inactive_months is set.

    A point earned on day D is last good on D + months (or + days); with until_month_end, on the
    last day of that month. Or on the day `until`; or on the last day of the period in which it can
    first be burned: the days that period_rule (RFC 5545) names. At the end of a period so much of
    an origin's points as carried_share says, in whole points rounded down, lives on to the end of
    the next, and the rest lapses.

    Or it lives until inactive_months after the last day on which points of its origin moved, which
    is not known when it is earned.

    Points that come back after they lapsed live grace_days more at least. A point can first be
    burned on D + usable_after_days, the time in which the goods may be returned. With
    extends_earned, points that were earned before live as long as these terms say, where that is
    longer.
    """

    months: int | None = None
    days: int | None = None
    until_month_end: bool = False
    grace_days: int = 30
    usable_after_days: int = 0
    until: date | None = None
    period_rule: str | None = None
    carried_share: Decimal = Decimal(0)
    extends_earned: bool = False
    inactive_months: int | None = None

    @property
    def is_for_ever(self) -> bool:
        ways = (self.months, self.days, self.until, self.period_rule, self.inactive_months)
        return all(way is None for way in ways)


def usable_from(validity: Validity, earned_on: date) -> date | None:
    """The first day on which a point earned on earned_on can be burned; None: from the start."""
    if not validity.usable_after_days:
        return None
    return earned_on + timedelta(days=validity.usable_after_days)


# The same day again and again, for every purchase of it.
@lru_cache(maxsize=4096)
def last_good_day(validity: Validity, earned_on: date) -> date | None:
    """The last day on which a point earned on earned_on can be burned, before anything is carried;
    None: it never expires, or by inactivity.

    A day that the target month does not have becomes that month's last: 31 August + 6 months is
    28 or 29 February.
    """
    if validity.months is not None:
        day = months_later(earned_on, validity.months)
    elif validity.days is not None:
        day = earned_on + timedelta(days=validity.days)
    elif validity.period_rule is not None:
        # Of the next period where it cannot be burned in this one any more.
        begins_on = usable_from(validity, earned_on) or earned_on
        return period_end_after(validity, begins_on - timedelta(days=1))
    else:
        return validity.until
    if validity.until_month_end:
        day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return day


def period_end_after(validity: Validity, day: date) -> date | None:
    """The first last day of a period after `day`; None: there are no periods."""
    return payment_day_after(validity.period_rule, day) if validity.period_rule else None


def carried(validity: Validity, points: int) -> int:
    """How many of so many points of one origin live on after the end of their period."""
    numerator, divisor = validity.carried_share.as_integer_ratio()
    return points * numerator // divisor


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month where it has none."""
    years, month_index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month_index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
