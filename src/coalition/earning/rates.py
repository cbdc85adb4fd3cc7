"""What a purchase earns and how long its points live, as a merchant's terms say.

Rates and validity only, pure and exact. Other ways to earn (bonuses, codes, actions, tenure) are
rooms of their own beside this one; limits on an earn are the ledger's to check, not this module's.
"""

import calendar
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from math import lcm

from coalition.earning.terms import ANY_CATEGORY, Rate, Terms, Validity
from coalition.ledger.commands import Item


def points_for(terms: Terms, amount: int | None, items: Sequence[Item]) -> int:
    """Points that one purchase earns: exact over all its parts, floored once at the end.

    amount is the whole purchase in minor units of the merchant's currency; what it exceeds the
    items' sum by earns at the "*" rate. None: the items' sum. An item whose category has no rate
    earns at "*"; without a "*" rate that earns nothing.

    Raises ValueError, with a message for the caller, where the items add up to more than amount.
    """
    rates = {rate.category: rate for rate in terms.rates}
    whatever_else = rates.get(ANY_CATEGORY)
    itemised = 0
    points, per = 0, 1
    for item in items:
        itemised += item.amount
        rate = rates.get(item.category, whatever_else) if item.category else whatever_else
        points, per = _add(points, per, rate, item.amount)
    if amount is not None:
        if itemised > amount:
            raise ValueError(
                f"items add up to {itemised} minor units, more than the amount {amount}: "
                "state the whole purchase in amount, or leave amount out"
            )
        points, per = _add(points, per, whatever_else, amount - itemised)
    return points // per


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


def _add(points: int, per: int, rate: Rate | None, spent: int) -> tuple[int, int]:
    """points/per + what `spent` minor units earn at `rate`, as an integer numerator and divisor."""
    if rate is None or spent == 0:
        return points, per
    numerator, divisor = rate.points.as_integer_ratio()
    divisor *= rate.per
    if divisor == per:
        return points + spent * numerator, per
    common = lcm(per, divisor)
    return points * (common // per) + spent * numerator * (common // divisor), common


def _months_later(day: date, months: int) -> date:
    years, month_index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month_index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
