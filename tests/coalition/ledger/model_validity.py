"""Until when the model's points live, and what of them lapses: from the contract alone."""

from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from tests.coalition.ledger.model_rows import Lot, Member

from coalition.earning.validity import Validity
from coalition.terms.terms import Terms

# Every period of the state machine ends on this day of a month.
PERIOD_ENDS_ON = 20


def first_day(validity: Validity, earned_on: date) -> date | None:
    days = validity.usable_after_days
    return earned_on + timedelta(days=days) if days else None


def last_day(validity: Validity, earned_on: date) -> date | None:
    if validity.days:
        return earned_on + timedelta(days=validity.days)
    if validity.inactive_months:
        return months_after(earned_on, validity.inactive_months)
    if validity.period_rule:
        return _end_of_period(first_day(validity, earned_on) or earned_on)
    return None


def months_after(day: date, months: int) -> date:
    moved: date = day + relativedelta(months=months)
    return moved


def move(member: Member, origin: str, day: date) -> None:
    """An origin's points moved: all of them live longer, and none less."""
    last = member.moved[origin] = max(day, member.moved.get(origin, day))
    for lot in member.lots:
        if lot.origin == origin and lot.idle_months and lot.good_until:
            lot.good_until = max(lot.good_until, months_after(last, lot.idle_months))


def end(dead: list[Lot], terms: dict[str, Terms]) -> list[tuple[Lot, int]]:
    """What lapses of points that are past their day, soonest first; what is carried gets another.

    Where anything is carried, it is what ended first.
    """
    if any(terms[lot.origin].validity.carried_share for lot in dead):
        dead = [lot for lot in dead if lot.good_until == dead[0].good_until]
    parts: list[tuple[Lot, int]] = []
    for origin in dict.fromkeys(lot.origin for lot in dead):
        lots = [lot for lot in dead if lot.origin == origin]
        points = sum(lot.left for lot in lots)
        gone = points - int(points * terms[origin].validity.carried_share)
        for lot in lots:
            part = min(lot.left, gone)
            gone -= part
            if part:
                parts.append((lot, part))
                lot.lapsed += part
            if part < lot.left and lot.good_until:
                lot.good_until = _end_of_period(lot.good_until + timedelta(days=1))
    return parts


def _end_of_period(day: date) -> date:
    this_month = day.replace(day=PERIOD_ENDS_ON)
    if day <= this_month:
        return this_month
    return (this_month + timedelta(days=31)).replace(day=PERIOD_ENDS_ON)
