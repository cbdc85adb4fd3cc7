"""A voucher whose redeemer is paid when it is used: its burn is held until then."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.rewards.shop import Shop, mix, open_shop, voucher
from tests.world import FIRST_DAY, Balance, done

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.read import card_view
from coalition.terms.prices import Price
from coalition.terms.rewards import VoucherTerms

PRICES = {"telecom": "0.010", "retail": "0.008", "fuel": "0.005"}


async def _shop(engine: AsyncEngine, breakage: Literal["redeemer", "issuer"] = "redeemer") -> Shop:
    """A voucher of telecom's for 500 points of retail's, good for two months."""
    terms = VoucherTerms(Validity(months=2), value=400, redeemer_paid="use", breakage=breakage)
    shop = await open_shop(engine, voucher(price=(mix(retail=500),), stock=3, voucher=terms))
    merchants = shop.world.ledger.book.merchants.values()
    await shop.world.sync(
        [
            replace(
                one.terms,
                prices=(
                    Price(
                        one.terms.code,
                        None,
                        FIRST_DAY,
                        burn_price=Decimal(PRICES[one.terms.code]),
                    ),
                ),
            )
            for one in merchants
        ]
    )
    await shop.member("ann", retail=2_000)
    return shop


def _of(answer: ask.BurnAnswer) -> tuple[int, int, int]:
    assert answer.bought is not None
    (one,) = answer.bought.vouchers
    return answer.member_id, answer.burn_no, one.voucher_no


async def _next_month(shop: Shop) -> str:
    """Close the window that is over; its label."""
    world = shop.world
    label, ends_at = await world.open_window()
    world.now = ends_at + timedelta(hours=12)
    assert await world.close() == [label]
    return label


async def _paid(shop: Shop, label: str) -> dict[str, int]:
    """What each got in a window, in minor units, and did not have to pay."""
    result = await shop.world.result(label)
    return {one.party: one.net for one in result.positions if one.net and one.party != "house"}


async def test_the_redeemer_is_paid_in_the_window_of_the_use(engine: AsyncEngine) -> None:
    shop = await _shop(engine)
    answer = await shop.taken("ann", "airtime")
    assert answer.bought is not None
    assert (answer.status, answer.window) == ("held", None)
    assert answer.bought.vouchers[0].status == "issued"
    assert await shop.world.balance("ann") == Balance(1_500, 500, 0)
    assert await _paid(shop, await _next_month(shop)) == {}
    used = done(await shop.world.post(ask.UseVoucher(*_of(answer)), "telecom"))
    assert isinstance(used, ask.VoucherAnswer)
    assert (used.status, used.remaining, used.available) == ("used", 0, 1_500)
    assert await shop.world.balance("ann") == Balance(1_500, 0, 0)
    # 500 points of retail's at 0.008.
    assert await _paid(shop, await _next_month(shop)) == {"telecom": 400, "retail": -400}
    assert await shop.world.breaches() == []


async def test_unused_the_redeemer_is_paid_at_its_end_where_breakage_is_its(
    engine: AsyncEngine,
) -> None:
    shop = await _shop(engine)
    answer = await shop.taken("ann", "airtime")
    await _next_month(shop)
    await _next_month(shop)
    shop.world.pass_days(1)
    await shop.world.expire()
    assert await shop.world.balance("ann") == Balance(1_500, 0, 0)
    refused = await shop.world.post(ask.UseVoucher(*_of(answer)), "telecom")
    assert isinstance(refused, ask.Refused)
    assert (refused.code, "expired" in refused.detail) == (Code.NOT_USABLE, True)
    assert await _paid(shop, await _next_month(shop)) == {"telecom": 400, "retail": -400}
    assert await shop.world.breaches() == []


async def test_unused_its_points_expire_where_breakage_is_the_issuers(engine: AsyncEngine) -> None:
    shop = await _shop(engine, "issuer")
    answer = await shop.taken("ann", "airtime")
    await _next_month(shop)
    await _next_month(shop)
    shop.world.pass_days(1)
    # Right before any job came by: what is looked at, and whatever is asked for next.
    async with engine.connect() as connection:
        view = await card_view(
            connection, shop.world.people["ann"].card, shop.world.ledger.book, shop.world.now
        )
    assert view is not None
    assert (view.available, view.held) == (1_500, 0)
    await shop.world.earn("ann", "fuel", 10)
    assert await shop.world.balance("ann") == Balance(1_510, 0, 0)
    refused = await shop.world.post(ask.CancelVoucher(*_of(answer)), "telecom")
    assert isinstance(refused, ask.Refused)
    assert refused.code is Code.NOT_USABLE
    label = await _next_month(shop)
    assert await _paid(shop, label) == {}
    result = await shop.world.result(label)
    assert [(line.origin, line.quantity) for line in result.paths if line.kind == "expiry"] == [
        ("retail", 500)
    ]
    assert await shop.world.breaches() == []


@pytest.mark.parametrize("way", ["cancel", "void"])
async def test_cancelled_or_void_its_points_and_its_piece_come_back(
    engine: AsyncEngine, way: str
) -> None:
    shop = await _shop(engine)
    answer = await shop.taken("ann", "airtime")
    if way == "cancel":
        back = done(await shop.world.post(ask.CancelVoucher(*_of(answer)), "telecom"))
        assert isinstance(back, ask.VoucherAnswer)
        assert (back.points, back.available, back.status) == (500, 2_000, "cancelled")
    else:
        done(await shop.world.void(answer))
    assert await shop.world.balance("ann") == Balance(2_000, 0, 0)
    refused = await shop.world.post(ask.UseVoucher(*_of(answer)), "telecom")
    assert isinstance(refused, ask.Refused)
    for _ in range(3):
        await shop.taken("ann", "airtime")
    assert await shop.world.breaches() == []


async def test_it_is_captured_by_its_use_alone(engine: AsyncEngine) -> None:
    shop = await _shop(engine)
    refused = await shop.world.capture(await shop.taken("ann", "airtime"))
    assert isinstance(refused, ask.Refused)
    assert refused.code is Code.NOT_HELD


@pytest.mark.parametrize("more", [{"quantity": 2}, {"hold_seconds": 60}])
async def test_it_is_taken_one_by_one_and_without_a_hold(
    engine: AsyncEngine, more: dict[str, Any]
) -> None:
    shop = await _shop(engine)
    refused = await shop.take("ann", "airtime", **more)
    assert isinstance(refused, ask.Refused)
    assert refused.code is Code.INVALID


async def test_it_is_good_on_its_last_day_and_used_and_issued_in_one_group(
    engine: AsyncEngine,
) -> None:
    shop = await _shop(engine)
    first = await shop.taken("ann", "airtime")
    shop.world.now += timedelta(days=(date(2026, 3, 1) - FIRST_DAY).days)
    world = shop.world
    use = world.request(ask.UseVoucher(*_of(first)), "telecom")
    outcomes = await world.ledger.post([use, world.request(shop.want("ann", "airtime"), "telecom")])
    assert all(isinstance(one, ask.Done) for one in outcomes)
    replay = await world.ledger.post([use])
    assert replay[0] == ask.Done(done(outcomes[0]), replayed=True)
    assert await world.breaches() == []


async def test_points_that_were_owed_are_paid_before_they_expire(engine: AsyncEngine) -> None:
    shop = await _shop(engine, "issuer")
    earned = done(await shop.world.earn("ann", "retail", 500))
    assert isinstance(earned, ask.EarnAnswer)
    await shop.taken("ann", "airtime")
    done(await shop.world.burn("ann", "retail", 2_000))
    done(await shop.world.reverse_earn(earned, 300))
    assert await shop.world.balance("ann") == Balance(0, 500, 300)
    shop.world.pass_days(62)
    await shop.world.expire()
    assert await shop.world.balance("ann") == Balance(0, 0, 0)
    assert await shop.world.breaches() == []
