"""GuessCount cards: one number after another is tried, over HTTP or by file, until one exists.

And ids that count up, which tell who else is there: neither cards nor members do.
"""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from tests.coalition.api.conftest import START, Till, World
from tests.coalition.api.test_codes import assert_problem

from coalition.batches.posting import GROUP_ROWS
from coalition.batches.service import BATCHES_AT_ONCE
from coalition.errors import Code
from coalition.keys.guessing import COST, FREE_AN_HOUR, WAIT_MAX, GuessCount, raised
from coalition.keys.key import parse
from coalition.members.card import make_card
from coalition.wire import ids

HOUR = timedelta(hours=1)
# By path: what a card is asked for with, and the body.
DOORS = [
    ("POST", "/v1/earns", {"card": "{card}", "points": 5}),
    ("POST", "/v1/burns", {"card": "{card}", "points": 5}),
    ("POST", "/v1/earns/reverse", {"card": "{card}", "reference": "r"}),
    ("POST", "/v1/burns/reverse", {"card": "{card}", "reference": "r"}),
    ("POST", "/v1/transfers", {"from_card": "{own}", "to_card": "{card}", "points": 5}),
    ("POST", "/v1/transfers", {"from_card": "{card}", "to_card": "{own}", "points": 5}),
    ("POST", "/v1/cards/{card}/block", {}),
    ("POST", "/v1/cards/{card}/unblock", {}),
    ("POST", "/v1/cards/{card}/replace", {}),
    ("POST", "/v1/cards/{card}/pin", {"pin": "730619"}),
    ("GET", "/v1/cards/{card}", None),
    ("GET", "/v1/cards/{card}/history", None),
]


async def _asks(till: Till, door: tuple[str, str, Any], card: str, own: str) -> Any:
    method, path, body = door
    path = path.format(card=card)
    if method == "GET":
        return await till.get(path)
    filled = {k: v.format(card=card, own=own) if isinstance(v, str) else v for k, v in body.items()}
    return await till.post(path, filled)


async def _guess(till: Till, times: int, door: tuple[str, str, Any] = DOORS[0]) -> list[Any]:
    return [await _asks(till, door, str(make_card(900 + n)), "") for n in range(times)]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
async def test_after_so_many_unknown_cards_a_strangers_card_waits_at_every_door(
    world: World, door: tuple[str, str, Any]
) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    own, strangers = await retail.enrol(), await telecom.enrol()
    for answer in await _guess(retail, FREE_AN_HOUR + 1, DOORS[-2]):
        assert_problem(answer, Code.UNKNOWN_CARD)
    # The same whether there is such a card or not.
    answers = [await _asks(retail, door, card, own) for card in (strangers, str(make_card(3)))]
    for answer in answers:
        assert_problem(answer, Code.TOO_MANY_REQUESTS)
        assert answer.headers["retry-after"] == "5"
    assert answers[0].text == answers[1].text
    # Nobody else waits.
    assert not (await telecom.get(f"/v1/cards/{strangers}")).is_error


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
async def test_every_door_counts(world: World, door: tuple[str, str, Any]) -> None:
    retail = world.till("retail")
    own = await retail.enrol()
    answers = [
        await _asks(retail, door, str(make_card(900 + n)), own) for n in range(FREE_AN_HOUR + 2)
    ]
    assert {answer.status_code for answer in answers[:-1]} == {404}
    assert_problem(answers[-1], Code.TOO_MANY_REQUESTS)


