"""Prices to try in a dry run: laid over the real ones, or refused with the entry named."""

from datetime import date
from decimal import Decimal

import pytest

from coalition.clearing.price import in_force, price_table
from coalition.clearing.what_if import WhatIf, lay_over
from coalition.errors import CoalitionError, Code
from coalition.terms.prices import Price

TABLE = price_table(
    [
        Price("telecom", None, date(2017, 3, 1), Decimal("0.001"), Decimal("0.01")),
        Price("telecom", None, date(2017, 3, 15), Decimal("0.001"), Decimal("0.02")),
    ]
)
CODES = {"telecom", "retail"}


def _burn_and_issue(
    prices: WhatIf, origin: str, redeemer: str | None, day: int
) -> tuple[Decimal, Decimal] | None:
    found = in_force(lay_over(TABLE, prices, CODES), origin, redeemer, date(2017, 3, day))
    return None if found is None else (found.burn_price, found.issue_price)


def test_a_price_to_try_holds_all_along_and_leaves_other_fields_as_they_are() -> None:
    tried = {"telecom": {"burn_price": "0.5"}}
    for day in (1, 20):
        found = _burn_and_issue(tried, "telecom", None, day)
        assert found == (Decimal("0.5"), Decimal("0.001"))
    found_after = in_force(TABLE, "telecom", None, date(2017, 3, 1))
    assert found_after is not None
    assert found_after.burn_price == Decimal("0.01")


def test_a_pair_to_try_starts_from_the_merchants_own_price_tried_or_real() -> None:
    pair = {"telecom->retail": {"redeem_price": "0.3"}}
    assert _burn_and_issue(pair, "telecom", "retail", 20) == (Decimal("0.02"), Decimal(0))
    both = pair | {"telecom": {"burn_price": "0.5"}}
    assert _burn_and_issue(both, "telecom", "retail", 1) == (Decimal("0.5"), Decimal(0))


def test_a_merchant_without_prices_can_be_tried() -> None:
    tried = {"retail": {"burn_price": "0.5"}}
    assert _burn_and_issue(tried, "retail", None, 1) == (Decimal("0.5"), Decimal(0))


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        ({"bakery": {}}, "'bakery' is unknown"),
        ({"telecom->bakery": {}}, "'bakery' is unknown"),
        ({"telecom->": {}}, "'' is unknown"),
        ({"telecom": {"price": "1"}}, "prices.telecom.price must be one of"),
        ({"telecom->retail": {"issue_price": "1"}}, "prices.telecom->retail.issue_price"),
        *(
            ({"telecom": {"burn_price": price}}, '"0" to "999999.999999"')
            for price in ("cheap", "", "-0.01", "NaN", "1e-2", " 1", "1000000", "0.0000001", 0.01)
        ),
    ],
)
def test_a_price_to_try_that_cannot_be_read_is_invalid_and_named(prices: WhatIf, says: str) -> None:
    with pytest.raises(CoalitionError, match=says) as error:
        lay_over(TABLE, prices, CODES)
    assert error.value.code is Code.INVALID
