"""Brackets of a period's spend: what the sum comes to, however it is bought and returned."""

import asyncio
from datetime import date
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import Balance, World, done, merchant, noon

from coalition.earning.rules.brackets import Bracket, BracketsRule
from coalition.earning.rules.rate import RateRule
from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.commands import EarnAnswer, Refused, ReversalAnswer
from coalition.ledger.post import Ledger

PERIODS = "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20"
STEPS = {1_000_000: 2_000, 2_000_000: 1_500, 3_000_000: 1_250, 4_000_000: 1_000, None: 800}
PURCHASES = BracketsRule(
    name="purchases",
    period=PERIODS,
    brackets=tuple(Bracket(up_to, Decimal(1), per) for up_to, per in STEPS.items()),
)


async def a_world(engine: AsyncEngine, **terms: object) -> World:
    made = World(engine)
    lab = replace(merchant("lab"), rates=(), rules=(PURCHASES,))
    await made.sync([replace(lab, **terms), merchant("retail")])
    await made.enrol("ann")
    return made


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await a_world(engine)


async def bought(world: World, amount: int) -> EarnAnswer:
    answer = done(await world.earn("ann", "lab", amount=amount))
    assert isinstance(answer, EarnAnswer)
    return answer


async def returned(world: World, earn: EarnAnswer, amount: int | None = None) -> ReversalAnswer:
    answer = done(await world.reverse_earn(earn, amount=amount))
    assert isinstance(answer, ReversalAnswer)
    return answer


@pytest.mark.parametrize(
    ("spent", "points"),
    [(10_000, 500), (20_000, 1_167), (30_000, 1_967), (40_000, 2_967), (50_000, 4_217)],
)
def test_a_sum_comes_to_what_the_programme_says(spent: int, points: int) -> None:
    assert PURCHASES.total(spent * 100) == points


async def test_five_purchases_come_to_what_one_of_their_sum_does(world: World) -> None:
    answers = [await bought(world, 1_000_000) for _ in range(5)]
    assert [answer.available for answer in answers] == [500, 1_167, 1_967, 2_967, 4_217]
    assert await world.breaches() == []


async def test_purchases_too_small_for_a_point_count_all_the_same(world: World) -> None:
    answers = [await bought(world, 500) for _ in range(8)]
    assert [answer.points for answer in answers] == [0, 1, 0, 0, 0, 1, 0, 0]
    assert answers[0].lots == ()
    assert await world.breaches() == []


async def test_the_next_period_begins_with_nothing(world: World) -> None:
    await bought(world, 1_500_000)
    # Every second month from January 2000 on: the 20th of January ends the first.
    world.now = noon(date(2026, 1, 20))
    assert (await bought(world, 500_000)).points == 334
    world.now = noon(date(2026, 1, 21))
    assert (await bought(world, 1_000_000)).points == 500
    assert await world.breaches() == []


async def test_a_return_takes_what_the_sum_comes_to_less(world: World) -> None:
    first = await bought(world, 1_000_000)
    second = await bought(world, 1_000_000)
    # 1,167 - 500, of which its own lot has 500: the rest comes from the period's other.
    answer = await returned(world, first)
    assert (answer.points, answer.owed, answer.available) == (667, 0, 500)
    answer = await returned(world, second)
    assert (answer.points, answer.available) == (500, 0)
    assert await world.breaches() == []


async def test_what_is_missing_comes_from_the_period_before_the_origins_other_points(
    world: World,
) -> None:
    done(await world.earn("ann", "lab", 300))
    first = await bought(world, 1_000_000)
    await bought(world, 1_000_000)
    await returned(world, first)
    assert [lot.remaining for lot in await world.lots("ann")] == [300, 0, 500]
    assert await world.breaches() == []


async def test_what_is_spent_is_owed_and_what_the_next_purchase_gives_pays_it(
    world: World,
) -> None:
    first = await bought(world, 1_000_000)
    await bought(world, 1_000_000)
    done(await world.burn("ann", "retail", 1_100))
    answer = await returned(world, first)
    assert (answer.points, answer.owed, answer.available) == (667, 600, 0)
    assert await world.breaches() == []
    assert (await bought(world, 1_000_000)).available == 67
    assert await world.breaches() == []


