"""What a purchase earns, and until when, in tables and as properties."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.earning.purchase import Item
from coalition.earning.rates import Rate, points_for
from coalition.earning.validity import Validity, last_good_day
from coalition.terms.terms import Terms

CATEGORIES = ("data", "voice", "gift", "*")


def terms_with(*rates: Rate) -> Terms:
    return Terms("telecom", "Telecom", "CNY", "Asia/Shanghai", date(2017, 1, 1), rates=rates)


TELECOM = terms_with(Rate("data", Decimal(2), 100), Rate("*", Decimal(1), 100))


@pytest.mark.parametrize(
    ("amount", "items", "points"),
    [
        (12_345, [], 123),
        (99, [], 0),
        (100, [], 1),
        (None, [("data", 150)], 3),
        (None, [("data", 50), ("voice", 50)], 1),  # 1 + 0.5
        (None, [("data", 75), (None, 50)], 2),  # 1.5 + 0.5: floored once, not once an item
        (1_000, [("data", 300)], 13),  # 6 + 7
        (300, [("data", 300)], 6),
        (None, [], 0),
        (0, [], 0),
    ],
)
def test_a_purchase_earns_by_category_and_is_floored_once(
    amount: int | None, items: list[tuple[str | None, int]], points: int
) -> None:
    parts = [Item(amount=spent, category=category) for category, spent in items]
    assert points_for(TELECOM.rates, amount, parts) == points


def test_a_quantity_is_refused_and_never_left_out_of_the_sum() -> None:
    items = [Item(1_000, "voice"), Item(1_000, "data", quantity=3)]
    for amount in (None, 2_000, 4_000):
        with pytest.raises(ValueError, match=r"items\[1\]\.quantity: 3 .* the line's total"):
            points_for(TELECOM.rates, amount, items)


def test_without_a_rate_for_the_rest_only_named_categories_earn() -> None:
    terms = terms_with(Rate("data", Decimal(2), 100))
    assert points_for(terms.rates, 1_000, [Item(100, "data"), Item(100, "voice")]) == 2


def test_a_category_may_be_excluded_by_a_rate_of_nothing() -> None:
    terms = terms_with(Rate("gift", Decimal(0), 100), Rate("*", Decimal(1), 100))
    assert points_for(terms.rates, None, [Item(900, "gift"), Item(100, "voice")]) == 1


def test_rates_of_different_steps_add_up_exactly() -> None:
    terms = terms_with(Rate("data", Decimal(1), 3), Rate("voice", Decimal("0.5"), 7))
    # 1/3 + 2/3 + 14/14: two points exactly, which no sum of rounded thirds comes to.
    assert points_for(terms.rates, None, [Item(1, "data"), Item(14, "voice"), Item(2, "data")]) == 2
    assert points_for(terms.rates, None, [Item(2, "data"), Item(14, "voice")]) == 1


def test_items_above_the_amount_are_refused_with_both_sums() -> None:
    with pytest.raises(ValueError, match=r"items add up to 301 .* amount 300"):
        points_for(TELECOM.rates, 300, [Item(200, "data"), Item(101)])


rates = st.lists(
    st.builds(
        Rate,
        category=st.sampled_from(CATEGORIES),
        points=st.decimals(0, 1_000, places=3),
        per=st.integers(1, 10_000),
    ),
    unique_by=lambda rate: rate.category,
)
items = st.lists(
    st.builds(
        Item,
        amount=st.integers(0, 10**12),
        category=st.sampled_from((None, "other", *CATEGORIES[:3])),
    ),
    max_size=12,
)


def exact(terms: Terms, rest: int, parts: list[Item]) -> Fraction:
    by_category = {rate.category: Fraction(rate.points) / rate.per for rate in terms.rates}
    other = by_category.get("*", Fraction(0))
    known = [by_category.get(item.category or "*", other) * item.amount for item in parts]
    return sum(known, other * rest)


@given(rates, items, st.integers(0, 10**12))
def test_points_are_the_floor_of_the_exact_value(
    some_rates: list[Rate], parts: list[Item], rest: int
) -> None:
    terms = terms_with(*some_rates)
    amount = sum(item.amount for item in parts) + rest
    value = exact(terms, rest, parts)
    assert points_for(terms.rates, amount, parts) == value.numerator // value.denominator


@given(rates, items, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(some_rates, parts, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(parts, len(parts))
    terms = terms_with(*some_rates)
    assert points_for(terms.rates, None, shuffled) == points_for(terms.rates, None, parts)


@given(rates, items, st.integers(0, 10**12), st.integers(0, 10**12))
def test_spending_more_never_earns_less(
    some_rates: list[Rate], parts: list[Item], rest: int, more: int
) -> None:
    terms = terms_with(*some_rates)
    amount = sum(item.amount for item in parts) + rest
    assert points_for(terms.rates, amount, parts) <= points_for(terms.rates, amount + more, parts)


@pytest.mark.parametrize(
    ("validity", "earned_on", "good_until"),
    [
        (Validity(), "2017-01-31", None),
        (Validity(months=1), "2017-01-31", "2017-02-28"),
        (Validity(months=6), "2015-08-31", "2016-02-29"),
        (Validity(months=12), "2016-02-29", "2017-02-28"),
        (Validity(months=24), "2017-12-15", "2019-12-15"),
        (Validity(months=24, until_month_end=True), "2017-02-10", "2019-02-28"),
        (Validity(months=3, until_month_end=True), "2017-11-30", "2018-02-28"),
        (Validity(days=30), "2017-01-31", "2017-03-02"),
        (Validity(days=1, until_month_end=True), "2017-01-31", "2017-02-28"),
        (Validity(until_month_end=True), "2017-01-31", None),
    ],
)
def test_a_point_is_good_until_a_day_that_the_calendar_has(
    validity: Validity, earned_on: str, good_until: str | None
) -> None:
    day = last_good_day(validity, date.fromisoformat(earned_on))
    assert day == (good_until and date.fromisoformat(good_until))


@given(st.dates(max_value=date(9000, 1, 1)), st.integers(1, 1_200), st.booleans())
def test_a_point_earned_later_never_lapses_earlier(day: date, months: int, until_end: bool) -> None:
    validity = Validity(months=months, until_month_end=until_end)
    today, tomorrow = (
        last_good_day(validity, date.fromordinal(day.toordinal() + n)) for n in (0, 1)
    )
    assert today is not None
    assert tomorrow is not None
    assert day < today <= tomorrow
