"""The same key and body get the first answer again, for ever, whatever happened since."""

from datetime import timedelta

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.earning.terms import Validity
from coalition.ledger.commands import (
    Burn,
    BurnAnswer,
    Capture,
    Command,
    Done,
    Earn,
    EarnAnswer,
    Request,
    ReverseBurn,
    ReverseEarn,
    Transfer,
)


async def test_every_kind_of_answer_is_the_first_one_again(engine: AsyncEngine) -> None:
    world = World(engine)
    terms = merchant("telecom")
    await world.sync([replace(terms, validity=Validity(days=10)), merchant("retail")])
    ann, bob = await world.enrol("ann"), await world.enrol("bob")
    asked: list[tuple[Request, Done]] = []

    async def ask(command: Command, at: str) -> Done:
        request = world.request(command, at)
        outcome = (await world.ledger.post([request]))[0]
        assert isinstance(outcome, Done)
        asked.append((request, outcome))
        return outcome

    earned = done(await ask(Earn(ann.card, world.now, points=500), "telecom"))
    burned = done(await ask(Burn(ann.card, 200, world.now), "retail"))
    held = done(await ask(Burn(ann.card, 100, world.now, hold_seconds=60), "retail"))
    assert isinstance(earned, EarnAnswer)
    assert isinstance(burned, BurnAnswer)
    assert isinstance(held, BurnAnswer)
    await ask(Capture(1, held.burn_no, 70), "retail")
    await ask(Transfer(ann.card, bob.card, 50), "house")
    await ask(ReverseBurn(1, held.burn_no, 30), "retail")
    await ask(ReverseEarn(1, earned.earn_no, 400), "telecom")
    # The points come back after their day, and live 30 days more.
    world.now += timedelta(days=40)
    await world.close()
    await ask(ReverseBurn(1, burned.burn_no), "retail")
    assert (await world.lots("ann"))[0].expires_on == world.now.date() + timedelta(days=30)
    for request, first in asked:
        again = await world.ledger.post([replace(request, now=world.now)])
        assert again == [Done(first.answer, replayed=True)], request.command