async def test_what_lapsed_in_the_period_is_gone_first_and_not_owed(engine: AsyncEngine) -> None:
    world = await a_world(engine, validity=Validity(period_rule=PERIODS))
    first = await bought(world, 1_000_000)
    second = await bought(world, 1_000_000)
    world.now = noon(date(2026, 1, 25))
    # In the group of the return itself, or by the job before it.
    answer = await returned(world, first)
    assert (answer.points, answer.owed) == (0, 0)
    await world.expire()
    answer = await returned(world, second)
    assert (answer.points, answer.owed) == (0, 0)
    assert await world.balance("ann") == Balance(0, 0, 0)
    assert await world.breaches() == []


async def test_a_return_after_the_period_ended_takes_out_of_that_period(world: World) -> None:
    first = await bought(world, 1_500_000)
    world.now = noon(date(2026, 1, 25))
    await bought(world, 1_000_000)
    answer = await returned(world, first, 1_000_000)
    assert (answer.points, answer.available) == (833 - 250, 750)
    assert await world.breaches() == []


async def test_beside_brackets_every_other_rule_gives_back_what_it_gave(
    engine: AsyncEngine,
) -> None:
    extra = RateRule(name="extra", points=Decimal(1), per=10_000)
    world = await a_world(engine, rules=(PURCHASES, extra))
    first = await bought(world, 1_000_000)
    second = await bought(world, 1_000_000)
    assert (first.points, second.points) == (600, 767)
    assert (await returned(world, first)).points == 100 + 667
    assert (await returned(world, second, 500_000)).points == 50 + 250
    assert (await returned(world, second)).available == 0
    assert await world.breaches() == []


async def test_an_earn_with_brackets_is_returned_by_amount_and_not_by_points(world: World) -> None:
    first = await bought(world, 1_000_000)
    refused = await world.reverse_earn(first, 100)
    assert isinstance(refused, Refused)
    assert refused.code == Code.INVALID
    await returned(world, first)
    refused = await world.reverse_earn(first)
    assert isinstance(refused, Refused)
    assert refused.code == Code.ALREADY_REVERSED


async def test_earns_and_returns_in_one_group_and_in_two_processes_come_to_the_sum(
    world: World,
) -> None:
    other = Ledger(world.engine)
    await other.start()
    amounts = (123_456, 999_999, 777, 50, 1_000_001, 333_333)
    card = world.people["ann"].card
    asked = [world.request(ask.Earn(card, world.now, amount=amount), "lab") for amount in amounts]
    parts = ((other, asked[:2]), (world.ledger, asked[2:4]), (other, asked[4:]))
    outcomes = await asyncio.gather(*(ledger.post(part) for ledger, part in parts))
    assert (await world.balance("ann")).available == PURCHASES.total(sum(amounts))
    earns = [done(one) for group in outcomes for one in group]
    await asyncio.gather(
        *(world.reverse_earn(one) for one in earns[1:4] if isinstance(one, EarnAnswer))
    )
    kept = sum(amounts[:1] + amounts[4:])
    assert (await world.balance("ann")).available == PURCHASES.total(kept)
    assert await world.breaches() == []


async def test_whatever_is_bought_and_returned_the_balance_is_what_the_kept_sum_comes_to(
    world: World,
) -> None:
    drawn = Random(20)
    kept: list[tuple[EarnAnswer, int]] = []
    for _ in range(40):
        if kept and drawn.random() < 0.45:
            place = drawn.randrange(len(kept))
            earn, left = kept.pop(place)
            part = drawn.choice([left, drawn.randint(1, left)])
            await returned(world, earn, None if part == left else part)
            if part < left:
                kept.append((earn, left - part))
        else:
            amount = drawn.choice([drawn.randint(1, 3_000), drawn.randint(1, 2_000_000)])
            kept.append((await bought(world, amount), amount))
        total = sum(left for _, left in kept)
        assert await world.balance("ann") == Balance(PURCHASES.total(total), 0, 0)
    assert await world.breaches() == []
