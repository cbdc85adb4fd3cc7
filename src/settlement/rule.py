"""Rules of days: what RFC 5545 (3.3.10) allows here, the days a rule names, the ones it leaves out.

Pure. Days are local and have no zone; when they begin is window.py. dateutil reads more than the
RFC allows, and runs it as something else (BYMONTHDAY=0 is every day), so a rule of a file is
checked here first.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from dateutil.relativedelta import relativedelta
from dateutil.rrule import rrule, rruleset, rrulestr

# A payment rule has no first day of its own, so one that counts (every second month, say) counts
# from a fixed day, backwards too: the same rule then means the same days for every merchant.
PAYMENT_RULE_COUNTS_FROM = date(2000, 1, 1)

_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_WEEKDAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
_NUMBER = "[1-9][0-9]{0,8}"
# How each part is written. No COUNT or UNTIL: a calendar does not run out. Nothing below a day:
# windows and payments have days, and their hour is local midnight.
_WRITTEN = {
    "FREQ": ("|".join(_FREQUENCIES), f"one of {', '.join(_FREQUENCIES)}"),
    "INTERVAL": (f"0*{_NUMBER}", "a whole number from 1"),
    "WKST": (_WEEKDAY, "a day of the week such as MO"),
    "BYDAY": (
        f"(?:[+-]?(?:[1-9]|[1-4][0-9]|5[0-3]))?{_WEEKDAY}",
        "days of the week, such as MO,TH or, in a month, 1MO or -1FR",
    ),
}
# The parts that are lists of numbers: how far these go, and whether they may count from the end.
_NUMBERS = {
    "BYMONTH": (12, False),
    "BYMONTHDAY": (31, True),
    "BYYEARDAY": (366, True),
    "BYWEEKNO": (53, True),
    "BYSETPOS": (366, True),
}
_PARTS = (*_WRITTEN, *_NUMBERS)
# Which parts a frequency must not have.
_NOT_WITH = {
    "MONTHLY": ("BYWEEKNO", "BYYEARDAY"),
    "WEEKLY": ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    "DAILY": ("BYWEEKNO", "BYYEARDAY"),
    "YEARLY": (),
}
# A calendar that names no day for as long is a slip of the pen; and the search for one has an end.
_YEARS_TRIED = 100

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
# Of each frequency that may pass over a period: what that is, how one is written, its first day.
_PERIODS = {
    "MONTHLY": ("month", "%Y-%m", "BYMONTHDAY=1"),
    "YEARLY": ("year", "%Y", "BYYEARDAY=1"),
}
# After so many years leap years and days of the week come again as they were.
_YEARS_ALIKE = 28


class CalendarError(ValueError):
    """A calendar rule that cannot be read, or that names no further day."""


def wrong_with(rule: str, first_on: date = PAYMENT_RULE_COUNTS_FROM) -> str | None:
    """What is wrong with a rule whose first day is first_on, and what would be right; None: all is
    well.
    """
    if rule.split() != [rule]:
        return "write it in one line without spaces; no line with EXDATE or the like may follow"
    pairs = [pair.partition("=")[::2] for pair in rule.split(";")]
    parts = dict(pairs)
    wrong = _wrong_parts([part for part, _ in pairs]) or next(
        filter(None, (_wrong_value(part, value) for part, value in pairs)), None
    )
    wrong = wrong or _wrong_together(parts)
    if wrong is not None:
        return wrong
    if not _comes_again(rule, first_on):
        return (
            f"it names no day in the {_YEARS_TRIED} years after {first_on}; "
            "name days that there are, and a smaller INTERVAL"
        )
    return None


def _wrong_parts(names: list[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name.upper() in _PARTS and name not in _PARTS:
            return f"{name} is written in capitals here, as {name.upper()}; so are its values"
        if name not in _PARTS:
            return f"{name or 'nothing'} is not a part that counts here; use {', '.join(_PARTS)}"
        if name in seen:
            return f"{name} stands twice; write it once, its values with commas between"
        seen.add(name)
    return None if "FREQ" in names else f"FREQ must be {_WRITTEN['FREQ'][1]}"


def _wrong_value(part: str, value: str) -> str | None:
    if part in _NUMBERS:
        highest, from_end = _NUMBERS[part]
        sign = "[+-]?" if from_end else ""
        ok = all(
            re.fullmatch(f"{sign}0*{_NUMBER}", one) and abs(int(one)) <= highest
            for one in value.split(",")
        )
        ends = f", or from -1 to -{highest} counted from the end" if from_end else ""
        return None if ok else f"{part} must be numbers from 1 to {highest}{ends}; 0 is none"
    pattern, says = _WRITTEN[part]
    values = value.split(",") if part == "BYDAY" else [value]
    return None if all(re.fullmatch(pattern, one) for one in values) else f"{part} must be {says}"


def _wrong_together(parts: Mapping[str, str]) -> str | None:
    """What RFC 5545 forbids together, and what dateutil would not run as the RFC says."""
    frequency = parts["FREQ"]
    for part in _NOT_WITH[frequency]:
        if part in parts:
            return f"{part} is not allowed with FREQ={frequency}; leave it out or use FREQ=YEARLY"
    if any(one[0] in "+-0123456789" for one in parts.get("BYDAY", "MO").split(",")):
        if frequency not in ("MONTHLY", "YEARLY"):
            return (
                f"FREQ={frequency} takes days of the week without a number, such as BYDAY=MO; "
                "for the first Monday of a month use FREQ=MONTHLY;BYDAY=1MO"
            )
        if "BYWEEKNO" in parts:
            return "with BYWEEKNO the days of the week have no number; write such as BYDAY=MO"
    # RFC 5545 leaves the weekday to the first day then; dateutil names the whole week.
    if "BYWEEKNO" in parts and "BYDAY" not in parts:
        return "BYWEEKNO alone leaves the day open; add the day of the week, such as BYDAY=MO"
    if "BYSETPOS" in parts and not any(one in parts for one in _BY_DAYS):
        return "BYSETPOS picks among the days of another BY part; add one or leave it out"
    return None


_BY_DAYS = ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY")


def _comes_again(rule: str, first_on: date) -> bool:
    """Whether the rule names a day after first_on, within the years that are tried."""
    start = datetime.combine(first_on, time.min)
    try:
        end = start + relativedelta(years=_YEARS_TRIED)
    except (ValueError, OverflowError):
        end = datetime.combine(date.max, time.max)
    try:
        days = rrulestr(rule, dtstart=start)
        return days.replace(until=end).after(start) is not None
    except (ValueError, TypeError, OverflowError):
        return False


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


def day_after(rule: str, first_on: date, day: date) -> date | None:
    """The first day after `day` that the rule names from first_on on; None: there is none."""
    named = days_of(rule, first_on).after(datetime.combine(day, time.max))
    return named.date() if named else None


def payment_day_after(rule: str, day: date) -> date | None:
    """The first day after `day` that a payment rule names; None: there is none.

    A rule that counts (INTERVAL) counts from PAYMENT_RULE_COUNTS_FROM, forwards and backwards.
    """
    fixed = PAYMENT_RULE_COUNTS_FROM
    if day < fixed and (start := _start_before(rule, day)) is not None:
        named = day_after(rule, start, day)
        if named is not None and named < fixed:
            return named
    return day_after(rule, fixed, day)


def _start_before(rule: str, day: date) -> date | None:
    """A first day before `day` from which the rule counts on to the fixed one; None: too early."""
    fixed = PAYMENT_RULE_COUNTS_FROM
    parts = dict(pair.partition("=")[::2] for pair in rule.upper().split(";"))
    interval = int(parts.get("INTERVAL", "1"))
    frequency = parts.get("FREQ", parts.get("RRULE:FREQ"))
    years, months, days = fixed.year - day.year, 0, (fixed - day).days
    # One step more than is needed, since a week that begins at the start is cut short.
    try:
        if frequency == "YEARLY":
            return _back(years=(years // interval + 1) * interval)
        if frequency == "MONTHLY":
            months = years * 12 + fixed.month - day.month
            return _back(months=(months // interval + 1) * interval)
        step = interval * (7 if frequency == "WEEKLY" else 1)
        return fixed - timedelta(days=(days // step + 2) * step)
    except (ValueError, OverflowError):
        return None


def _back(*, years: int = 0, months: int = 0) -> date:
    start: date = PAYMENT_RULE_COUNTS_FROM - relativedelta(years=years, months=months)
    return start


def left_out(rule: str, first_on: date = PAYMENT_RULE_COUNTS_FROM) -> str | None:
    """Which months or years a right rule passes over because its day is not in them, and what to
    write where that was not meant; None: it passes over none.
    """
    parts = dict(pair.partition("=")[::2] for pair in rule.split(";"))
    for part, years in (("BYYEARDAY", "365 days"), ("BYWEEKNO", "52 weeks")):
        if part in parts and all(abs(n) == _NUMBERS[part][0] for n in _numbers(parts[part])):
            return f"it passes over years of {years}; {part}=-1 is in every year"
    byday = parts.get("BYDAY", "").split(",")
    is_monthly = parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts
    if is_monthly and all(re.fullmatch("[+-]?5[A-Z]+", one) for one in byday):
        weekday = byday[0][-2:]
        return f"it passes over months with four {weekday} only; BYDAY=-1{weekday} is the last"
    days = _month_days(parts, first_on)
    months = [month for month in _months(parts, first_on) if not _has_one(month, days)]
    if not months:
        return _empty_period(rule, parts, first_on)
    shown = _listed(_MONTHS[month - 1] for month in months)
    if months == [_FEBRUARY] and any(abs(day) == _MONTH_DAYS[1] + 1 for day in days):
        shown += " unless in a leap year"
    return f"it passes over {shown}; BYMONTHDAY=-1 is the last day of every month"


def _empty_period(rule: str, parts: Mapping[str, str], first_on: date) -> str | None:
    """Of a rule that goes by the calendar (a fifth Monday, a Friday the 13th), found by trying:
    that it passes over a month, or a year; None: over none.
    """
    by_day = any(part in parts for part in ("BYDAY", "BYMONTHDAY", "BYYEARDAY"))
    if parts["FREQ"] not in _PERIODS or not by_day or "BYWEEKNO" in parts:
        return None
    what, written, begins = _PERIODS[parts["FREQ"]]
    start = datetime.combine(first_on, time.min).replace(day=1)
    if what == "year":
        start = start.replace(month=1)
    until = start + relativedelta(years=min(_YEARS_ALIKE, date.max.year - start.year), days=-1)
    named = rrulestr(rule, dtstart=start).replace(until=until)
    has_day = {day.strftime(written) for day in named}
    kept = ("FREQ", "INTERVAL", "BYMONTH") if what == "month" else ("FREQ", "INTERVAL")
    every = ";".join([*(f"{part}={parts[part]}" for part in kept if part in parts), begins])
    for day in rrulestr(every, dtstart=start).replace(until=until):
        if day.strftime(written) not in has_day:
            return f"it passes over some {what}s, such as {day:{written}}; {_last_of(parts, what)}"
    return None


def _last_of(parts: Mapping[str, str], what: str) -> str:
    """What to write for the last day instead."""
    if "BYSETPOS" in parts:
        return "BYSETPOS=-1 is the last of its days"
    if "BYDAY" in parts and "BYMONTHDAY" not in parts and "BYYEARDAY" not in parts:
        weekday = parts["BYDAY"][-2:]
        return f"BYDAY=-1{weekday} is the last {weekday} of each"
    return f"name days that every {what} has"


def _month_days(parts: Mapping[str, str], first_on: date) -> list[int]:
    """The days of the month a rule names; none: it goes by something else."""
    if "BYMONTHDAY" in parts:
        return _numbers(parts["BYMONTHDAY"])
    is_open = not any(part in parts for part in ("BYDAY", "BYYEARDAY", "BYWEEKNO"))
    return [first_on.day] if is_open and parts["FREQ"] in ("MONTHLY", "YEARLY") else []


def _months(parts: Mapping[str, str], first_on: date) -> list[int]:
    """The months a rule comes to, in the order of the year."""
    months = set(range(1, 13))
    if parts["FREQ"] == "MONTHLY":
        interval = int(parts.get("INTERVAL", "1"))
        months = {(first_on.month - 1 + step * interval) % 12 + 1 for step in range(12)}
    elif parts["FREQ"] == "YEARLY" and "BYMONTHDAY" not in parts:
        months = {first_on.month}
    if "BYMONTH" in parts:
        named = set(_numbers(parts["BYMONTH"]))
        months = named if parts["FREQ"] == "YEARLY" else months & named
    return sorted(months)


def _has_one(month: int, days: list[int]) -> bool:
    return not days or any(abs(day) <= _MONTH_DAYS[month - 1] for day in days)


def _numbers(value: str) -> list[int]:
    return [int(one) for one in value.split(",")]


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
