"""[earn.when], read into conditions."""

import re
from datetime import date

from coalition.earning.conditions import WEEKDAYS, Conditions, Hours
from coalition.earning.purchase import CHANNELS
from coalition.toml.document import (
    Section,
    check_keys,
    near,
    read_count,
    read_date,
    read_flag,
    read_money,
    read_text,
    read_texts,
)

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_KEYS = (
    *("category", "sku", "channel", "action", "region", "store"),
    *("from", "until", "weekdays", "hours", "minimum", "first_visit"),
    *("birthday_month", "member_months"),
)


def read_when(section: Section, currency: str | None, begin: date) -> Conditions:
    """Conditions that some day from `begin` on can meet; else the mistake is noted."""
    check_keys(section, _KEYS)
    minimum = read_money(section, "minimum", currency)
    if minimum == 0:
        section.note("minimum", "every purchase comes to 0 at least; leave it out")
    channels = _known(section, "channel", CHANNELS)
    weekdays = _known(section, "weekdays", WEEKDAYS)
    when = Conditions(
        category=read_texts(section, "category"),
        sku=read_texts(section, "sku"),
        channel=tuple(one for one in CHANNELS if one in channels),
        action=read_texts(section, "action"),
        region=read_texts(section, "region"),
        store=read_texts(section, "store"),
        first_on=read_date(section, "from", required=False),
        last_on=read_date(section, "until", required=False),
        weekdays=tuple(n for n, one in enumerate(WEEKDAYS) if one in weekdays),
        hours=_hours(section),
        minimum=minimum,
        first_visit=read_flag(section, "first_visit"),
        birthday_month=read_flag(section, "birthday_month"),
        member_months=read_count(section, "member_months", 1, 1_200),
    )
    if when.first_on and when.last_on and when.last_on < when.first_on:
        section.note("until", f"{when.last_on} is before it begins, on {when.first_on}")
    elif why := when.never(begin):
        section.note("until", f"the rule can never apply: {why}; write a later day")
    return when


def _known(section: Section, key: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    found = read_texts(section, key)
    for one in found:
        if one not in choices:
            section.note(key, f'"{one}" is none of {", ".join(choices)}; {near(one, choices)}')
    return found


def _hours(section: Section) -> Hours | None:
    text = read_text(section, "hours")
    if text is None:
        return None
    found = _HOURS.fullmatch(text)
    if found is None or (found[3] == "24" and found[4] != "00"):
        section.note("hours", f'"{text}" is no time of day; write it such as "18:00-22:00"')
        return None
    start, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    if start == end:
        section.note("hours", f'"{text}" holds no minute; for the whole day leave hours out')
        return None
    return Hours(start, end)
