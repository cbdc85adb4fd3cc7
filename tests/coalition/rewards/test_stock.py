"""Stock and limits are never exceeded, whoever asks, together or from two processes."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.rewards.shop import goods, mix, open_shop, voucher

from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.post import Ledger
from coalition.terms.rewards import Limits
from coalition.verify import verify


async def _sold(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("select reward, sold from reward_count"))
        return {row.reward: row.sold for row in rows}


async def test_two_processes_never_sell_more_than_there_is(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, voucher(stock=7), goods("mug", mix(telecom=1), stock=9))
    names = [f"m{number}" for number in range(16)]
    for name in names:
        await shop.member(name, telecom=501, retail=500)
    other = Ledger(engine)
    await other.start()
    requests = [
        shop.world.request(shop.want(name, reward), "telecom")
        for name in names
        for reward in ("airtime", "mug")
    ]
    # Each process has many small groups, and both ask for the same two rewards in either order.
    both = [
        (shop.world.ledger if place % 2 else other, requests[place : place + 4])
        for place in range(0, len(requests), 4)
    ]
    outcomes = await asyncio.gather(*(ledger.post(group) for ledger, group in both))
    done = [one for group in outcomes for one in group if isinstance(one, ask.Done)]
    refused = {one.code for group in outcomes for one in group if isinstance(one, ask.Refused)}
    assert (len(done), refused) == (16, {Code.OUT_OF_STOCK})
    assert await _sold(engine) == {"airtime": 7, "mug": 9}
    async with engine.connect() as connection:
        assert await verify(connection) == []


async def test_one_members_limit_holds_when_it_asks_twice_at_once(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, goods("mug", mix(any=10), limits=Limits(per_member=2)))
    await shop.member("ann", telecom=900)
    other = Ledger(engine)
    await other.start()
    outcomes = await asyncio.gather(
        *(
            ledger.post([shop.world.request(shop.want("ann", "mug"), "telecom")])
            for ledger in (shop.world.ledger, other) * 3
        )
    )
    codes = sorted("done" if isinstance(one, ask.Done) else one.code.value for (one,) in outcomes)
    assert codes == ["done"] * 2 + ["limit_reached"] * 4


async def test_a_limit_over_all_members_is_given_back_with_the_reward(
    engine: AsyncEngine,
) -> None:
    shop = await open_shop(engine, goods("mug", mix(any=10), limits=Limits(in_all=2)))
    for name in ("ann", "bob"):
        await shop.member(name, retail=100)
    first = await shop.taken("ann", "mug", 2)
    refused = await shop.take("bob", "mug")
    assert isinstance(refused, ask.Refused)
    assert refused.code is Code.LIMIT_REACHED
    await shop.world.reverse_burn(first)
    await shop.taken("bob", "mug")
    assert await _sold(engine) == {"mug": 1}


async def test_in_one_group_a_reversal_makes_room_for_whoever_comes_after(
    engine: AsyncEngine,
) -> None:
    shop = await open_shop(engine, goods("mug", mix(any=10), stock=1))
    for name in ("ann", "bob", "cyd"):
        await shop.member(name, retail=100)
    first = await shop.taken("ann", "mug")
    world = shop.world
    outcomes = await world.ledger.post(
        [
            world.request(shop.want("bob", "mug"), "telecom"),
            world.request(ask.ReverseBurn(first.member_id, first.burn_no), "telecom"),
            world.request(shop.want("bob", "mug"), "telecom"),
            world.request(shop.want("cyd", "mug"), "telecom"),
        ]
    )
    codes = [one.code if isinstance(one, ask.Refused) else "done" for one in outcomes]
    assert codes == [Code.OUT_OF_STOCK, "done", "done", Code.OUT_OF_STOCK]


async def test_the_database_itself_lets_no_more_go_than_there_is(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, goods("mug", mix(any=10), stock=1))
    await shop.member("ann", retail=100)
    await shop.taken("ann", "mug")
    with pytest.raises(DBAPIError, match="the stock is 1"):
        async with engine.begin() as connection:
            await connection.execute(text("update reward_count set sold = 2"))
