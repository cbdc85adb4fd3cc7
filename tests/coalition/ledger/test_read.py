"""The read side against what the door wrote: a view is what the jobs would have left."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.earning.validity import Validity
from coalition.ledger import read
from coalition.ledger.commands import BurnAnswer, EarnAnswer
from coalition.terms.terms import Terms


def _short_lived(code: str) -> Terms:
    made = merchant(code)
    return Terms(
        **{field: getattr(made, field) for field in made.__struct_fields__}
        | {"validity": Validity(days=10, grace_days=7)}
    )


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    await made.sync([_short_lived("bakery"), merchant("wine")])
    await made.enrol("ann")
    await made.enrol("bob")
    return made


async def _card(world: World, name: str = "ann") -> read.CardView:
    async with world.engine.connect() as connection:
        view = await read.card_view(
            connection, world.people[name].card, world.ledger.book, world.now
        )
    assert view is not None
    return view


async def _burn(world: World, burn: BurnAnswer) -> read.BurnView:
    async with world.engine.connect() as connection:
        view = await read.burn_view(connection, burn.member_id, burn.burn_no, world.now)
    assert view is not None
    return view


@pytest.mark.parametrize("days", [0, 1, 2, 3, 9, 10, 11, 30])
async def test_a_card_shows_before_the_jobs_what_it_shows_after_them(
    world: World, days: int
) -> None:
    await world.earn("ann", "bakery", 100)
    await world.earn("ann", "wine", 50)
    world.pass_days(9)
    # Held over the tenth day, the lot's last: 40 points expire, and 60 come back with their grace.
    await world.burn("ann", "bakery", 60, hold_seconds=3 * 86_400)
    world.pass_days(days)
    before = await _card(world)
    await world.expire()
    assert await _card(world) == before
    balance = await world.balance("ann")
    assert (before.available, before.held) == (balance.available, balance.held)
    assert sum(before.origins.values()) == before.available


@pytest.mark.parametrize("days", [3, 10, 11, 12, 13, 14, 20, 21])
async def test_two_holds_that_end_one_after_the_other_show_what_the_jobs_then_write(
    world: World, days: int
) -> None:
    earned = done(await world.earn("ann", "bakery", 100))
    assert isinstance(earned, EarnAnswer)
    # One ends while the lot is good, the other after its day and the first one's.
    await world.burn("ann", "bakery", 30, hold_seconds=11 * 86_400)
    await world.burn("ann", "bakery", 30, hold_seconds=12 * 86_400)
    await world.burn("ann", "wine", 20, hold_seconds=20 * 86_400)
    await world.reverse_earn(earned, 35)
    world.pass_days(days)
    before = await _card(world)
    await world.expire()
    assert await _card(world) == before
    assert sum(before.owed.values()) == (await world.balance("ann")).owed


async def test_a_card_shows_what_is_owed_to_whom(world: World) -> None:
    for origin, points in (("bakery", 30), ("wine", 50)):
        earned = done(await world.earn("ann", origin, points))
        assert isinstance(earned, EarnAnswer)
        await world.burn("ann", "bakery", points)
        await world.reverse_earn(earned)
    await world.earn("ann", "wine", 50)
    owed = (await _card(world)).owed
    assert {world.code(origin): points for origin, points in owed.items()} == {"bakery": 30}


async def test_a_burn_shows_what_it_still_holds_of_each_lot_in_the_order_taken(
    world: World,
) -> None:
    await world.earn("ann", "wine", 30)
    await world.earn("ann", "bakery", 100)
    burn = done(await world.burn("ann", "wine", 120))
    assert isinstance(burn, BurnAnswer)
    await world.reverse_burn(burn, 5)
    await world.reverse_burn(burn, 10)
    view = await _burn(world, burn)
    legs = [(world.code(leg.origin_id), leg.points) for leg in view.legs]
    assert legs == [("bakery", 100), ("wine", 5)]
    assert (view.status, view.points, view.returned) == ("posted", 120, 15)
    await world.reverse_burn(burn)
    assert (await _burn(world, burn)).legs == ()


async def test_a_lot_is_its_remainder_and_its_legs(world: World) -> None:
    earned = done(await world.earn("ann", "wine", 100))
    assert isinstance(earned, EarnAnswer)
    burn = done(await world.burn("ann", "bakery", 40))
    assert isinstance(burn, BurnAnswer)
    await world.reverse_burn(burn, 15)
    await world.burn("ann", "wine", 20, hold_seconds=60)
    async with world.engine.connect() as connection:
        view = await read.lot_view(connection, earned.member_id, earned.lots[0].lot_no)
        assert await read.lot_view(connection, earned.member_id, 999) is None
        assert await read.burn_view(connection, earned.member_id, 999, world.now) is None
    assert view is not None
    assert [leg.points for leg in view.legs] == [40, -15, 20]
    # Points outright are told apart from those of a purchase.
    assert view.kind == "outright"
    assert view.points == view.remaining + sum(leg.points for leg in view.legs)
    # A hold is in no window yet.
    assert [leg.window is None for leg in view.legs] == [False, False, True]


async def test_a_gift_is_no_earn_of_the_one_who_received_it(world: World) -> None:
    await world.earn("ann", "wine", 100)
    await world.transfer("ann", "bob", 60, "wine")
    [lot] = await world.lots("bob")
    async with world.engine.connect() as connection:
        view = await read.lot_view(connection, world.people["bob"].member_id, lot.number)
    assert view is not None
    assert (view.kind, view.earn_no, view.points) == ("transfer", None, 60)


async def test_the_history_pages_backwards_and_by_merchant(world: World) -> None:
    for number in range(5):
        await world.earn("ann", "wine" if number % 2 else "bakery", 10 + number)
        world.now += timedelta(minutes=1)
    member_id, ids = world.people["ann"].member_id, world.ledger.book.ids
    async with world.engine.connect() as connection:
        first = await read.history(
            connection, member_id, before_no=2**31 - 1, merchant_id=None, rows_max=3
        )
        rest = await read.history(
            connection, member_id, before_no=first[-1].posting_no, merchant_id=None, rows_max=3
        )
        wines = await read.history(
            connection, member_id, before_no=2**31 - 1, merchant_id=ids["wine"], rows_max=9
        )
    assert [line.change for line in first + rest] == [14, 13, 12, 11, 10]
    assert [line.change for line in wines] == [13, 11]
