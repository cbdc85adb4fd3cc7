"""Caps over days, periods and members, and first visits: right in groups, and undone by returns."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner
from tests.world import World, done, merchant, noon

from coalition.earning.conditions import Conditions
from coalition.earning.memory import PERIODS
from coalition.earning.rules.fixed import FixedRule
from coalition.earning.rules.rate import RateRule
from coalition.ledger import commands as ask
from coalition.ledger.commands import EarnAnswer
from coalition.ledger.post import Ledger

RULE = RateRule(
    name="bonus",
    points=Decimal(1),
    per=100,
    period=PERIODS["month"],
    per_day=100,
    per_period=150,
    per_member=220,
)
WELCOME = FixedRule(name="welcome", points=50, when=Conditions(first_visit=True))


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    shop = replace(merchant("shop"), rates=(), rules=(RULE,))
    await made.sync([shop, merchant("cafe")])
    await made.enrol("ann")
    return made


async def bought(world: World, amount: int, at: str = "shop") -> EarnAnswer:
    answer = done(await world.earn("ann", at, amount=amount))
    assert isinstance(answer, EarnAnswer)
    return answer


async def with_welcome(world: World) -> None:
    cafe = replace(merchant("cafe"), rules=(WELCOME,))
    world.now = noon(date(2026, 1, 2))
    await world.sync([replace(merchant("shop"), rates=(), rules=(RULE,)), cafe])
    world.now = noon(date(2026, 1, 3))


async def test_a_day_a_period_and_a_member_have_their_caps(world: World) -> None:
    given = [(await bought(world, 8_000)).points, (await bought(world, 8_000)).points]
    world.now = noon(date(2026, 1, 2))
    given.append((await bought(world, 8_000)).points)
    world.now = noon(date(2026, 2, 1))
    given.append((await bought(world, 8_000)).points)
    assert given == [80, 20, 50, 70]
    assert await world.breaches() == []


async def test_a_rule_whose_cap_is_reached_stops_and_the_earn_does_not(engine: AsyncEngine) -> None:
    world = World(engine)
    await world.sync([replace(merchant("shop"), rules=(RULE,)), merchant("cafe")])
    await world.enrol("ann")
    assert (await bought(world, 10_000)).points == 200
    request = world.request(ask.Earn(world.people["ann"].card, world.now, amount=5_000), "shop")
    outcome = (await world.ledger.post([request]))[0]
    assert isinstance(outcome, ask.Done)
    assert outcome.reckoning is not None
    assert outcome.reckoning.points == 50
    assert outcome.reckoning.passed[0].why == "50 points, and at most 100 a day"


async def test_a_return_makes_room_again(world: World) -> None:
    first = await bought(world, 10_000)
    done(await world.reverse_earn(first, amount=4_000))
    assert (await bought(world, 10_000)).points == 40
    done(await world.reverse_earn(first))
    assert (await bought(world, 10_000)).points == 60
    assert await world.breaches() == []


async def test_a_cap_holds_in_a_group_and_in_two_processes(world: World) -> None:
    other = Ledger(world.engine)
    await other.start()
    card = world.people["ann"].card
    asked = [world.request(ask.Earn(card, world.now, amount=3_000), "shop") for _ in range(8)]
    await asyncio.gather(world.ledger.post(asked[:4]), other.post(asked[4:]))
    assert (await world.balance("ann")).available == 100
    assert await world.breaches() == []


async def test_a_first_visit_is_welcomed_once_and_again_when_it_was_returned(world: World) -> None:
    await with_welcome(world)
    first = await bought(world, 1_000, "cafe")
    second = await bought(world, 1_000, "cafe")
    assert (first.points, second.points) == (60, 10)
    done(await world.reverse_earn(second))
    assert (await bought(world, 1_000, "cafe")).points == 10
    assert await world.breaches() == []


async def test_the_month_of_the_birthday_and_the_age_of_membership_are_the_members(
    world: World,
) -> None:
    rules = (
        FixedRule(name="birthday", points=30, when=Conditions(birthday_month=True)),
        FixedRule(name="loyal", points=7, when=Conditions(member_months=2)),
    )
    world.now = noon(date(2026, 1, 2))
    shop = replace(merchant("shop"), rates=(), rules=(RULE,))
    await world.sync([shop, replace(merchant("cafe"), rules=rules)])
    async with owner(world.engine).begin() as connection:
        await connection.execute(
            text("update member set birth_month = 3, birthday_sealed = '\\x00'")
        )
    world.now = noon(date(2026, 2, 28))
    assert (await bought(world, 1_000, "cafe")).points == 10
    world.now = noon(date(2026, 3, 1))
    assert (await bought(world, 1_000, "cafe")).points == 10 + 30 + 7
    world.now = noon(date(2026, 4, 1))
    assert (await bought(world, 1_000, "cafe")).points == 10 + 7


async def test_who_returned_the_first_visit_whole_has_it_before_them(world: World) -> None:
    await with_welcome(world)
    done(await world.reverse_earn(await bought(world, 1_000, "cafe")))
    assert (await bought(world, 1_000, "cafe")).points == 60
    assert await world.breaches() == []


async def test_who_earned_there_before_visits_were_counted_is_no_first_visitor(
    world: World,
) -> None:
    await bought(world, 1_000, "cafe")
    await with_welcome(world)
    assert (await bought(world, 1_000, "cafe")).points == 10
    assert await world.breaches() == []
