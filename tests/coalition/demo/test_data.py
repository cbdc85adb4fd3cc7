"""How a line of shopping data becomes an event: small frames made by hand, then the real data."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from coalition.demo import data
from coalition.demo.data import Frames, year
from coalition.demo.events import ZONE, Cancel, Return, Reward, Sale, Year
from coalition.earning.purchase import Item

NOON = "2017-03-01 17:00:00"

# What each product is, by its number.
PRODUCTS = {1: "GROCERY", 2: "MEAT", 3: "MEAT-PCKGD", 4: "FUEL", 5: None, 6: "NEVER HEARD OF"}


def frames(
    lines: Sequence[tuple[int, int, int, float, float, str]],
    coupons: Sequence[tuple[int, int, int]] = (),
    redemptions: Sequence[tuple[int, int, int, str]] = (),
    campaigns: Sequence[tuple[int, str]] = (),
) -> Frames:
    """lines: household, basket, product, dollars, coupon's discount, time in UTC."""
    columns = ["household_id", "basket_id", "product_id", "sales_value", "coupon_disc"]
    transactions = pd.DataFrame(lines, columns=[*columns, "transaction_timestamp"])
    stamps = pd.to_datetime(transactions["transaction_timestamp"]).astype("datetime64[ns]")
    redeemed = pd.DataFrame(
        redemptions, columns=["household_id", "coupon_upc", "campaign_id", "redemption_date"]
    )
    days = pd.to_datetime(redeemed["redemption_date"]).astype("datetime64[ns]")
    return Frames(
        transactions=transactions.assign(transaction_timestamp=stamps),
        products=pd.DataFrame(PRODUCTS.items(), columns=["product_id", "department"]),
        coupons=pd.DataFrame(coupons, columns=["coupon_upc", "product_id", "campaign_id"]),
        redemptions=redeemed.assign(redemption_date=days),
        campaigns=pd.DataFrame(campaigns, columns=["campaign_id", "campaign_type"]),
    )


def sales(made: Year) -> list[Sale]:
    return [event for event in made.events if isinstance(event, Sale)]


def rewards(made: Year) -> list[Reward]:
    return [event for event in made.events if isinstance(event, Reward)]


def test_a_basket_is_one_sale_a_merchant_with_cents_by_department() -> None:
    made = year(
        frames(
            [
                (7, 1, 1, 1.10, 0, NOON),
                (7, 1, 1, 2.20, 0, NOON),
                (7, 1, 2, 5.00, 0, NOON),
                (7, 1, 3, 0.07, 0, NOON),
            ]
        )
    )
    at = datetime(2017, 3, 1, 17, tzinfo=UTC)
    assert made.events == (
        Sale(at, 7, 1, "butcher", (Item(500, "MEAT"), Item(7, "MEAT-PCKGD"))),
        Sale(at, 7, 1, "grocer", (Item(330, "GROCERY"),)),
    )


@pytest.mark.parametrize("product", [5, 6, 999])
def test_what_has_no_known_department_is_the_grocers(product: int) -> None:
    (sale,) = sales(year(frames([(7, 1, product, 1.0, 0, NOON)])))
    assert sale.merchant == "grocer"


def test_dollars_become_cents_by_rounding_each_line_once() -> None:
    # 1.15 * 100 is 114.99999999999999 in binary; 0.29 * 100 is 28.999999999999996.
    made = year(frames([(7, 1, 1, 1.15, 0, NOON), (7, 1, 1, 0.29, 0, NOON)]))
    assert sales(made)[0].items == (Item(144, "GROCERY"),)


def test_a_part_that_costs_nothing_is_no_sale_and_is_counted() -> None:
    made = year(frames([(7, 1, 1, 0.0, 0, NOON), (7, 1, 4, 9.0, 0, NOON)]))
    assert [sale.merchant for sale in sales(made)] == ["fuel"]
    assert made.free_parts == 1


def test_every_97th_basket_comes_back_whole_ten_days_later() -> None:
    lines = [(7, 96, 1, 1.0, 0, NOON), (7, 97, 1, 1.0, 0, NOON), (7, 97, 4, 1.0, 0, NOON)]
    made = year(frames(lines))
    back = [event for event in made.events if isinstance(event, Return)]
    at = datetime(2017, 3, 11, 17, tzinfo=UTC)
    assert back == [Return(at, 7, 97, "fuel"), Return(at, 7, 97, "grocer")]


