"""When windows end, what they are called, when a payment is due: an RFC 5545 rule in a zone.

Pure: a moment comes in, a moment goes out. Which windows exist, and closing them, is store.py and
service.py. Every boundary is a local midnight, found on the wall clock first and only then turned
into UTC, so that a change to summer time moves no boundary off its day.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

# A payment rule has no first day of its own, so one that counts (every second month, say) counts
# from a fixed day: the same rule then means the same days for every merchant.
PAYMENT_RULE_STARTS_ON = date(2000, 1, 1)


class CalendarError(ValueError):
    """A calendar rule that cannot be read, or that names no further day."""


@dataclass(frozen=True, slots=True)
class Window:
    """A settlement window as stored: open, then closed, netted (its results written), settled.

    rule_version is that of the rule that it was netted by; None before.
    """

    window_id: int
    label: str
    opens_at: datetime
    closes_at: datetime
    status: str
    netted_at: datetime | None = None
    rule_version: int | None = None

    @property
    def is_open(self) -> bool:
        return self.status == "open"


@dataclass(frozen=True, slots=True)
class Calendar:
    """The rule (RFC 5545, the RRULE's value) whose days begin with the end of a window."""

    rule: str
    zone: ZoneInfo
    first_on: date


def days_of(rule: str, first_on: date) -> rrule | rruleset:
    """The days a rule names from first_on on. CalendarError says why a rule cannot be read."""
    return _days_of(rule, first_on)


@lru_cache(maxsize=512)
def _days_of(rule: str, first_on: date) -> rrule | rruleset:
    if "DTSTART" in rule.upper():
        raise CalendarError(
            f"calendar rule {rule!r}: leave out DTSTART and TZID; the first day and the time zone "
            "have fields of their own"
        )
    try:
        return rrulestr(rule, dtstart=datetime.combine(first_on, time.min), cache=True)
    except (ValueError, TypeError) as error:
        raise CalendarError(
            f"calendar rule {rule!r} is not an RFC 5545 rule ({error}); "
            "write it like FREQ=MONTHLY;BYMONTHDAY=1"
        ) from error


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment `day` begins in `zone`, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def next_end(rule: str, zone: ZoneInfo, first_on: date, after: datetime) -> datetime:
    """The first end of a window after `after`, in UTC: a midnight at the start of a named day.

    CalendarError where the rule cannot be read or names no day after `after`.
    """
    days = days_of(rule, first_on)
    local_day = after.astimezone(zone).date()
    # The whole of the local day of `after` has begun already, so the end lies on a later day.
    named = days.after(datetime.combine(local_day, time.max))
    if named is None:
        raise CalendarError(
            f"calendar rule {rule!r} names no day after {local_day}; a window has to end, so "
            "leave out COUNT and UNTIL"
        )
    return midnight(named.date(), zone)


def label_for(closes_at: datetime, zone: ZoneInfo, taken: Collection[str]) -> str:
    """What to call a window: the month of its last local day, else that day, else day-2, -3, ..."""
    last_day = (closes_at - timedelta(microseconds=1)).astimezone(zone).date()
    month, day = f"{last_day:%Y-%m}", last_day.isoformat()
    if month not in taken:
        return month
    if day not in taken:
        return day
    return next(label for n in count(2) if (label := f"{day}-{n}") not in taken)


def payment_due(rule: str | None, zone: ZoneInfo, opens_at: datetime, closes_at: datetime) -> bool:
    """Whether a payment is due at this close: a day of the rule begins in the window. None: always.

    A rule that counts (INTERVAL) counts from PAYMENT_RULE_STARTS_ON.
    """
    if rule is None:
        return True
    days = days_of(rule, PAYMENT_RULE_STARTS_ON)
    # A naive wall clock on both sides; the day before is looked at too, and filtered by moment.
    day_before = opens_at.astimezone(zone).date() - timedelta(days=1)
    named = days.after(datetime.combine(day_before, time.max))
    while named is not None and midnight(named.date(), zone) < opens_at:
        named = days.after(datetime.combine(named.date(), time.max))
    return named is not None and midnight(named.date(), zone) < closes_at
