"""A gift: which lots it makes, where each comes from, and what goes along with the points."""

from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.ledger.commands import Done, EarnAnswer, GivenLot, Outcome, Transfer, TransferAnswer


async def gift(world: World) -> tuple[list[EarnAnswer], TransferAnswer]:
    """Ann earns at two merchants on two days and, days later, gives Bob 150 points of them."""
    await world.sync([merchant("telecom"), merchant("retail")])
    await world.enrol("ann")
    await world.enrol("bob")
    earned = []
    for code, points in (("telecom", 100), ("retail", 80)):
        answer = done(await world.earn("ann", code, points))
        assert isinstance(answer, EarnAnswer)
        earned.append(answer)
        world.pass_days(2)
    return earned, gave(await world.transfer("ann", "bob", 150, "house"))


def gave(outcome: Outcome) -> TransferAnswer:
    answer = done(outcome)
    assert isinstance(answer, TransferAnswer)
    return answer


async def test_a_gift_names_the_lots_it_makes_and_the_lot_each_comes_from(
    engine: AsyncEngine,
) -> None:
    world = World(engine)
    earned, given = await gift(world)
    ids = world.ledger.book.ids
    first, second = (answer.lots[0] for answer in earned)
    got = await world.lots("bob")
    assert given.taker_id == world.people["bob"].member_id
    assert given.lots == (
        GivenLot(got[0].number, ids["telecom"], 100, first.expires_on, first.lot_no),
        GivenLot(got[1].number, ids["retail"], 50, second.expires_on, second.lot_no),
    )


async def test_points_that_are_given_are_as_old_as_they_were(engine: AsyncEngine) -> None:
    world = World(engine)
    earned, _ = await gift(world)
    assert [lot.earned_at for lot in await world.lots("bob")] == [
        answer.occurred_at for answer in earned
    ]


async def test_each_of_many_gifts_is_replayed_with_its_own_lots(engine: AsyncEngine) -> None:
    world = World(engine)
    await gift(world)
    ann, bob = world.people["ann"], world.people["bob"]
    await world.earn("ann", "telecom", 500)
    there = [world.request(Transfer(ann.card, bob.card, n), "house") for n in (7, 8, 9)]
    back = [world.request(Transfer(bob.card, ann.card, n), "house") for n in (3, 4)]
    requests = [there[0], back[0], there[1], there[2], back[1]]
    first = await world.ledger.post(requests)
    assert await world.ledger.post(requests) == [
        Done(done(outcome), replayed=True) for outcome in first
    ]
    assert [sum(lot.points for lot in gave(outcome).lots) for outcome in first] == [7, 3, 8, 9, 4]
