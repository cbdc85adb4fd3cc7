"""A preview is decided by what decides the earn: whatever is asked, the two say the same."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import text
from tests.world import SEAL_KEY, World, merchant

from coalition import database
from coalition.earning.conditions import Conditions, Hours
from coalition.earning.purchase import CHANNELS, Item
from coalition.earning.rules.fixed import FixedRule
from coalition.earning.rules.items import ItemsRule
from coalition.earning.rules.multiplier import MultiplierRule
from coalition.earning.rules.quantity import QuantityRule
from coalition.earning.rules.rate import RateRule
from coalition.ledger.commands import Done, Earn

HALVES = (("telecom", Decimal("0.5")), ("retail", Decimal("0.5")))
RULES = (
    RateRule(name="data", points=Decimal("0.3"), per=7, when=Conditions(category=("data",))),
    QuantityRule(name="pieces", points=Decimal(1), paid_by=HALVES, per_earn=3),
    ItemsRule(name="tins", points={"s1": 4}, group="best", when=Conditions(channel=("web", "sms"))),
    FixedRule(name="survey", lots="reward", points=9, when=Conditions(action=("survey",))),
    FixedRule(name="evening", points=5, group="best", when=Conditions(hours=Hours(1_080, 120))),
    RateRule(name="net", points=Decimal(1), per=100, net_of=("tax", "points"), paid_by=HALVES),
    MultiplierRule(name="double", factor=Decimal(2), paid_by=(("fuel", Decimal(1)),)),
)
MERCHANTS = [
    replace(merchant("telecom"), rules=RULES),
    replace(merchant("retail"), rules=RULES, rates=(), points_per_earn_max=200),
    replace(merchant("fuel"), suspended=True),
]
items = st.builds(
    Item,
    st.integers(0, 3_000),
    st.sampled_from(["data", None]),
    st.sampled_from(["s1", None]),
    st.integers(1, 3),
)

merchants = st.sampled_from(["telecom", "telecom", "retail", "fuel"])


@st.composite
def earns(draw: st.DrawFn) -> dict[str, Any]:
    """What a till says; now and then it is wrong."""
    lines = tuple(draw(st.lists(items, max_size=3)))
    amount = sum(line.amount for line in lines) + draw(st.integers(-1, 9_000))
    return {
        "amount": draw(st.sampled_from([None, max(amount, 0)])),
        "items": lines,
        "action": draw(st.sampled_from([None, None, "survey", "survey", "unknown"])),
        "channel": draw(st.sampled_from([None, *CHANNELS])),
        "tax": draw(st.integers(0, max(amount, 0) // 2)) if lines else 0,
        "paid_with_points": draw(st.sampled_from([0, 0, 50])),
    }


async def _world(url: str) -> World:
    world = World(database.create_engine(url, SEAL_KEY))
    await world.sync(MERCHANTS)
    await world.enrol("ann")
    world.now += timedelta(days=2)
    return world


async def _postings(world: World) -> int:
    async with world.engine.connect() as connection:
        return int(await connection.scalar(text("select count(*) from posting")) or 0)


def test_a_preview_says_what_the_same_earn_is_then_answered(database_url: str) -> None:
    with asyncio.Runner() as runner:
        world = runner.run(_world(database_url))

        @settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
        @given(
            earns(), st.sampled_from(["telecom", "telecom", "retail", "fuel"]), st.integers(0, 47)
        )
        def compare(said: dict[str, Any], at: str, hours_ago: int) -> None:
            runner.run(_compare(world, said, at, timedelta(hours=hours_ago)))

        compare()
        assert runner.run(_postings(world)) > 10
        assert runner.run(world.breaches()) == []
        runner.run(world.engine.dispose())


async def _compare(world: World, said: dict[str, Any], at: str, ago: timedelta) -> None:
    command = Earn(world.people["ann"].card, world.now - ago, **said)
    request = world.request(command, at)
    before = await _postings(world)
    seen = await world.ledger.preview(replace(request, request_id=None))
    assert await _postings(world) == before
    posted = (await world.ledger.post([request]))[0]
    if isinstance(posted, Done):
        assert isinstance(seen, Done)
        assert (seen.answer, seen.reckoning) == (posted.answer, posted.reckoning)
        assert sum(lot.points for lot in _lots(posted)) == _reckoned(posted)
    else:
        assert seen == posted


def _lots(done: Done) -> Any:
    return getattr(done.answer, "lots", ())


def _reckoned(done: Done) -> int:
    assert done.reckoning is not None
    return done.reckoning.points
