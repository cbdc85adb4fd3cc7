"""Earns by rules: a lot for each rule and each who pays, and returns that find all of them."""

from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import Balance, World, done, merchant

from coalition.earning.rules.rate import RateRule
from coalition.earning.validity import Validity
from coalition.ledger import commands as ask
from coalition.ledger.commands import Done, EarnAnswer, ReversalAnswer
from coalition.terms.prices import Price

HALVES = (("telecom", Decimal("0.5")), ("retail", Decimal("0.5")))
DOUBLE = RateRule(name="double", points=Decimal(2), per=100, paid_by=HALVES)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    telecom = replace(merchant("telecom"), rules=(DOUBLE,))
    await made.sync([telecom, merchant("retail"), merchant("fuel")])
    await made.enrol("ann")
    return made


async def earned(world: World, amount: int) -> EarnAnswer:
    answer = done(await world.earn("ann", "telecom", amount=amount))
    assert isinstance(answer, EarnAnswer)
    return answer


async def returned(world: World, earn: EarnAnswer, points: int | None = None) -> ReversalAnswer:
    answer = done(await world.reverse_earn(earn, points))
    assert isinstance(answer, ReversalAnswer)
    return answer


async def remaining(world: World) -> list[tuple[str, int]]:
    return [(lot.origin, lot.remaining) for lot in await world.lots("ann")]


async def test_each_rule_makes_a_lot_for_each_who_pays(world: World) -> None:
    answer = await earned(world, 10_150)
    code = world.code
    assert [(code(lot.origin_id), lot.rule, lot.kind, lot.points) for lot in answer.lots] == [
        ("telecom", None, "purchase", 101),
        ("telecom", "double", "purchase", 102),
        ("retail", "double", "purchase", 101),
    ]
    assert (answer.points, answer.available) == (304, 304)
    assert await world.breaches() == []


async def test_a_replay_says_which_rule_gave_what(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, amount=999), "telecom")
    first, again = [(await world.ledger.post([request]))[0] for _ in range(2)]
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert (again.replayed, again.answer) == (True, first.answer)


async def test_a_preview_says_what_the_earn_then_does_and_writes_nothing(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, amount=999), "telecom")
    seen = await world.ledger.preview(replace(request, request_id=None))
    assert await world.lots("ann") == []
    posted = (await world.ledger.post([request]))[0]
    assert isinstance(seen, Done)
    assert isinstance(posted, Done)
    assert (seen.answer, seen.reckoning) == (posted.answer, posted.reckoning)


async def test_a_whole_return_takes_from_each_lot_what_it_gave(world: World) -> None:
    answer = await returned(world, await earned(world, 10_150))
    assert (answer.points, answer.owed, answer.available) == (304, 0, 0)
    assert await remaining(world) == [("telecom", 0), ("telecom", 0), ("retail", 0)]
    assert await world.breaches() == []


async def test_a_part_is_taken_in_the_ratio_of_what_the_lots_gave(world: World) -> None:
    earn = await earned(world, 10_000)
    await returned(world, earn, 150)
    assert await remaining(world) == [("telecom", 50), ("telecom", 50), ("retail", 50)]
    assert await world.breaches() == []


async def test_what_is_spent_is_owed_to_the_origin_of_its_own_lot(world: World) -> None:
    earn = await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 100, world.take("only", only="retail")))
    answer = await returned(world, earn)
    assert (answer.points, answer.owed, answer.available) == (300, 100, 0)
    assert await world.breaches() == []
    # telecom's next points pay nothing of it, retail's do.
    assert (await earned(world, 100)).available == 2
    paid = done(await world.earn("ann", "retail", 60))
    assert isinstance(paid, EarnAnswer)
    assert paid.available == 2
    assert await world.breaches() == []


async def test_a_missing_part_comes_from_the_origins_other_lots_before_it_is_owed(
    world: World,
) -> None:
    earn = await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 100, world.take("only", only="retail")))
    done(await world.earn("ann", "retail", 70))
    answer = await returned(world, earn)
    assert (answer.points, answer.owed, answer.available) == (300, 30, 0)
    assert await world.breaches() == []


