"""The section [validity] of a merchant's file: from when its points are good, and until when."""

import re
from datetime import date, timedelta
from decimal import Decimal

from coalition.earning.validity import Validity, last_good_day
from coalition.terms.rules import RULE_EXAMPLE, read_rule
from coalition.toml.document import (
    Section,
    check_keys,
    read_count,
    read_date,
    read_decimal,
    read_flag,
    read_text,
)

# How long points live is said in one of these ways; in none: for ever.
_LIVES = ("months", "days", "until", "period_ends", "inactive_months")
_KEYS = (
    *_LIVES,
    "until_month_end",
    "carried_share",
    "grace_days",
    "usable_after",
    "extends_earned",
)
_GRACE_DAYS_DEFAULT = 30
_DAYS = re.compile(r"([1-9][0-9]{0,3}) days?")
# Four years hold every length that a run of months may have.
_DAYS_TRIED = [date(2001, 1, 1) + timedelta(days=number) for number in range(4 * 365 + 1)]


def read_validity(section: Section) -> Validity:
    """What is wrong is noted and left at its default: points that never expire, good at once."""
    check_keys(section, _KEYS)
    grace_days = read_count(section, "grace_days", 0, 36_500)
    validity = Validity(
        months=read_count(section, "months", 1, 1_200),
        days=read_count(section, "days", 1, 36_500),
        until_month_end=read_flag(section, "until_month_end"),
        grace_days=_GRACE_DAYS_DEFAULT if grace_days is None else grace_days,
        usable_after_days=_usable_after(section),
        until=read_date(section, "until") if "until" in section.values else None,
        period_rule=read_rule(section, "period_ends"),
        carried_share=_carried_share(section),
        extends_earned=read_flag(section, "extends_earned"),
        inactive_months=read_count(section, "inactive_months", 1, 1_200),
    )
    _check_together(section, validity)
    return validity


def _check_together(section: Section, validity: Validity) -> None:
    """Note what contradicts itself."""
    ways = [key for key in _LIVES if key in section.values]
    for key in ways[1:]:
        section.note(key, f"{ways[0]} says how long points live already, not both; leave out one")
    if validity.until_month_end and not {"months", "days"} & section.values.keys():
        section.note("until_month_end", "there is no end to move; write months or days as well")
    if "carried_share" in section.values and "period_ends" not in section.values:
        section.note(
            "carried_share",
            "there is no next period to carry points into; write period_ends as well, "
            f"such as {RULE_EXAMPLE}",
        )
    if validity.extends_earned and validity.inactive_months is not None:
        section.note(
            "extends_earned",
            "only to a day that is known points are extended, not to one by inactivity; leave it "
            "out",
        )
    if len(ways) == 1:
        _check_usable(section, validity)


def _carried_share(section: Section) -> Decimal:
    share = read_decimal(section, "carried_share", digits_max=4, below=1, example="0.5")
    return share or Decimal(0)


def _usable_after(section: Section) -> int:
    value = read_text(section, "usable_after")
    if value is None:
        return 0
    found = _DAYS.fullmatch(value)
    if found is None:
        section.note("usable_after", f'"{value}" is not a number of days; write such as "14 days"')
        return 0
    return int(found[1])


def _check_usable(section: Section, validity: Validity) -> None:
    """Note a usable_after that some points do not live to see."""
    shortest = _shortest_days(validity)
    if shortest is not None and validity.usable_after_days > shortest:
        section.note(
            "usable_after",
            f"points would lapse after {shortest} days, before they can be burned; "
            f'write "{shortest} days" at most, or let them live longer',
        )


def _shortest_days(validity: Validity) -> int | None:
    """How many days after the earn the last good day comes at the soonest; None: it never does."""
    months = validity.months or validity.inactive_months
    if not validity.usable_after_days or not (months or validity.days):
        # A day that is fixed comes whenever it was earned: the last points are not granted then.
        return None
    if validity.inactive_months is not None:
        validity = Validity(months=months)
    ends = [(last_good_day(validity, day), day) for day in _DAYS_TRIED]
    return min(((end - day).days for end, day in ends if end is not None), default=None)
