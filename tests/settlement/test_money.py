"""Money: exact whatever its size, and rounded once, half to the even one."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.money import AMOUNT_MAX, amount_at_price, format_amount, minor_digits

CURRENCIES = st.sampled_from(["CNY", "JPY", "KWD", "CLF"])
EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)


@given(
    st.integers(-(10**18), 10**18),
    st.decimals(0, Decimal("999999.999999"), places=6),
    CURRENCIES,
)
def test_an_amount_is_what_decimal_arithmetic_gives_rounded_half_even(
    quantity: int, price: Decimal, currency: str
) -> None:
    exact = EXACT.scaleb(EXACT.multiply(Decimal(quantity), price), minor_digits(currency))
    assert amount_at_price(quantity, price, currency) == exact.to_integral_value(ROUND_HALF_EVEN)


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2), (-7, -4), (4, 2), (-4, -2)],
)
def test_half_a_cent_goes_to_the_even_one_on_both_sides_of_zero(quantity: int, amount: int) -> None:
    assert amount_at_price(quantity, Decimal("0.005"), "CNY") == amount


@given(st.integers(1, 10**18), st.decimals(0, Decimal("999999.999999"), places=6), CURRENCIES)
def test_what_is_given_back_is_what_was_taken(quantity: int, price: Decimal, currency: str) -> None:
    assert amount_at_price(-quantity, price, currency) == -amount_at_price(
        quantity, price, currency
    )


def test_an_amount_has_38_digits_at_most() -> None:
    assert amount_at_price(AMOUNT_MAX, Decimal(1), "JPY") == AMOUNT_MAX
    for quantity in (AMOUNT_MAX + 1, -AMOUNT_MAX - 1):
        with pytest.raises(OverflowError, match="38 digits"):
            amount_at_price(quantity, Decimal(1), "JPY")


@given(st.integers(-AMOUNT_MAX, AMOUNT_MAX), CURRENCIES)
def test_an_amount_in_major_units_keeps_every_digit(amount: int, currency: str) -> None:
    shown = format_amount(amount, currency)
    assert EXACT.scaleb(Decimal(shown), minor_digits(currency)) == amount
    assert len(shown.partition(".")[2]) == minor_digits(currency)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(-960, "CNY", "-9.60"), (-5, "CNY", "-0.05"), (0, "CNY", "0.00"), (-7, "JPY", "-7"),
     (12, "KWD", "0.012")],
)  # fmt: skip
def test_minor_units_are_shown_as_major_units(amount: int, currency: str, shown: str) -> None:
    assert format_amount(amount, currency) == shown
