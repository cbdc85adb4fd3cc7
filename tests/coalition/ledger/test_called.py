"""Reversals that name their movement by the till's own reference, and when they happened."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.commands import Done, EarnAnswer, Refused, ReversalAnswer
from coalition.members import store


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    world = World(engine)
    await world.sync([merchant("telecom"), merchant("retail")])
    for name in ("ann", "bob"):
        await world.enrol(name)
    return world


def earn(world: World, reference: str | None, points: int = 100, name: str = "ann") -> ask.Earn:
    return ask.Earn(world.people[name].card, world.now, points=points, reference=reference)


def burn(world: World, reference: str, points: int, hold_seconds: int | None = None) -> ask.Burn:
    card = world.people["ann"].card
    return ask.Burn(
        card, points, world.now, hold_seconds=hold_seconds, reference=reference
    )  # fmt: skip


def earn_back(world: World, reference: str, points: int | None = None) -> ask.ReverseEarnCalled:
    return ask.ReverseEarnCalled(world.people["ann"].card, reference, points)


def burn_back(world: World, reference: str, points: int | None = None) -> ask.ReverseBurnCalled:
    return ask.ReverseBurnCalled(world.people["ann"].card, reference, points)


async def reversed_by(world: World, command: ask.Command, at: str = "telecom") -> ReversalAnswer:
    answer = done(await world.post(command, at))
    assert isinstance(answer, ReversalAnswer)
    return answer


async def refusal(world: World, command: ask.Command, at: str = "telecom") -> Code:
    outcome = await world.post(command, at)
    assert isinstance(outcome, Refused), outcome
    return outcome.code


async def test_a_reference_names_the_movement_of_that_merchant_member_and_kind(
    world: World,
) -> None:
    [wanted, *_] = [
        done(await world.post(command, at))
        for command, at in (
            (earn(world, "r", 10), "telecom"),
            (earn(world, "r", 20), "retail"),
            (earn(world, "r", 30, "bob"), "telecom"),
            (earn(world, "s", 40), "telecom"),
            (burn(world, "r", 5), "telecom"),
        )
    ]
    assert isinstance(wanted, EarnAnswer)
    back = await reversed_by(world, earn_back(world, "r"))
    assert (back.target_no, back.points, back.member_id) == (
        wanted.earn_no, 10, world.people["ann"].member_id,
    )  # fmt: skip
    assert (await reversed_by(world, burn_back(world, "r"))).points == 5
    assert await world.breaches() == []


async def test_a_reference_of_none_and_of_two_is_refused(world: World) -> None:
    await world.post(earn(world, "twice"), "telecom")
    await world.post(earn(world, "twice"), "telecom")
    await world.post(earn(world, None), "telecom")
    await world.post(earn(world, "retail's"), "retail")
    assert await refusal(world, earn_back(world, "twice")) == Code.INVALID
    assert await refusal(world, burn_back(world, "twice")) == Code.NOT_FOUND
    assert await refusal(world, earn_back(world, "none")) == Code.NOT_FOUND
    assert await refusal(world, earn_back(world, "retail's")) == Code.NOT_FOUND
    assert await refusal(world, earn_back(world, "twice"), "house") == Code.NOT_FOUND
    unknown = ask.ReverseEarnCalled(9000000000000001, "twice")
    assert await refusal(world, unknown) == Code.UNKNOWN_CARD


async def test_a_hold_has_its_reference_captured_or_not(world: World) -> None:
    await world.post(earn(world, "e"), "telecom")
    held = done(await world.post(burn(world, "h", 50, hold_seconds=60), "telecom"))
    assert isinstance(held, ask.BurnAnswer)
    assert await refusal(world, burn_back(world, "h")) == Code.INVALID
    await world.capture(held, 30)
    assert (await reversed_by(world, burn_back(world, "h"))).points == 30


async def test_the_card_names_its_member_also_when_it_was_replaced_or_blocked(
    world: World,
) -> None:
    await world.post(earn(world, "r"), "telecom")
    old = earn_back(world, "r", 10)
    async with world.engine.begin() as connection:
        new = await store.replace(connection, old.card, world.now)
        await store.set_blocked(connection, new, world.now, blocked=True)
    assert (await reversed_by(world, old)).points == 10
    assert (await reversed_by(world, replace(old, card=new))).points == 10


async def test_a_replay_is_the_first_answer_whatever_the_reference_names_by_now(
    world: World,
) -> None:
    await world.post(earn(world, "r"), "telecom")
    await world.post(burn(world, "r", 40), "telecom")
    requests = [
        world.request(command, "telecom")
        for command in (earn_back(world, "r", 10), burn_back(world, "r"))
    ]
    first = await world.ledger.post(requests)
    await world.post(earn(world, "r"), "telecom")
    await world.post(burn(world, "r", 40), "telecom")
    async with world.engine.begin() as connection:
        await store.replace(connection, world.people["ann"].card, world.now)
    world.pass_days(40)
    await world.close()
    for request, outcome in zip(requests, first, strict=True):
        assert isinstance(outcome, Done)
        again = replace(request, now=world.now)
        assert await world.ledger.post([again]) == [Done(outcome.answer, replayed=True)]
        [other] = await world.ledger.post([replace(again, body_hash=2)])
        assert isinstance(other, Refused)
        assert other.code == Code.IDEMPOTENCY_KEY_REUSED


async def test_a_reference_names_what_the_same_group_posted_before(world: World) -> None:
    group: list[ask.Command] = [
        earn(world, "e"),
        burn(world, "b", 60),
        burn_back(world, "b", 20),
        earn_back(world, "e", 10),
        burn_back(world, "b"),
        earn(world, "e"),
        earn_back(world, "e"),
        burn_back(world, "later"),
        burn(world, "later", 1),
        earn(world, "e2", 7),
        earn_back(world, "e2"),
    ]
    outcomes = await world.ledger.post([world.request(one, "telecom") for one in group])
    said: list[int | Code] = []
    for one in outcomes:
        if isinstance(one, Refused):
            said.append(one.code)
            continue
        assert isinstance(one.answer, EarnAnswer | ask.BurnAnswer | ReversalAnswer)
        said.append(one.answer.points)
    assert said == [100, 60, 20, 10, 40, 100, Code.INVALID, Code.NOT_FOUND, 1, 7, 7]
    assert (await world.balance("ann")).available == 189
    # And what stands in the database names no more than what was posted.
    assert await refusal(world, earn_back(world, "e")) == Code.INVALID
    assert await refusal(world, earn_back(world, "e2")) == Code.ALREADY_REVERSED
    assert await world.breaches() == []


async def test_a_movement_of_the_same_group_makes_a_second_of_that_reference(
    world: World,
) -> None:
    await world.post(earn(world, "r"), "telecom")
    group: list[ask.Command] = [earn(world, "r"), earn_back(world, "r")]
    [_, second] = await world.ledger.post([world.request(one, "telecom") for one in group])
    assert isinstance(second, Refused)
    assert second.code == Code.INVALID


@pytest.mark.parametrize("by", ["id", "reference"])
async def test_a_return_keeps_its_own_time_and_is_not_before_what_it_returns(
    world: World, by: str
) -> None:
    earned = done(await world.post(earn(world, "r"), "telecom"))
    burned = done(await world.post(burn(world, "r", 50), "telecom"))
    assert isinstance(earned, EarnAnswer)
    assert isinstance(burned, ask.BurnAnswer)
    member_id, card, sold_at = earned.member_id, world.people["ann"].card, world.now
    returns: list[ask.Reversal | ask.ReversalCalled] = [
        ask.ReverseBurn(member_id, burned.burn_no, 5), ask.ReverseEarn(member_id, earned.earn_no, 5)
    ]  # fmt: skip
    if by == "reference":
        returns = [ask.ReverseBurnCalled(card, "r", 5), ask.ReverseEarnCalled(card, "r", 5)]
    world.pass_days(40)
    await world.close()
    for command in returns:
        early = replace(command, occurred_at=sold_at - timedelta(seconds=1))
        assert await refusal(world, early) == Code.INVALID
        for at in (sold_at, world.now - timedelta(days=2)):
            request = world.request(replace(command, occurred_at=at), "telecom")
            [outcome] = await world.ledger.post([request])
            answer = done(outcome)
            assert isinstance(answer, ReversalAnswer)
            assert (answer.occurred_at, answer.recorded_at) == (at, world.now)
            assert await world.ledger.post([request]) == [Done(answer, replayed=True)]
            async with world.engine.connect() as connection:
                kept = await connection.scalar(
                    text("select occurred_at from posting order by posting_no desc limit 1")
                )
            assert kept == at
    # A line of its own in the open window, about the window and on the day of what is returned.
    legs = [leg for leg in await world.legs("ann") if leg.window == 2]
    assert {(leg.on, leg.about) for leg in legs} == {(sold_at.date(), 1)}
    assert await world.breaches() == []


async def test_a_return_without_a_time_is_taken_though_the_till_that_sold_ran_ahead(
    world: World,
) -> None:
    ahead = replace(earn(world, "r"), occurred_at=world.now + timedelta(minutes=4))
    await world.post(ahead, "telecom")
    assert (await reversed_by(world, earn_back(world, "r"))).occurred_at == world.now
