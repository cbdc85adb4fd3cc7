"""How long points live, as a merchant's terms say. Pure."""

import calendar
from datetime import date, timedelta
from functools import lru_cache

import msgspec


class Validity(msgspec.Struct, frozen=True):
    """How long a point lives. All None: it never expires. At most one of months and days is set.

    A point earned on day D is last good on D + months (or + days); with until_month_end, on the
    last day of that month. Points that come back after they lapsed live grace_days more at least.
    It can first be burned on D + usable_after_days, the time in which the goods may be returned.
    """

    months: int | None = None
    days: int | None = None
    until_month_end: bool = False
    grace_days: int = 30
    usable_after_days: int = 0


def usable_from(validity: Validity, earned_on: date) -> date | None:
    """The first day on which a point earned on earned_on can be burned; None: from the start."""
    if not validity.usable_after_days:
        return None
    return earned_on + timedelta(days=validity.usable_after_days)


# The same day again and again, for every purchase of it.
@lru_cache(maxsize=4096)
def last_good_day(validity: Validity, earned_on: date) -> date | None:
    """The last day on which a point earned on earned_on can be burned; None: it never expires.

    A day that the target month does not have becomes that month's last: 31 August + 6 months is
    28 or 29 February.
    """
    if validity.months is not None:
        day = _months_later(earned_on, validity.months)
    elif validity.days is not None:
        day = earned_on + timedelta(days=validity.days)
    else:
        return None
    if validity.until_month_end:
        day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return day


def _months_later(day: date, months: int) -> date:
    years, month_index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month_index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
