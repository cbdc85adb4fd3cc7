"""What real programmes say of their rewards, with their figures: prices taken to the point."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.rewards.shop import Shop, goods, mix, open_shop, voucher
from tests.world import FIRST_DAY, done, merchant

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.terms.prices import Price
from coalition.terms.rewards import Alternative, Limits, Reward, RewardKind, VoucherTerms

# ------------------------------------------------- an alliance of a telecom operator and a retailer

# In steps of 500: X the operator's points, Y the retailer's, Z a third partner's.
STEPS = [
    {"telecom": 500},
    {"retail": 500},
    {"telecom": 500, "retail": 500},
    {"telecom": 1_000, "retail": 500},
    {"telecom": 1_000, "retail": 1_000},
    {"telecom": 1_500, "retail": 1_000},
    {"telecom": 1_500, "retail": 1_500},
    {"telecom": 500, "retail": 500, "fuel": 500},
]


@pytest.mark.parametrize("at", ["telecom", "retail"])
@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_every_mix_of_the_alliance_takes_these_points_and_no_other(
    engine: AsyncEngine, at: str, step: dict[str, int]
) -> None:
    """A reward is either company's; and one point too few of one origin is too few."""
    reward = (voucher(price=(mix(**step),)),)
    shop = await open_shop(engine, *reward, retail=reward)
    plenty = dict.fromkeys(("telecom", "retail", "fuel"), 5_000)
    await shop.member("ann", **plenty)
    assert shop.origins(await shop.taken("ann", "airtime", at=at)) == step
    for origin, points in step.items():
        name = f"short of {origin}"
        await shop.member(name, **(plenty | {origin: points - 1}))
        refused = await shop.take(name, "airtime", at=at)
        assert isinstance(refused, ask.Refused)
        assert refused.code is Code.INSUFFICIENT_POINTS
        assert f"{points} points of {origin} were asked; {points - 1}" in refused.detail
    assert await shop.world.breaches() == []


async def test_of_the_four_paths_the_two_across_are_settled(engine: AsyncEngine) -> None:
    """1,000 X + 500 Y at X, and 500 X + 500 Y at Y; a point of X is paid 0.010, one of Y 0.008.

    From 500 X at Y the operator owes the retailer 5.00, from 500 Y at X the retailer 4.00.
    """
    shop = await open_shop(
        engine,
        voucher(price=(mix(telecom=1_000, retail=500),)),
        retail=(goods("kettle", mix(telecom=500, retail=500)),),
    )
    world = shop.world
    prices = {"telecom": "0.010", "retail": "0.008", "fuel": "0.005"}
    terms = [
        replace(
            world.ledger.book.merchants[world.ledger.book.ids[code]].terms,
            prices=(Price(code, None, FIRST_DAY, burn_price=Decimal(price)),),
        )
        for code, price in prices.items()
    ]
    await world.sync(terms)
    await shop.member("ann", telecom=2_000, retail=2_000)
    await shop.taken("ann", "airtime")
    await shop.taken("ann", "kettle", at="retail")
    label = await world.close_early()
    result = await world.result(label)
    nets = {position.party: position.net for position in result.positions}
    assert (nets["telecom"], nets["retail"]) == (-100, 100)
    redeemed = {
        (line.origin, line.redeemer): line.quantity for line in result.paths if line.is_redeemed
    }
    assert redeemed == {
        ("telecom", "telecom"): 1_000,
        ("retail", "telecom"): 500,
        ("telecom", "retail"): 500,
        ("retail", "retail"): 500,
    }
    assert await world.breaches() == []


# ---------------------------------------------------------- a supplier to research laboratories


def _six_forms() -> list[Reward]:
    """One point is worth one yuan; cash-out needs at least 2,000 points."""
    own = mix(telecom=1)
    forms: list[tuple[str, RewardKind]] = [
        ("priority", "service"),
        ("voucher", "voucher"),
        ("gift", "goods"),
        ("card", "voucher"),
        ("made", "service"),
    ]
    rewards = [
        Reward(
            code, code, kind, (mix(telecom=500),),
            voucher=VoucherTerms(value=50_000) if kind == "voucher" else None,
        )
        for code, kind in forms
    ]  # fmt: skip
    cash = Reward("cash", "Cash", "cash_out", (own,), quantity_min=2_000, pays=100)
    return [*rewards, cash]


async def test_there_are_six_forms_of_redemption_and_cash_needs_two_thousand(
    engine: AsyncEngine,
) -> None:
    forms = _six_forms()
    shop = await open_shop(engine, *forms)
    await shop.member("lab", telecom=4_500 + 1_999)
    for reward in forms[:-1]:
        answer = await shop.taken("lab", reward.code)
        assert answer.points == 500
        assert answer.bought is not None
        worth = [one.value for one in answer.bought.vouchers]
        assert worth == ([50_000] if reward.kind == "voucher" else [])
    refused = await shop.take("lab", "cash", 1_999)
    assert isinstance(refused, ask.Refused)
    assert (refused.code, "2000 at least" in refused.detail) == (Code.INVALID, True)
    answer = await shop.taken("lab", "cash", 2_000)
    assert answer.bought is not None
    assert (answer.points, answer.bought.money) == (2_000, -200_000)
    assert (await shop.world.balance("lab")).available == 1_999
    assert await shop.world.breaches() == []


