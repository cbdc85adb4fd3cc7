"""Terms in jsonb: rows of every version are read, and one is written as those before it were."""

import json
from datetime import date
from decimal import Decimal

import pytest

from coalition.terms.prices import Price
from coalition.terms.reading import read_terms
from coalition.terms.stored import from_stored, to_stored
from coalition.terms.terms import Terms
from coalition.toml.document import parse_document

# A row as it was written before a price said whose it is, whole.
ROW = """{"code": "telecom", "name": "Telecom", "currency": "CNY", "time_zone": "Asia/Shanghai",
 "joined_on": "2017-01-01", "rates": [{"category": "*", "points": "1.5", "per": 100}],
 "validity": {"months": 24, "days": null, "until_month_end": true, "grace_days": 30},
 "prices": [{"effective_from": "2017-01-01", "issue_price": "0", "burn_price": "0.010",
             "redeem_price": null},
            {"effective_from": "2017-07-01", "issue_price": "0.001", "burn_price": "0.0125",
             "redeem_price": "0.009"}],
 "pair_prices": [{"redeemer": "retail", "effective_from": "2017-03-01", "burn_price": "0.007",
                  "redeem_price": null}],
 "suspended": false, "points_outright": false, "points_per_earn_max": null,
 "points_per_burn_max": null, "hold_seconds_max": 604800, "breakage": "issuer",
 "settles_through": null, "minimum_payout": 0, "payment_rule": null, "filed_for": null}"""

# What a file may say since then.
SINCE: dict[str, object] = {
    "lateness_days_max": 31,
    "points_per_member_per_day_max": None,
    "pin_above_points": None,
    "rules": [],
    "rewards": [],
}
VALIDITY_SINCE = {
    "usable_after_days": 0,
    "until": None,
    "period_rule": None,
    "carried_share": "0",
    "extends_earned": False,
    "inactive_months": None,
}


def test_a_row_of_the_first_version_gives_prices_that_say_whose_they_are() -> None:
    terms = from_stored(ROW)
    assert terms.prices == (
        Price("telecom", None, date(2017, 1, 1), Decimal(0), Decimal("0.010")),
        Price(
            *("telecom", None, date(2017, 7, 1)),
            *(Decimal("0.001"), Decimal("0.0125"), Decimal("0.009")),
        ),
    )
    assert terms.pair_prices == (
        Price("telecom", "retail", date(2017, 3, 1), Decimal(0), Decimal("0.007")),
    )
    assert from_stored(to_stored(terms)) == terms


def test_a_row_is_written_as_the_first_version_wrote_it() -> None:
    first = json.loads(ROW)
    validity = first["validity"] | VALIDITY_SINCE
    assert json.loads(to_stored(from_stored(ROW))) == first | SINCE | {"validity": validity}


def test_terms_without_prices_or_with_few_fields_are_read() -> None:
    terms = Terms("a", "A", "CNY", "UTC", date(2017, 1, 1))
    few = {"code": "a", "name": "A", "currency": "CNY", "time_zone": "UTC"}
    assert from_stored(json.dumps(few | {"joined_on": "2017-01-01"})) == terms
    assert from_stored(to_stored(terms)) == terms


def test_terms_with_anothers_price_are_not_written() -> None:
    other = Price("retail", None, date(2017, 1, 1))
    with pytest.raises(AssertionError, match="telecom states in prices what is not its own"):
        to_stored(Terms("telecom", "T", "CNY", "UTC", date(2017, 1, 1), prices=(other,)))


def test_rules_of_earning_come_back_as_they_were() -> None:
    document = """
name = "Telecom"
currency = "CNY"
time_zone = "Asia/Shanghai"
joined_on = 2017-01-01
prices = [{ effective_from = 2017-01-01, burn_price = "0.010" }]
[[earn]]
name = "data"
kind = "rate"
points = "1.5"
per = "1.00"
paid_by = { telecom = "0.25", retail = "0.75" }
net_of = ["tax"]
when = { weekdays = ["sat"], hours = "18:00-02:00", from = 2026-12-01, minimum = "30.00" }
[[earn]]
name = "tins"
kind = "items"
points = { "tin-900" = 108 }
[[earn]]
name = "double"
kind = "multiplier"
factor = 2
of = ["data"]
"""
    terms = read_terms("telecom", parse_document("telecom.toml", document.encode()))
    assert len(terms.rules) == 3
    assert from_stored(to_stored(terms)) == terms
