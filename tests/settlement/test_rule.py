"""Which rules of days are right, which days they name, and which months they pass over."""

from datetime import date, timedelta

import pytest

from settlement.rule import (
    PAYMENT_RULE_COUNTS_FROM,
    day_after,
    left_out,
    payment_day_after,
    wrong_with,
)

RIGHT = [
    "FREQ=MONTHLY;BYMONTHDAY=1",
    "FREQ=MONTHLY;BYMONTHDAY=-1,01",
    "FREQ=MONTHLY;INTERVAL=3;BYDAY=-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=SU",
    "FREQ=WEEKLY",
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=30",
    "FREQ=DAILY;BYMONTHDAY=1,15",
    "FREQ=YEARLY;BYWEEKNO=1,27;BYDAY=MO",
    "FREQ=YEARLY;BYYEARDAY=1,-1",
    "FREQ=YEARLY;BYDAY=20MO",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
]
WRONG = [
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers from 1 to 31"),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY must be numbers from 1 to 31"),
    ("FREQ=MONTHLY;BYMONTHDAY=1,", "BYMONTHDAY must be numbers"),
    ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH must be numbers from 1 to 12; 0 is none"),
    ("FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY must be numbers from 1 to 366"),
    ("FREQ=YEARLY;BYWEEKNO=54;BYDAY=MO", "BYWEEKNO must be numbers from 1 to 53"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS must be numbers"),
    ("FREQ=MONTHLY;BYMONTHDAY=\u0661", "BYMONTHDAY must be numbers"),
    ("FREQ=MONTHLY;BYMONTHDAY=1;BYMONTHDAY=15", "BYMONTHDAY stands twice"),
    ("FREQ=DAILY;FREQ=MONTHLY", "FREQ stands twice"),
    ("FREQ=WEEKLY;BYDAY=1MO", "days of the week without a number, such as BYDAY=MO"),
    ("FREQ=DAILY;BYDAY=-1FR", "days of the week without a number"),
    ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "with BYWEEKNO the days of the week have no number"),
    ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY must be days of the week"),
    ("FREQ=MONTHLY;BYDAY=MO(+1)", "BYDAY must be days of the week"),
    ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO is not allowed with FREQ=MONTHLY"),
    ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY is not allowed with FREQ=MONTHLY"),
    ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY is not allowed with FREQ=DAILY"),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY is not allowed with FREQ=WEEKLY"),
    ("FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO alone leaves the day open"),
    ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS picks among the days"),
    ("FREQ=DAILY\nEXDATE:20170102", "one line without spaces"),
    ("FREQ=DAILY EXDATE:20170102", "one line without spaces"),
    ("FREQ=DAILY;EXDATE=20170102", "EXDATE is not a part that counts here"),
    ("FREQ=DAILY;COUNT=3", "COUNT is not a part that counts here"),
    ("FREQ=HOURLY", "FREQ must be one of"),
    ("freq=monthly;bymonthday=1", "freq is written in capitals here, as FREQ; so are its values"),
    ("FREQ=DAILY;Interval=2", "Interval is written in capitals here, as INTERVAL"),
    ("INTERVAL=2", "FREQ must be one of"),
    ("", "one line"),
    ("every month", "one line"),
    ("FREQ=DAILY;", "nothing is not a part"),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1"),
    ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL must be a whole number from 1"),
    ("FREQ=DAILY;WKST=XX", "WKST must be a day of the week"),
    ("FREQ=DAILY;INTERVAL=100000000", "no day in the 100 years after 2000-01-01"),
    ("FREQ=YEARLY;INTERVAL=101", "no day in the 100 years"),
    ("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=32", "BYMONTHDAY must be numbers"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no day in the 100 years"),
]


@pytest.mark.parametrize("rule", RIGHT)
def test_a_rule_of_rfc_5545_is_right(rule: str) -> None:
    assert wrong_with(rule) is None


@pytest.mark.parametrize(("rule", "says"), WRONG)
def test_a_rule_that_rfc_5545_forbids_is_refused_with_what_would_be_right(
    rule: str, says: str
) -> None:
    assert says in (wrong_with(rule) or "")


def test_a_rule_is_tried_from_its_own_first_day() -> None:
    leap_days = "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29"
    assert wrong_with(leap_days, date(2000, 1, 1)) is None
    assert "names no day" in (wrong_with(leap_days, date(2001, 1, 1)) or "")
    assert "names no day" in (wrong_with("FREQ=DAILY", date.max) or "")


EVERY_SHORT_MONTH = "February, April, June, September and November"