def test_what_would_come_back_after_the_year_does_not() -> None:
    made = year(frames([(7, 97, 1, 1.0, 0, "2017-12-25 17:00:00")]))
    assert len(made.events) == 1


LAST = "2017-03-01 20:00:00"
CAMPAIGNS = [(30, "Type A"), (31, "Type B")]


def test_a_reward_is_collected_at_the_end_of_the_households_last_visit_of_that_local_day() -> None:
    lines = [
        (7, 1, 1, 1.0, 0, NOON),
        (7, 2, 1, 1.0, 0, "2017-03-02 03:30:00"),  # half past ten in the evening, local
        (7, 3, 1, 1.0, 0, "2017-03-02 18:00:00"),
        (8, 4, 1, 1.0, 0, "2017-03-02 04:00:00"),
    ]
    made = year(frames(lines, [(55, 1, 30)], [(7, 55, 30, "2017-03-01")], CAMPAIGNS))
    (reward,) = rewards(made)
    assert reward == Reward(
        datetime(2017, 3, 2, 3, 30, tzinfo=UTC), 7, 1, "grocer", data.REWARD_POINTS["Type A"]
    )
    place = made.events.index(reward)
    assert made.events[place - 1] == sales(made)[1], "the visit's own points come first"


@pytest.mark.parametrize(
    ("lines", "merchant"),
    [
        # The line with the coupon's discount, though another was dearer.
        ([(7, 1, 1, 9.0, 0, NOON), (7, 1, 4, 1.0, 0.5, NOON)], "fuel"),
        # No discount: the dearest line of the coupon's products that day.
        ([(7, 1, 1, 1.0, 0, NOON), (7, 1, 4, 9.0, 0, NOON)], "fuel"),
        # Equal: the first by its code.
        ([(7, 1, 1, 1.0, 0, NOON), (7, 1, 4, 1.0, 0, NOON)], "fuel"),
        # Another's line, another day's line, and a product the coupon does not name: no sign.
        (
            [
                (8, 1, 4, 9.0, 9.0, NOON),
                (7, 2, 4, 9.0, 9.0, "2017-03-05 17:00:00"),
                (7, 3, 6, 9.0, 9.0, NOON),
            ],
            "butcher",
        ),
    ],
)
def test_a_reward_is_paid_by_the_merchant_of_the_coupons_product(
    lines: list[tuple[int, int, int, float, float, str]], merchant: str
) -> None:
    coupons = [(55, 1, 30), (55, 2, 30), (55, 3, 30), (55, 4, 30), (55, 6, 31)]
    made = year(frames(lines, coupons, [(7, 55, 30, "2017-03-01")], CAMPAIGNS))
    assert [reward.merchant for reward in rewards(made)] == [merchant]


def test_every_50th_reward_is_cancelled_twenty_days_later() -> None:
    lines = [(household, household, 1, 1.0, 0, NOON) for household in range(1, 101)]
    redemptions = [(household, 55, 31, "2017-03-01") for household in range(1, 101)]
    made = year(frames(lines, [(55, 1, 31)], redemptions, CAMPAIGNS))
    cancels = [event for event in made.events if isinstance(event, Cancel)]
    assert [cancel.number for cancel in cancels] == [50, 100]
    assert {cancel.at for cancel in cancels} == {
        datetime(2017, 3, 1, 17, tzinfo=UTC) + timedelta(days=20)
    }


def test_the_real_data_is_whole_and_in_order() -> None:
    whole = data.load()
    made = year(whole)
    assert (made.lines, made.baskets, len(made.households)) == (1_469_307, 155_848, 2_469)
    cents = sum(item.amount for sale in sales(made) for item in sale.items)
    assert cents == round(whole.transactions["sales_value"].sum() * 100)
    assert {sale.merchant for sale in sales(made)} == {*data.MERCHANT_OF.values(), data.GROCER}
    assert len(rewards(made)) == 2_102
    assert all(one.at <= other.at for one, other in zip(made.events, made.events[1:], strict=False))
    days = Counter(event.at.astimezone(ZONE).year for event in made.events)
    assert set(days) == {2017}
