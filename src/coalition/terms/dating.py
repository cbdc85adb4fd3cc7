"""From which day on a file's terms are in force, and whether they may be: over plain values, pure.

A file without a date is in force from the day after its sync, a merchant's first from joined_on,
a file with a date from that date. What was in force on a day that has postings stays so, but for
what favours members. Prices are not dated here: theirs stand in the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from coalition.earning.validity import Validity
from coalition.terms.book import DatedTerms, in_order_of_days
from coalition.terms.terms import Terms

# What follows the newest file at once: who the merchant is, and what has days of its own.
AT_ONCE = frozenset({"name", "joined_on", "suspended", "prices", "pair_prices"})

# Every row of every merchant, in the order in which they were recorded.
Rows = Mapping[str, Sequence[DatedTerms]]


@dataclass(frozen=True, slots=True)
class NewTerms:
    """A row to append: terms in force from effective_from on. was: those they take the place of."""

    effective_from: date
    terms: Terms
    was: Terms | None

    def __str__(self) -> str:
        if self.was is None:
            return f"terms from {self.effective_from}"
        what = ", ".join(_differing(self.was, self.terms)) or "as before"
        return f"terms from {self.effective_from}: {what}"


def changed(rows: Rows, files: Sequence[Terms]) -> list[Terms]:
    """The files that say other terms than the newest row of the same file."""
    return [one for one in files if _is_new(rows.get(one.code, ()), one)]


def date_terms(
    rows: Rows, files: Sequence[Terms], posted_on: Mapping[str, date], today: date
) -> tuple[list[NewTerms], list[str]]:
    """The rows to append, and every reason why they may not be.

    today is the house's date; posted_on the last day of postings of each merchant with any.
    """
    new: list[NewTerms] = []
    refusals: list[str] = []
    for one in changed(rows, files):
        kept = rows.get(one.code, ())
        last = posted_on.get(one.code, date.min)
        begin = one.filed_for or _begin(one, kept, last, today)
        was = _in_force(kept, begin)
        new.append(NewTerms(begin, one, was))
        if begin <= last and not (was and favours_members(was, one)):
            refusals.append(
                f"{one.code}: terms from {begin} would change days that have postings; the "
                f"earliest day possible is {last + timedelta(days=1)}, but for what favours members"
            )
    return new, refusals + _same_day(rows, new, files) + _circles(rows, new)


def favours_members(before: Terms, after: Terms) -> bool:
    """Whether nothing differs but what can only be better for members.

    Longer validity or grace, points outright allowed, limits, holds and lateness raised. The time
    zone holds at once whatever the terms say, so that it takes nothing from anybody either.
    """
    better = {
        "time_zone": True,
        "validity": _lives_longer(before.validity, after.validity),
        "points_outright": after.points_outright,
        "points_per_earn_max": _is_wider(before.points_per_earn_max, after.points_per_earn_max),
        "points_per_burn_max": _is_wider(before.points_per_burn_max, after.points_per_burn_max),
        "points_per_member_per_day_max": _is_wider(
            before.points_per_member_per_day_max, after.points_per_member_per_day_max
        ),
        "hold_seconds_max": after.hold_seconds_max > before.hold_seconds_max,
        "lateness_days_max": after.lateness_days_max > before.lateness_days_max,
    }
    return all(better.get(name, False) for name in _differing(before, after))


def _begin(one: Terms, kept: Sequence[DatedTerms], last: date, today: date) -> date:
    # A till's clock may have run into tomorrow already.
    return max(today, last) + timedelta(days=1) if kept else one.joined_on


def _is_new(kept: Sequence[DatedTerms], one: Terms) -> bool:
    same_file = [row.terms for row in kept if row.terms.filed_for == one.filed_for]
    return not same_file or bool(_differing(same_file[-1], one))


def _in_force(kept: Sequence[DatedTerms], day: date) -> Terms | None:
    begun = [row for row in in_order_of_days(kept) if row.effective_from <= day]
    return begun[-1].terms if begun else None


def _differing(before: Terms, after: Terms) -> list[str]:
    was, now = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return [name for name in now if name not in AT_ONCE | {"filed_for"} and was[name] != now[name]]


def _same_day(rows: Rows, new: Sequence[NewTerms], files: Sequence[Terms]) -> list[str]:
    """A refusal for each file with a date whose day is also that of the file without one."""
    begins = {
        code: row.effective_from
        for code, kept in rows.items()
        for row in kept
        if row.terms.filed_for is None
    }
    begins |= {one.terms.code: one.effective_from for one in new if one.terms.filed_for is None}
    return [
        f"{one.code}: {one.code}.toml and {one.code}.{one.filed_for}.toml are both in force from "
        f"{one.filed_for}; leave one as it was, or date it another day"
        for one in files
        if one.filed_for is not None and one.filed_for == begins.get(one.code)
    ]


def _circles(rows: Rows, new: Sequence[NewTerms]) -> list[str]:
    """A refusal for each day from which merchants would settle through each other in a circle."""
    if not new:
        return []
    lines = {code: list(kept) for code, kept in rows.items()}
    for one in new:
        # Numbers only tell which of a day's rows is the later; the database gives the real ones.
        kept = lines.setdefault(one.terms.code, [])
        kept.append(DatedTerms(len(kept), one.effective_from, one.terms))
    first = min(one.effective_from for one in new)
    days = {row.effective_from for kept in lines.values() for row in kept}
    refusals: dict[str, str] = {}
    for day in sorted(day for day in days if day >= first):
        in_force = {code: _in_force(kept, day) for code, kept in lines.items()}
        through = {code: one.settles_through for code, one in in_force.items() if one}
        for code in sorted(through):
            way: list[str] = [code]
            while (after := through.get(way[-1])) is not None and after not in way:
                way.append(after)
            if after == code and min(way) == code:
                circle = " -> ".join([*way, code])
                refusals.setdefault(circle, f"{code}: {circle} goes round from {day}; end it")
    return list(refusals.values())


def _lives_longer(before: Validity, after: Validity) -> bool:
    if after.grace_days < before.grace_days or after.usable_after_days > before.usable_after_days:
        return False
    if before.extends_earned and not after.extends_earned:
        return False
    if after.is_for_ever:
        return True
    if before.until_month_end and not after.until_month_end:
        return False
    months = before.months is not None and (after.months or 0) >= before.months
    days = before.days is not None and (after.days or 0) >= before.days
    until = before.until is not None and after.until is not None and after.until >= before.until
    period = before.period_rule is not None and (
        after.period_rule == before.period_rule and after.carried_share >= before.carried_share
    )
    idle = before.inactive_months is not None and (
        (after.inactive_months or 0) >= before.inactive_months
    )
    return months or days or until or period or idle


def _is_wider(before: int | None, after: int | None) -> bool:
    return after is None or (before is not None and after > before)