@pytest.mark.parametrize(
    ("rule", "first_on", "passes_over"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=31", date(2017, 1, 1), EVERY_SHORT_MONTH),
        ("FREQ=MONTHLY;BYMONTHDAY=-31", date(2017, 1, 1), EVERY_SHORT_MONTH),
        ("FREQ=DAILY;BYMONTHDAY=31", date(2017, 1, 1), EVERY_SHORT_MONTH),
        ("FREQ=YEARLY;BYMONTHDAY=31", date(2017, 1, 1), EVERY_SHORT_MONTH),
        ("FREQ=MONTHLY", date(2017, 1, 31), EVERY_SHORT_MONTH),
        ("FREQ=MONTHLY;BYMONTHDAY=30,31", date(2017, 1, 1), "February;"),
        ("FREQ=MONTHLY;BYMONTHDAY=29", date(2017, 1, 1), "February unless in a leap year"),
        ("FREQ=YEARLY", date(2016, 2, 29), "February unless in a leap year"),
        ("FREQ=MONTHLY;BYMONTH=4,5;BYMONTHDAY=31", date(2017, 1, 1), "over April;"),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=31", date(2017, 2, 1), "February, April and June;"),
        ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=31", date(2017, 1, 1), "over April;"),
        ("FREQ=MONTHLY;BYDAY=5FR", date(2017, 1, 1), "months with four FR only; BYDAY=-1FR"),
        ("FREQ=YEARLY;BYYEARDAY=366", date(2017, 1, 1), "years of 365 days"),
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", date(2017, 1, 1), "years of 52 weeks"),
        ("FREQ=YEARLY;BYDAY=53MO", date(2017, 1, 1), "years, such as 2017; BYDAY=-1MO is the last"),
        ("FREQ=YEARLY;BYDAY=-53MO,53TU", date(2018, 5, 9), "years, such as 2020"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=5", date(2017, 1, 31), "2017-02; BYSETPOS=-1 is the last"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-5", date(2017, 1, 1), "months, such as 2017-02"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=MO;BYSETPOS=5", date(2017, 1, 1), "such as 2017-03"),
        ("FREQ=MONTHLY;BYMONTH=5;BYDAY=FR;BYMONTHDAY=13", date(2017, 1, 1), "such as 2017-05"),
        ("FREQ=YEARLY;BYMONTH=5;BYDAY=FR;BYMONTHDAY=13", date(2017, 1, 1), "days that every year"),
    ],
)
def test_a_rule_that_passes_over_months_names_them(
    rule: str, first_on: date, passes_over: str
) -> None:
    assert passes_over in (left_out(rule, first_on) or "")


@pytest.mark.parametrize(
    "rule",
    [
        *RIGHT[:10],
        "FREQ=MONTHLY;BYMONTHDAY=28,31",
        "FREQ=MONTHLY;BYMONTH=1,3;BYMONTHDAY=31",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=5FR,-1FR",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=4",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=5,-1",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1",
        "FREQ=YEARLY;BYDAY=52MO",
        "FREQ=YEARLY;BYDAY=53MO,-1MO",
    ],
)
def test_a_rule_that_comes_in_every_month_says_nothing(rule: str) -> None:
    assert left_out(rule, date(2017, 1, 1)) is None


COUNTING = [
    "FREQ=DAILY;INTERVAL=9",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SA;BYSETPOS=1",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU",
    "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=-1",
    "FREQ=YEARLY;INTERVAL=3;BYMONTH=6;BYMONTHDAY=30",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
]


@pytest.mark.parametrize("rule", COUNTING)
def test_a_payment_rule_counts_backwards_from_its_fixed_day(rule: str) -> None:
    # Each first day lies a whole number of every rule's intervals before the fixed one.
    fixed = PAYMENT_RULE_COUNTS_FROM
    days = [date(1959, 12, 31)]
    while (day := payment_day_after(rule, days[-1])) is not None and day < fixed:
        days.append(day)
    start = {"DAILY": 3600 * 9, "WEEKLY": 2400 * 42}.get(rule[5:].partition(";")[0])
    first = fixed - timedelta(days=start) if start else date(1940, 1, 1)
    expected, at = [days[0]], days[0]
    while (at := day_after(rule, first, at) or fixed) < fixed:
        expected.append(at)
    assert days == expected
    assert len(days) > 5


@pytest.mark.parametrize("rule", COUNTING)
def test_from_its_fixed_day_on_a_payment_rule_names_the_days_it_always_named(rule: str) -> None:
    at = date(1999, 12, 31)
    for _ in range(40):
        assert payment_day_after(rule, at) == day_after(rule, PAYMENT_RULE_COUNTS_FROM, at)
        at = payment_day_after(rule, at) or at


def test_a_rule_stored_with_an_interval_longer_than_history_names_its_first_day_only() -> None:
    rule = "FREQ=DAILY;INTERVAL=100000000"
    assert payment_day_after(rule, date(1997, 1, 1)) == PAYMENT_RULE_COUNTS_FROM
    assert payment_day_after(rule, PAYMENT_RULE_COUNTS_FROM) is None