async def test_parts_of_a_return_owe_what_the_whole_would(world: World) -> None:
    earn = await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 100, world.take("only", only="retail")))
    first = await returned(world, earn, 30)
    assert (first.points, first.owed) == (30, 10)
    second = await returned(world, earn)
    assert (second.points, second.owed) == (270, 90)
    assert await world.breaches() == []


async def test_what_is_owed_of_a_single_lot_is_owed_to_who_paid_for_it(engine: AsyncEngine) -> None:
    world = World(engine)
    given = replace(DOUBLE, paid_by=(("retail", Decimal(1)),))
    telecom = replace(merchant("telecom"), rates=(), rules=(given,))
    await world.sync([telecom, merchant("retail"), merchant("fuel")])
    await world.enrol("ann")
    earn = await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 150))
    first = await returned(world, earn, 120)
    second = await returned(world, earn)
    assert (first.points, first.owed, second.points, second.owed) == (120, 70, 80, 80)
    assert await world.breaches() == []
    await returned(world, await earned(world, 100))
    assert await world.breaches() == []


@pytest.mark.parametrize("first", [None, 1, 100, 299])
async def test_what_lapsed_of_each_lot_is_gone_and_what_was_spent_is_owed(
    engine: AsyncEngine, first: int | None
) -> None:
    world = World(engine)
    telecom = replace(merchant("telecom"), rules=(DOUBLE,), validity=Validity(days=10))
    await world.sync([telecom, merchant("retail"), merchant("fuel")])
    await world.enrol("ann")
    earn = await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 130, world.take("mix", mix={"retail": 90, "telecom": 40})))
    world.pass_days(11)
    parts = [await returned(world, earn, first)] if first else []
    parts.append(await returned(world, earn))
    assert sum(part.owed for part in parts) == 130
    assert await world.balance("ann") == Balance(0, 0, 130)
    assert await world.breaches() == []
    # 40 are owed to telecom, 90 to retail.
    done(await world.earn("ann", "retail", 100))
    assert await world.balance("ann") == Balance(10, 0, 40)


async def test_who_pays_for_a_bonus_settles_for_its_own_points(engine: AsyncEngine) -> None:
    world = World(engine)
    price = Price("", None, date(2025, 1, 1), burn_price=Decimal("0.01"))
    terms = [
        replace(merchant(code), prices=(replace(price, origin=code),))
        for code in ("telecom", "retail", "fuel")
    ]
    await world.sync([replace(terms[0], rules=(DOUBLE,)), *terms[1:]])
    await world.enrol("ann")
    await earned(world, 10_000)
    done(await world.burn("ann", "fuel", 300))
    label = await world.close_early()
    result = await world.result(label)
    nets = {position.party: position.net for position in result.positions}
    assert nets == {"telecom": -200, "retail": -100, "fuel": 300, "house": 0}
    assert await world.breaches() == []


async def test_an_action_that_the_terms_do_not_know_is_invalid(world: World) -> None:
    command = ask.Earn(world.people["ann"].card, world.now, amount=900, action="survey")
    outcome = await world.post(command, "telecom")
    assert getattr(outcome, "detail", "") == "action: telecom's terms define no actions yet"


async def test_a_payer_that_is_suspended_pays_for_nothing_and_the_rest_is_earned(
    world: World,
) -> None:
    await world.sync(
        [
            replace(merchant("telecom"), rules=(DOUBLE,)),
            replace(merchant("retail"), suspended=True),
            merchant("fuel"),
        ]
    )
    outcome = await world.earn("ann", "telecom", amount=10_000)
    assert isinstance(outcome, Done)
    assert outcome.reckoning is not None
    assert outcome.reckoning.points == 100
    assert [one.why for one in outcome.reckoning.passed] == ["retail, who pays, is suspended"]