# ------------------------------------------------------------- a general membership programme


async def test_a_voucher_of_a_mall_dies_after_three_months(engine: AsyncEngine) -> None:
    """100 points are worth 1 yuan: 5,000 of them buy a voucher of 50."""
    dies = VoucherTerms(Validity(months=3), value=5_000)
    shop = await open_shop(engine, voucher(price=(mix(any=5_000),), voucher=dies))
    world = shop.world
    await shop.member("ann", telecom=4_000, retail=6_000)
    used, dead = [
        (answer.member_id, answer.burn_no, answer.bought.vouchers[0].voucher_no)
        for answer in (await shop.taken("ann", "airtime"), await shop.taken("ann", "airtime"))
        if answer.bought is not None
    ]
    world.now += timedelta(days=(date(2026, 4, 1) - FIRST_DAY).days)
    answer = done(await world.post(ask.UseVoucher(*used), "telecom"))
    assert isinstance(answer, ask.VoucherAnswer)
    assert (answer.status, answer.expires_on) == ("used", date(2026, 4, 1))
    world.pass_days(1)
    for command in (ask.UseVoucher(*dead), ask.CancelVoucher(*dead)):
        refused = await world.post(command, "telecom")
        assert isinstance(refused, ask.Refused)
        assert refused.code is Code.NOT_USABLE
    assert await world.breaches() == []


async def test_a_malls_limits_hold_a_redemption_a_member_and_a_day(engine: AsyncEngine) -> None:
    """On number a redemption, a member and a day; on value by [burning] of the same file."""
    limits = Limits(per_burn=2, per_member=5, per_member_per_day=3)
    shop = await open_shop(engine, goods("mug", mix(any=100), limits=limits))
    await shop.member("ann", telecom=9_000)
    assert await _codes(shop, 3, 2, 2, 1, 1) == ["limit_reached", 2, "limit_reached", 1,
                                                 "limit_reached"]  # fmt: skip
    shop.world.pass_days(1)
    assert await _codes(shop, 2, 1) == [2, "limit_reached"]
    capped = replace(
        merchant("telecom"),
        points_per_burn_max=150,
        rewards=(goods("mug", mix(any=100)),),
        filed_for=FIRST_DAY + timedelta(days=2),
    )
    own = shop.world.ledger.book.merchants[shop.world.ledger.book.ids["telecom"]].terms
    await shop.world.sync([own, capped, merchant("retail"), merchant("fuel")])
    shop.world.pass_days(1)
    assert await _codes(shop, 2, 1) == ["limit_reached", 1]


async def _codes(shop: Shop, *quantities: int) -> list[int | str]:
    """What became of each: the pieces that were taken, or the code of the refusal."""
    said: list[int | str] = []
    for quantity in quantities:
        outcome = await shop.take("ann", "mug", quantity)
        said.append(outcome.code.value if isinstance(outcome, ask.Refused) else quantity)
    return said


async def test_out_of_stock_and_too_few_points_each_say_the_way_out(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, goods("mug", mix(any=100), stock=1))
    await shop.member("ann", telecom=99)
    poor = await shop.take("ann", "mug")
    assert isinstance(poor, ask.Refused)
    assert poor.detail == "100 points were asked; 99 are available."
    await shop.member("bob", telecom=500)
    await shop.taken("bob", "mug")
    gone = await shop.take("bob", "mug")
    assert isinstance(gone, ask.Refused)
    assert gone.code is Code.OUT_OF_STOCK
    assert "1 of mug were asked; 0 are left. Nothing was taken" in gone.detail


# -------------------------------------------------------- an employer and its partner firms

# Yuan and points: low value with a low threshold, and high value with a high one.
LOW_AND_HIGH = [(14, 400), (27, 800), (47, 1_400), (70, 2_000), (120, 3_500), (135, 4_000)]


@pytest.mark.parametrize(("yuan", "points"), LOW_AND_HIGH)
async def test_an_employers_steps_cost_their_points_as_goods_card_or_voucher(
    engine: AsyncEngine, yuan: int, points: int
) -> None:
    price = (Alternative((("telecom", points),)),)
    worth = VoucherTerms(value=yuan * 100)
    shop = await open_shop(
        engine,
        goods("thing", *price),
        voucher("gift-card", price=price, voucher=replace(worth, part_use=True)),
        voucher("voucher", price=price, voucher=worth),
    )
    await shop.member("ann", telecom=3 * points)
    for form in ("thing", "gift-card", "voucher"):
        answer = await shop.taken("ann", form)
        assert answer.points == points
        assert answer.bought is not None
        values = [one.value for one in answer.bought.vouchers]
        assert values == ([] if form == "thing" else [yuan * 100])
    assert isinstance(await shop.take("ann", "thing"), ask.Refused)
    assert (await shop.world.balance("ann")).available == 0
