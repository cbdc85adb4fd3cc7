"""From when points are good, until when, and what of them lives on."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.earning.validity import (
    Validity,
    carried,
    last_good_day,
    period_end_after,
    usable_from,
)

# The 20th of every second month.
EVEN = "FREQ=MONTHLY;BYMONTH=2,4,6,8,10,12;BYMONTHDAY=20"


@pytest.mark.parametrize(
    ("validity", "earned_on", "good_until"),
    [
        (Validity(until=date(2027, 12, 31)), "2027-12-31", "2027-12-31"),
        (Validity(until=date(2027, 12, 31)), "2028-01-01", "2027-12-31"),
        (Validity(period_rule=EVEN), "2026-02-20", "2026-02-20"),
        (Validity(period_rule=EVEN), "2026-02-21", "2026-04-20"),
        (Validity(period_rule=EVEN), "1995-11-03", "1995-12-20"),
        (Validity(period_rule="FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31"), "2026-03-01", "2026-12-31"),
        # Of the next period, where it cannot be burned in this one any more.
        (Validity(period_rule=EVEN, usable_after_days=14), "2026-02-06", "2026-02-20"),
        (Validity(period_rule=EVEN, usable_after_days=14), "2026-02-07", "2026-04-20"),
    ],
)
def test_a_point_is_good_until_a_fixed_day_or_the_end_of_its_period(
    validity: Validity, earned_on: str, good_until: str
) -> None:
    day = last_good_day(validity, date.fromisoformat(earned_on))
    assert day == date.fromisoformat(good_until)


def test_the_next_period_ends_after_the_one_before() -> None:
    validity = Validity(period_rule=EVEN)
    assert period_end_after(validity, date(2026, 2, 20)) == date(2026, 4, 20)
    assert period_end_after(Validity(months=1), date(2026, 2, 20)) is None


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 200))
def test_a_point_can_be_burned_on_some_day_of_its_period(day: date, after: int) -> None:
    validity = Validity(period_rule=EVEN, usable_after_days=after)
    last = last_good_day(validity, day)
    assert last is not None
    assert (usable_from(validity, day) or day) <= last


def test_a_point_is_good_at_once_or_after_so_many_days() -> None:
    assert usable_from(Validity(), date(2026, 1, 1)) is None
    pending = Validity(usable_after_days=14)
    assert usable_from(pending, date(2026, 1, 1)) == date(2026, 1, 15)


@given(st.integers(0, 10**15), st.integers(0, 9_999))
def test_a_carried_share_is_exact_and_rounded_down(points: int, ten_thousandths: int) -> None:
    validity = Validity(period_rule=EVEN, carried_share=Decimal(ten_thousandths) / 10_000)
    lives = carried(validity, points)
    assert lives * 10_000 <= points * ten_thousandths < (lives + 1) * 10_000
    assert lives < points or points == lives == 0


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_a_point_earned_later_never_lapses_earlier(day: date) -> None:
    validity = Validity(period_rule=EVEN, usable_after_days=14)
    today, tomorrow = last_good_day(validity, day), last_good_day(validity, day + timedelta(days=1))
    assert today is not None
    assert tomorrow is not None
    assert today <= tomorrow