async def test_a_shops_own_customers_never_wait(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    enrolled, served = await retail.enrol(), await telecom.enrol()
    await retail.earn(served, 50)
    await _guess(retail, FREE_AN_HOUR + 100)
    await _guess(retail, 3)
    for card in (enrolled, served):
        await retail.earn(card, 5)
        await retail.burn(card, 5)
        assert (await retail.get(f"/v1/cards/{card}")).status_code == 200
        assert (await retail.post(f"/v1/cards/{card}/block")).status_code == 200
        assert (await retail.post(f"/v1/cards/{card}/unblock")).status_code == 200


async def test_a_slowed_key_recovers_with_time(world: World) -> None:
    retail = world.till("retail")
    strangers = await world.till("telecom").enrol()
    await _guess(retail, FREE_AN_HOUR + 1)
    body = {"card": strangers, "points": 5}
    assert_problem(await retail.post("/v1/earns", body), Code.TOO_MANY_REQUESTS)
    await _pass(world, seconds=5)
    assert (await retail.post("/v1/earns", body)).status_code == 201
    # The next guess costs again, and after an hour all is free.
    await _guess(retail, 1)
    unknown = {"card": str(make_card(3)), "points": 5}
    assert_problem(await retail.post("/v1/earns", unknown), Code.TOO_MANY_REQUESTS)
    await _pass(world, hours=1)
    for answer in await _guess(retail, FREE_AN_HOUR):
        assert_problem(answer, Code.UNKNOWN_CARD)


async def test_a_tills_mistakes_cost_nothing(world: World) -> None:
    retail = world.till("retail")
    for _ in range(20):
        for answer in await _guess(retail, 5):
            assert_problem(answer, Code.UNKNOWN_CARD)
        await _pass(world, minutes=6)
    # A mistyped card fails its check digit, and is no guess.
    for _ in range(2 * FREE_AN_HOUR):
        answer = await retail.post("/v1/earns", {"card": "9000000000000000", "points": 5})
        assert_problem(answer, Code.INVALID)
    assert_problem((await _guess(retail, 1))[0], Code.UNKNOWN_CARD)


async def test_the_house_and_the_owner_are_told_without_a_card_number(world: World) -> None:
    retail = world.till("retail")
    key = parse(retail.bearer)
    assert key is not None
    with capture_logs() as lines:
        await _guess(retail, FREE_AN_HOUR + 7)
        await _shared(world)
        await _shared(world)
    told = [line for line in lines if line["event"] == "unknown_cards"]
    assert len(told) == 1
    assert (told[0]["key_id"], told[0]["merchant"]) == (key.key_id, "retail")
    # Those after this one were not looked up.
    assert told[0]["cards"] in (FREE_AN_HOUR, FREE_AN_HOUR + 1)
    assert not any("900000000" in str(line) for line in lines)
    metrics = (await world.client.get("/metrics")).text
    assert f'coalition_unknown_cards_total{{merchant="retail"}} {FREE_AN_HOUR + 1}.0' in metrics
    async with world.engine.connect() as connection:
        row = (await connection.execute(text("select * from unknown_cards"))).one()
    assert (row.key_id, row.cards, row.told_at) == (key.key_id, FREE_AN_HOUR + 1, START)
    # And what the owner's developer reads says what it is about.
    problem = assert_problem((await _guess(retail, 1))[0], Code.TOO_MANY_REQUESTS)
    assert str(FREE_AN_HOUR) in problem["detail"]


async def test_a_guesser_that_asks_another_process_is_slowed_there_too(world: World) -> None:
    retail = world.till("retail")
    key = parse(retail.bearer)
    assert key is not None
    other = GuessCount(world.engine, world.clock)
    await _guess(retail, FREE_AN_HOUR + 1)
    assert other.wait_s(key.key_id) == 0
    await _shared(world)
    await other.share()
    assert other.wait_s(key.key_id) == COST.total_seconds()
    # Each adds what it counted itself.
    assert other.note(key.key_id, 2) == 3 * COST.total_seconds()
    await other.share()
    await _shared(world)
    assert _guessing(world).wait_s(key.key_id) == 3 * COST.total_seconds()


async def test_a_process_that_starts_knows_who_is_slowed(world: World) -> None:
    key = parse(world.till("retail").bearer)
    assert key is not None
    first = GuessCount(world.engine, world.clock)
    first.note(key.key_id, FREE_AN_HOUR + 2)
    await first.stop()
    second = GuessCount(world.engine, world.clock)
    await second.start()
    assert second.wait_s(key.key_id) == 2 * COST.total_seconds()
    await second.stop()


async def test_two_processes_that_share_at_once_lose_no_guess(world: World) -> None:
    keys = [parse(world.till(code).bearer) for code in ("telecom", "retail", "plain")]
    processes = [GuessCount(world.engine, world.clock) for _ in range(4)]
    for process in processes:
        for key in keys:
            assert key is not None
            process.note(key.key_id, 3)
    await asyncio.gather(*(process.share() for process in processes))
    async with world.engine.connect() as connection:
        found = await connection.scalars(text("select cards from unknown_cards"))
        assert list(found) == [12, 12, 12]


async def test_a_file_of_guesses_is_told_how_long_to_rest(world: World) -> None:
    key = parse(world.till("retail").bearer)
    assert key is not None
    guessing = GuessCount(world.engine, world.clock)
    assert guessing.note(key.key_id, 0) == 0
    assert guessing.note(key.key_id, FREE_AN_HOUR) == 0
    assert guessing.note(key.key_id, 10) == 10 * COST.total_seconds()
    # However many there are, it goes on at last.
    assert guessing.note(key.key_id, 1_000_000) == WAIT_MAX.total_seconds()


def test_files_at_once_make_a_day_no_richer_than_requests_do() -> None:
    """Two files of one key, each with a group under way, whenever the key may go on."""
    level, now, tried = START, START, 0
    while now < START + timedelta(days=10):
        for _ in range(BATCHES_AT_ONCE):
            level = raised(level, GROUP_ROWS, now)
            tried += GROUP_ROWS
        now = max(level - HOUR, now + timedelta(seconds=1))
    a_day = timedelta(days=1) // COST
    assert tried <= 10 * a_day + BATCHES_AT_ONCE * GROUP_ROWS


async def test_what_was_told_is_kept_and_a_tills_few_mistakes_are_not(world: World) -> None:
    key = parse(world.till("retail").bearer)
    assert key is not None
    guessing = GuessCount(world.engine, world.clock)
    for cards in (FREE_AN_HOUR + 1, 3, 2, 1):
        guessing.note(key.key_id, cards)
        await guessing.share()
        world.clock.pass_(hours=3)
    async with world.engine.connect() as connection:
        found = await connection.scalars(text("select cards from unknown_cards order by since"))
        assert list(found) == [FREE_AN_HOUR + 1, 1]


def test_a_key_that_goes_on_guessing_gets_one_card_each_time_it_waited() -> None:
    level, now = START, START
    level = raised(level, 10 * FREE_AN_HOUR, now)
    tried = 10 * FREE_AN_HOUR
    for _ in range(24 * 3600):
        now += timedelta(seconds=1)
        if level - HOUR <= now:
            level = raised(level, 1, now)
            tried += 1
    assert tried <= 10 * FREE_AN_HOUR + 24 * 3600 // COST.total_seconds()


async def test_neither_members_nor_cards_count_up(world: World) -> None:
    telecom = world.till("telecom")
    answers = [(await telecom.post("/v1/members")).json() for _ in range(12)]
    numbers = []
    for answer in answers:
        found = ids.decode(ids.MEMBER, answer["member_id"])
        assert found is not None
        numbers.append(found[0])
    cards = [int(answer["card"]) for answer in answers]
    for drawn in (numbers, cards):
        gaps = [abs(a - b) for a, b in pairwise(drawn)]
        assert drawn != sorted(drawn)
        assert min(gaps) > 10**6
    earned = await telecom.earn(answers[0]["card"], 5)
    assert (await telecom.post(f"/v1/earns/{earned['earn_id']}/reverse")).status_code == 201


async def test_an_id_from_when_they_counted_up_still_names_what_it_named(world: World) -> None:
    telecom = world.till("telecom")
    await telecom.enrol()
    card = str(make_card(17))
    async with world.engine.begin() as connection:
        for statement in (
            "insert into member (member_id, enrolled_by, enrolled_at) select 17, enrolled_by,"
            " enrolled_at from member",
            "insert into account (member_id) values (17)",
            f"insert into card (card_number, member_id, issued_at) values ({card}, 17, now())",
        ):
            await connection.execute(text(statement))
    earned = await telecom.earn(card, 5)
    assert earned["earn_id"] == ids.encode(ids.EARN, 17, 1)
    assert (await telecom.post(f"/v1/earns/{earned['earn_id']}/reverse")).status_code == 201


def _guessing(world: World) -> GuessCount:
    """Of the application that is attacked."""
    app: Any = world.client._transport
    found: GuessCount = app.app.state["services"].guessing
    return found


async def _shared(world: World) -> None:
    await _guessing(world).share()


async def _pass(world: World, **span: float) -> None:
    """Let time pass; what was noted before is shared before, as it is within two seconds."""
    await _shared(world)
    world.clock.pass_(**span)
