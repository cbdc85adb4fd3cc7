"""Terms may give more time to points that were earned before; never less."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import FIRST_DAY, World, done, merchant, noon

from coalition.earning.validity import Validity
from coalition.ledger import commands as ask
from coalition.ledger.read import card_view

SHORT = Validity(days=30)
LONG = Validity(days=90, extends_earned=True)
FIRST_END = FIRST_DAY + timedelta(days=30)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Ann has 100 points of one, good for 30 days, and 50 of other, good for 60."""
    world = World(engine)
    await _agree(world, SHORT)
    await world.enrol("ann")
    done(await world.earn("ann", "one", 100))
    done(await world.earn("ann", "other", 50))
    return world


async def _agree(world: World, validity: Validity) -> None:
    other = replace(merchant("other"), validity=Validity(days=60))
    await world.sync([replace(merchant("one"), validity=validity), other])


async def _days(world: World) -> list[date | None]:
    """Until when each lot is good as it is stored."""
    return [lot.expires_on for lot in await world.lots("ann")]


async def _shown(world: World) -> dict[date, int]:
    async with world.engine.connect() as connection:
        card = world.people["ann"].card
        view = await card_view(connection, card, world.ledger.book, world.now)
    assert view is not None
    return view.expiring


async def test_points_that_were_earned_before_live_longer_and_nothing_is_rewritten(
    world: World,
) -> None:
    before = await _days(world)
    await _agree(world, LONG)
    world.pass_days(1)
    await world.ledger.refresh()
    longer = FIRST_DAY + timedelta(days=90)
    # Shown at once, and written when somebody moves the points or they would have lapsed.
    assert await _shown(world) == {longer: 100, FIRST_DAY + timedelta(days=60): 50}
    assert await _days(world) == before
    world.now = noon(FIRST_END + timedelta(days=1))
    assert await world.expire() == (0, 0)
    assert (await _days(world))[0] == longer
    world.now = noon(longer + timedelta(days=1))
    assert await world.expire() == (0, 150)
    assert await world.breaches() == []


async def test_a_burn_takes_first_what_lapses_first_with_the_time_that_was_given(
    world: World,
) -> None:
    await _agree(world, LONG)
    world.pass_days(1)
    answer = done(await world.burn("ann", "one", 60))
    assert isinstance(answer, ask.BurnAnswer)
    taken = [(world.code(leg.origin_id), leg.points) for leg in answer.legs]
    assert taken == [("other", 50), ("one", 10)]
    assert await world.breaches() == []


async def test_terms_without_the_word_hold_for_new_points_only(world: World) -> None:
    await _agree(world, replace(LONG, extends_earned=False))
    world.pass_days(1)
    assert FIRST_END in await _shown(world)
    world.now = noon(FIRST_END + timedelta(days=1))
    assert await world.expire() == (0, 100)


async def test_what_is_shorter_takes_nothing_away(world: World) -> None:
    await _agree(world, Validity(days=10, extends_earned=True))
    world.now = noon(FIRST_END)
    assert await world.expire() == (0, 0)
    world.pass_days(1)
    assert await world.expire() == (0, 100)


async def test_what_was_given_stays_when_later_terms_give_it_no_more(world: World) -> None:
    """Whether or not anybody looked while the terms were in force that gave it."""
    await _agree(world, LONG)
    world.pass_days(5)
    await _agree(world, SHORT)
    world.pass_days(5)
    assert FIRST_DAY + timedelta(days=90) in await _shown(world)
    world.now = noon(FIRST_END + timedelta(days=1))
    assert await world.expire() == (0, 0)


async def test_terms_that_begin_after_the_points_lapsed_bring_none_back(world: World) -> None:
    world.now = noon(FIRST_END)
    # In force from the day after, on which the points are gone, though no job has come by.
    await _agree(world, LONG)
    world.pass_days(1)
    assert await _shown(world) == {FIRST_DAY + timedelta(days=60): 50}
    assert await world.expire() == (0, 100)


async def test_points_may_be_given_time_for_ever(world: World) -> None:
    await _agree(world, Validity(extends_earned=True))
    world.now = noon(FIRST_DAY + timedelta(days=400))
    assert await world.expire() == (0, 50)
    assert (await _days(world))[0] is None
    assert (await world.balance("ann")).available == 100
    assert await world.breaches() == []


async def test_a_replay_answers_the_day_that_was_granted(world: World) -> None:
    request = world.request(ask.Earn(world.people["ann"].card, world.now, points=10), "one")
    [first] = await world.ledger.post([request])
    await _agree(world, LONG)
    world.pass_days(1)
    done(await world.burn("ann", "one", 155))
    assert isinstance(first, ask.Done)
    [again] = await world.ledger.post([request])
    assert again == ask.Done(first.answer, replayed=True)


async def test_a_gift_goes_with_the_time_that_was_given(world: World) -> None:
    await world.enrol("bob")
    await _agree(world, LONG)
    world.pass_days(1)
    one = ask.Take("only", only=world.ledger.book.ids["one"])
    done(await world.transfer("ann", "bob", 40, "one", one))
    assert [lot.expires_on for lot in await world.lots("bob")] == [FIRST_DAY + timedelta(days=90)]
