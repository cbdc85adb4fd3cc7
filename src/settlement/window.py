"""When windows end, what they are called, when a payment is due: an RFC 5545 rule in a zone.

Pure: a moment comes in, a moment goes out. Which windows exist, and closing them, is store.py and
service.py. Every boundary is a local midnight, found on the wall clock first and only then turned
into UTC, so that a change to summer time moves no boundary off its day.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import count
from zoneinfo import ZoneInfo

from settlement.rule import CalendarError, day_after, payment_day_after

_MONTH_DAYS_MAX = 31
_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Window:
    """A settlement window as stored: open, then closed, netted (its results written), settled.

    rule_version is that of the rule that it was netted by, statement_format that of the files its
    statements are issued in; None before. The offsets from UTC are what the house's clock had at
    its beginning and its end, as known at its netting; None where format 1 did without. digest is
    over all it came to, by whoever netted it; None where it has none.
    """

    window_id: int
    label: str
    opens_at: datetime
    closes_at: datetime
    status: str
    netted_at: datetime | None = None
    rule_version: int | None = None
    statement_format: int | None = None
    opens_offset_s: int | None = None
    closes_offset_s: int | None = None
    digest: bytes | None = None

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def digest_text(self) -> str:
        """Its digest as statements print it, in hexadecimal digits."""
        return self.digest.hex() if self.digest else ""

    @property
    def local_span(self) -> tuple[datetime, datetime]:
        """Its beginning and its end by the house's clock at its netting; UTC where none is kept."""
        return (
            _at_offset(self.opens_at, self.opens_offset_s or 0),
            _at_offset(self.closes_at, self.closes_offset_s or 0),
        )


@dataclass(frozen=True, slots=True)
class Calendar:
    """The rule (RFC 5545, the RRULE's value) whose days begin with the end of a window."""

    rule: str
    zone: ZoneInfo
    first_on: date


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment `day` begins in `zone`, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def offset_s(at: datetime, zone: ZoneInfo) -> int:
    """How many seconds the clock of `zone` is ahead of UTC at the moment `at`."""
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None, f"{zone} has no offset at {at}"
    return int(offset.total_seconds())


def next_end(rule: str, zone: ZoneInfo, first_on: date, after: datetime) -> datetime:
    """The first end of a window after `after`, in UTC: a midnight at the start of a named day.

    CalendarError where the rule cannot be read or names no day after `after`.
    """
    local_day = after.astimezone(zone).date()
    # The whole of the local day of `after` has begun already, so the end lies on a later day.
    named = day_after(rule, first_on, local_day)
    if named is None:
        raise CalendarError(
            f"calendar rule {rule!r} names no day after {local_day}; a window has to end, so "
            "leave out COUNT and UNTIL"
        )
    return midnight(named, zone)


def label_for(
    opens_at: datetime, closes_at: datetime, zone: ZoneInfo, taken: Collection[str]
) -> str:
    """What to call a window: 2026-12 (a whole month), 2026-W49 (a whole ISO week), 2026-12-01 (a
    day), else its first and last local day, 2026-12-10..2026-12-31.

    Where that is taken (the rest of a day after an early close, say), -2, -3, ... follows.
    """
    first = opens_at.astimezone(zone).date()
    last = (closes_at - timedelta(microseconds=1)).astimezone(zone).date()
    span = f"{first}..{last}" if first < last else f"{first}"
    names = [span, *_whole(first, last + timedelta(days=1))]
    if (midnight(first, zone), midnight(last + timedelta(days=1), zone)) != (opens_at, closes_at):
        names = [span]
    for name in reversed(names):
        if name not in taken:
            return name
    return next(label for n in count(2) if (label := f"{span}-{n}") not in taken)


def _whole(first: date, after: date) -> list[str]:
    """What the days from first until before `after` are called where they are a month or a week."""
    if first.day == 1 and after.day == 1 and (after - first).days <= _MONTH_DAYS_MAX:
        return [f"{first:%Y-%m}"]
    if first.isoweekday() == 1 and (after - first).days == _WEEK_DAYS:
        year, week, _ = first.isocalendar()
        return [f"{year}-W{week:02d}"]
    return []


def payment_due(rule: str | None, zone: ZoneInfo, opens_at: datetime, closes_at: datetime) -> bool:
    """Whether a payment is due at this close: a day of the rule begins in the window. None: always.

    A rule that counts (INTERVAL) counts from rule.PAYMENT_RULE_COUNTS_FROM.
    """
    if rule is None:
        return True
    # The day before is looked at too, and filtered by moment.
    named = payment_day_after(rule, opens_at.astimezone(zone).date() - timedelta(days=1))
    while named is not None and midnight(named, zone) < opens_at:
        named = payment_day_after(rule, named)
    return named is not None and midnight(named, zone) < closes_at


def _at_offset(at: datetime, offset: int) -> datetime:
    return at.astimezone(timezone(timedelta(seconds=offset)))
