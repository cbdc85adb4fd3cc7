"""The same key and body get the first answer again, for ever, whatever happened since."""

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import World, done, merchant

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger.commands import (
    Answer,
    Burn,
    BurnAnswer,
    Capture,
    Command,
    Done,
    Earn,
    EarnAnswer,
    Refused,
    Request,
    ReverseBurn,
    ReverseEarn,
    Transfer,
    Void,
)
from coalition.ledger.post import Ledger


async def ask_everything(world: World) -> list[tuple[Request, Done]]:
    """One request of each kind, and what it answered; points come back after their last day."""
    # Another body is told that its key was used, however late it comes.
    telecom, retail = (
        replace(merchant(one), lateness_days_max=100) for one in ("telecom", "retail")
    )
    await world.sync([replace(telecom, validity=Validity(days=10)), retail])
    ann, bob = await world.enrol("ann"), await world.enrol("bob")
    asked: list[tuple[Request, Done]] = []

    async def ask(command: Command, at: str) -> Answer:
        request = world.request(command, at)
        outcome = (await world.ledger.post([request]))[0]
        assert isinstance(outcome, Done)
        asked.append((request, outcome))
        return outcome.answer

    earned = await ask(Earn(ann.card, world.now, points=500), "telecom")
    burned = await ask(Burn(ann.card, 200, world.now), "retail")
    held = await ask(Burn(ann.card, 100, world.now, hold_seconds=60), "retail")
    void = await ask(Burn(ann.card, 10, world.now, hold_seconds=60), "retail")
    assert isinstance(earned, EarnAnswer)
    assert isinstance(burned, BurnAnswer)
    assert isinstance(held, BurnAnswer)
    assert isinstance(void, BurnAnswer)
    await ask(Capture(ann.member_id, held.burn_no, 70), "retail")
    await ask(Void(ann.member_id, void.burn_no), "retail")
    # Two at one moment: each replay finds its own lots.
    for points in (20, 30):
        await ask(Transfer(ann.card, bob.card, points), "house")
    await ask(ReverseBurn(ann.member_id, held.burn_no, 30), "retail")
    await ask(ReverseEarn(ann.member_id, earned.earn_no, 400), "telecom")
    world.pass_days(40)
    await world.close()
    await ask(ReverseBurn(ann.member_id, burned.burn_no), "retail")
    return asked


async def test_every_kind_of_answer_is_the_first_one_again(engine: AsyncEngine) -> None:
    world = World(engine)
    for request, first in await ask_everything(world):
        again = await world.ledger.post([replace(request, now=world.now)])
        assert again == [Done(first.answer, replayed=True)], request.command


async def test_a_replay_names_a_window_that_this_process_has_not_heard_of(
    engine: AsyncEngine,
) -> None:
    world = World(engine)
    await world.sync([merchant("telecom")])
    ann = await world.enrol("ann")
    late = Ledger(engine)
    await late.start()
    world.pass_days(1)
    closed = await world.close_early()
    request = world.request(Earn(ann.card, world.now, points=5), "telecom")
    first = done((await world.ledger.post([request]))[0])
    assert isinstance(first, EarnAnswer)
    assert first.window != closed
    assert await late.post([request]) == [Done(first, replayed=True)]


async def test_another_body_under_a_known_key_is_refused_and_changes_nothing(
    engine: AsyncEngine,
) -> None:
    world = World(engine)
    asked = await ask_everything(world)
    before = [await world.legs("ann"), await world.lots("ann"), await world.balance("ann")]
    for request, _ in asked:
        other = replace(request, now=world.now, body_hash=request.body_hash + 1)
        outcome = (await world.ledger.post([other]))[0]
        assert isinstance(outcome, Refused), request.command
        assert outcome.code == Code.IDEMPOTENCY_KEY_REUSED
    assert [await world.legs("ann"), await world.lots("ann"), await world.balance("ann")] == before


async def test_the_same_key_twice_in_one_group_is_posted_once(engine: AsyncEngine) -> None:
    world = World(engine)
    await world.sync([merchant("telecom")])
    ann = await world.enrol("ann")
    request = world.request(Earn(ann.card, world.now, points=5), "telecom")
    first, again = await world.ledger.post([request, request])
    assert again == Done(done(first), replayed=True)
    assert (await world.balance("ann")).available == 5
