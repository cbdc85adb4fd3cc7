"""A member's PIN: who sets it, when it is asked, and what is said where it is missing or wrong."""

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
import structlog
from msgspec.structs import replace
from sqlalchemy import text
from tests.coalition.api.conftest import HOUSE, TERMS, Serve, Till, World, terms
from tests.coalition.api.test_batches import done, ndjson
from tests.coalition.api.test_codes import assert_problem
from tests.owner import owner

from coalition.edge import pins
from coalition.errors import Code
from coalition.members.pin import is_pin
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms
from coalition.verify import verify

PIN, OTHER = "7306", "9142"
ABOVE = 100


async def ask_pins(world: World, house: HouseTerms = HOUSE, **retail: Any) -> None:
    """Retail asks for the PIN above 100 points, unless it is told otherwise; from now on."""
    changed = terms("retail", "0.008", points_outright=True, **{"pin_above_points": ABOVE} | retail)
    files = [one for one in TERMS if one.code != "retail"] + [changed]
    async with world.engine.begin() as connection:
        await sync(connection, house, files, world.clock.now)
    world.clock.pass_(days=1)


async def member(world: World, points: int = 1_000, pin: str | None = PIN) -> str:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, points)
    if pin is not None:
        assert (await set_pin(telecom, card, pin)).status_code == 200
    return card


async def set_pin(till: Till, card: str, pin: str, old_pin: str | None = None) -> httpx.Response:
    body = {"pin": pin} | ({} if old_pin is None else {"old_pin": old_pin})
    return await till.post(f"/v1/cards/{card}/pin", body, key=None)


async def burn(
    world: World, card: str, points: int, pin: str | None = None, key: str = ""
) -> httpx.Response:
    body = {"card": card, "points": points} | ({} if pin is None else {"pin": pin})
    return await world.till("retail").post("/v1/burns", body, key=key)


# ---------------------------------------------------------------- when it is asked


async def test_a_pin_is_asked_above_what_the_terms_say(world: World) -> None:
    await ask_pins(world)
    card = await member(world)
    assert (await burn(world, card, ABOVE)).status_code == 201
    problem = assert_problem(await burn(world, card, 1), Code.PIN_REQUIRED)
    assert "send it as pin" in problem["detail"]
    assert (await burn(world, card, 1, PIN)).status_code == 201
    world.clock.pass_(days=1)
    assert (await burn(world, card, ABOVE)).status_code == 201


async def test_what_is_said_tells_missing_unset_and_wrong_apart_and_nothing_else(
    world: World,
) -> None:
    await ask_pins(world)
    without = await member(world, pin=None)
    card = await member(world)
    said = [
        assert_problem(await burn(world, *asked), Code.PIN_REQUIRED)["detail"]
        for asked in ((card, 101), (without, 101, PIN), (card, 101, OTHER))
    ]
    assert len(set(said)) == 3
    assert "has none yet" in said[1]
    assert said[2] == "The PIN is wrong."
    for detail in said:
        assert PIN not in detail
        assert OTHER not in detail


async def test_a_wrong_pin_is_refused_where_none_is_needed_too(world: World) -> None:
    card = await member(world)
    assert_problem(await burn(world, card, 1, OTHER), Code.PIN_REQUIRED)
    assert (await burn(world, card, 1, PIN)).status_code == 201
    # Who has none cannot send a wrong one.
    assert (await burn(world, await member(world, pin=None), 1, PIN)).status_code == 201


async def test_a_hold_and_a_transfer_ask_as_a_burn_does_and_of_the_giver(world: World) -> None:
    await ask_pins(world)
    retail, card, taker = world.till("retail"), await member(world), await member(world, pin=OTHER)
    hold = {"card": card, "points": 101, "hold": True}
    assert_problem(await retail.post("/v1/burns", hold), Code.PIN_REQUIRED)
    held = await retail.post("/v1/burns", hold | {"pin": PIN})
    assert held.status_code == 201
    # What was held with the PIN is captured without.
    captured = await retail.post(f"/v1/burns/{held.json()['burn_id']}/capture")
    assert captured.status_code == 200
    gift = {"from_card": card, "to_card": taker, "points": 101}
    for pin in ({}, {"pin": OTHER}):
        assert_problem(await retail.post("/v1/transfers", gift | pin), Code.PIN_REQUIRED)
    assert (await retail.post("/v1/transfers", gift | {"pin": PIN})).status_code == 201


async def test_the_house_asks_everywhere_and_is_not_asked_itself(world: World) -> None:
    await ask_pins(world, replace(HOUSE, pin_above_points=0), pin_above_points=None)
    card, taker = await member(world), await member(world)
    for code in ("telecom", "retail", "plain"):
        answer = await world.till(code).post("/v1/burns", {"card": card, "points": 1})
        assert_problem(answer, Code.PIN_REQUIRED)
    gift = {"from_card": card, "to_card": taker, "points": 500}
    assert (await world.till("house").post("/v1/transfers", gift)).status_code == 201


async def test_earns_and_returns_ask_for_no_pin(world: World) -> None:
    await ask_pins(world, pin_above_points=0)
    card, retail = await member(world), world.till("retail")
    await retail.earn(card, 10)
    burned = (await burn(world, card, 10, PIN)).json()
    assert (await retail.post(f"/v1/burns/{burned['burn_id']}/reverse")).status_code == 201
    answer = await retail.post("/v1/earns", {"card": card, "points": 1, "pin": PIN})
    assert_problem(answer, Code.INVALID)


async def test_a_blocked_card_comes_before_the_pin_and_that_before_a_reused_key(
    world: World,
) -> None:
    await ask_pins(world)
    card, telecom = await member(world), world.till("telecom")
    assert (await burn(world, card, 10, key="k")).status_code == 201
    assert_problem(await burn(world, card, 101, key="k"), Code.PIN_REQUIRED)
    assert_problem(await burn(world, card, 101, OTHER, key="k"), Code.PIN_REQUIRED)
    assert_problem(await burn(world, card, 101, PIN, key="k"), Code.IDEMPOTENCY_KEY_REUSED)
    await telecom.post(f"/v1/cards/{card}/block")
    assert_problem(await burn(world, card, 101, OTHER), Code.CARD_NOT_ACTIVE)
    assert await wrong_attempts(world) == 0


async def test_a_replay_is_never_asked_for_the_pin_again(world: World) -> None:
    await ask_pins(world)
    card = await member(world)
    first = await burn(world, card, 500, PIN, key="k")
    assert first.status_code == 201
    for pin in (None, PIN, OTHER):
        again = await burn(world, card, 500, pin, key="k")
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["idempotent-replayed"] == "true"
    assert await wrong_attempts(world) == 0


async def test_rows_of_files_carry_no_pin_and_pass_no_pin(world: World) -> None:
    await ask_pins(world)
    card, retail = await member(world), world.till("retail")
    row = {"op": "burn", "key": "a", "card": card}
    few, many, with_pin = await done(
        retail,
        ndjson(
            row | {"points": 50},
            row | {"key": "b", "points": 51},
            row | {"key": "c", "points": 5, "pin": PIN},
        ),
    )
    assert [few.get("code"), many.get("code"), with_pin.get("code")] == [
        None, Code.PIN_REQUIRED, Code.INVALID,
    ]  # fmt: skip
    # What was posted over HTTP with its PIN is replayed by a file without.
    assert (await burn(world, card, 200, PIN, key="d")).status_code == 201
    (again,) = await done(retail, ndjson(row | {"key": "d", "points": 200}))
    assert again["status"] == "replayed"


# ---------------------------------------------------------------- who sets it


async def test_the_first_pin_is_set_by_who_enrolled_the_member_or_by_the_house(
    world: World,
) -> None:
    card = await member(world, pin=None)
    await world.till("retail").earn(card, 5)
    assert_problem(await set_pin(world.till("retail"), card, PIN), Code.PIN_REQUIRED)
    assert (await set_pin(world.till("house"), card, PIN)).json() == {"card": card}
    assert_problem(await set_pin(world.till("telecom"), card, OTHER), Code.PIN_REQUIRED)


async def test_another_pin_is_set_with_the_one_before_wherever_the_member_is_served(
    world: World,
) -> None:
    card = await member(world)
    retail, nobody = world.till("retail"), world.till("plain")
    await retail.earn(card, 5)
    assert_problem(await set_pin(retail, card, OTHER), Code.PIN_REQUIRED)
    assert_problem(await set_pin(retail, card, OTHER, OTHER), Code.PIN_REQUIRED)
    # To a merchant that never saw the member there is no such card.
    unknown = assert_problem(await set_pin(nobody, card, OTHER, PIN), Code.UNKNOWN_CARD)
    assert unknown["detail"] == f"No card has the number {card}."
    assert (await set_pin(retail, card, OTHER, PIN)).status_code == 200
    assert_problem(await burn(world, card, 1, PIN), Code.PIN_REQUIRED)
    assert (await burn(world, card, 1, OTHER)).status_code == 201


async def test_the_house_resets_a_pin_and_its_lock(world: World) -> None:
    card = await member(world)
    for _ in range(5):
        await burn(world, card, 1, OTHER)
    assert_problem(await burn(world, card, 1, PIN), Code.PIN_REQUIRED)
    assert (await set_pin(world.till("house"), card, OTHER)).status_code == 200
    assert (await burn(world, card, 1, OTHER)).status_code == 201


async def test_a_pin_stays_with_the_member_whose_card_is_replaced(world: World) -> None:
    await ask_pins(world)
    card, telecom = await member(world), world.till("telecom")
    new = (await telecom.post(f"/v1/cards/{card}/replace")).json()["card"]
    assert_problem(await set_pin(telecom, card, OTHER, PIN), Code.CARD_NOT_ACTIVE)
    assert_problem(await burn(world, new, 101), Code.PIN_REQUIRED)
    assert (await burn(world, new, 101, PIN)).status_code == 201


@pytest.mark.parametrize(
    "pin", ["1234", "0000", "123", "1234567890123", "12a4", "", "７３０６", 7306]
)
async def test_what_is_no_pin_or_is_tried_first_is_invalid_and_not_said_again(
    world: World, pin: Any
) -> None:
    card = await member(world, pin=None)
    problem = assert_problem(await set_pin(world.till("telecom"), card, pin), Code.INVALID)
    assert "pin" in problem["detail"]
    if pin:
        assert str(pin) not in problem["detail"].removeprefix("$.pin: expected 4 to 12 digits")


async def test_a_pin_is_nowhere_in_the_database_nor_in_the_log(world: World) -> None:
    with structlog.testing.capture_logs() as logged:
        await ask_pins(world)
        card = await member(world, pin="730619283746")
        for pin in ("730619283746", "730619283747"):
            await burn(world, card, 101, pin, key=f"k{pin[-1]}")
    rows = await world.rows()
    async with world.engine.connect() as connection:
        kept = [tuple(row) for row in await connection.execute(text("table pin"))]
    assert "$argon2id$" in repr(kept)
    assert "73061928374" not in repr((rows, kept, logged))


async def test_a_suspended_merchant_sets_no_pin(world: World) -> None:
    banned = world.till("banned")
    card = await member(world, pin=None)
    async with owner(world.engine).begin() as connection:
        await connection.execute(
            text(
                "update member set enrolled_by ="
                " (select merchant_id from merchant where code = 'banned')"
            )
        )
    assert_problem(await set_pin(banned, card, PIN), Code.MERCHANT_SUSPENDED)
    assert (await set_pin(world.till("house"), card, PIN)).status_code == 200


async def test_the_pin_of_an_erased_member_is_gone(world: World) -> None:
    telecom = world.till("telecom")
    enrolled = (await telecom.post("/v1/members")).json()
    await set_pin(telecom, enrolled["card"], PIN)
    await member(world)
    erased = await world.till("house").post(f"/v1/members/{enrolled['member_id']}/erase")
    assert erased.is_success, erased.text
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from pin")) == 1


# ---------------------------------------------------------------- attempts


async def wrong_attempts(world: World) -> int:
    async with world.engine.connect() as connection:
        found: int = (await connection.execute(text("select sum(wrong) from pin"))).scalar_one()
    return found


async def test_five_wrong_attempts_lock_a_pin_for_a_minute_and_then_for_longer(
    world: World,
) -> None:
    card = await member(world)
    for _ in range(4):
        await burn(world, card, 1, OTHER)
    # One right attempt, and the wrong ones before it count no longer.
    assert (await burn(world, card, 1, PIN)).status_code == 201
    for _ in range(5):
        problem = assert_problem(await burn(world, card, 1, OTHER), Code.PIN_REQUIRED)
        assert problem["detail"] == "The PIN is wrong."
    for wait_s in (60, 120, 240):
        problem = assert_problem(await burn(world, card, 1, PIN), Code.PIN_REQUIRED)
        assert "wrong too often" in problem["detail"]
        world.clock.pass_(seconds=wait_s - 1)
        assert_problem(await burn(world, card, 1, PIN), Code.PIN_REQUIRED)
        world.clock.pass_(seconds=1)
        problem = assert_problem(await burn(world, card, 1, OTHER), Code.PIN_REQUIRED)
        assert problem["detail"] == "The PIN is wrong."
    world.clock.pass_(seconds=480)
    assert (await burn(world, card, 1, PIN)).status_code == 201
    assert await wrong_attempts(world) == 0


async def test_a_lock_is_never_longer_than_a_day(world: World) -> None:
    card = await member(world)
    async with world.engine.begin() as connection:
        await connection.execute(text("update pin set wrong = 2000000"))
    assert_problem(await burn(world, card, 1, OTHER), Code.PIN_REQUIRED)
    world.clock.pass_(days=1)
    assert (await burn(world, card, 1, PIN)).status_code == 201


async def test_too_many_at_once_are_busy_and_count_no_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await member(world)
    monkeypatch.setattr(pins, "_WAITING_MAX", -pins._AT_ONCE)
    assert_problem(await burn(world, card, 1, PIN), Code.BUSY)
    assert await wrong_attempts(world) == 0


async def test_two_processes_lock_together(world: World, serve: Serve) -> None:
    card, other = await member(world), await serve()
    other.keys |= world.keys
    for place in range(5):
        await burn((world, other)[place % 2], card, 1, OTHER)
    for each in (world, other):
        problem = assert_problem(await burn(each, card, 1, PIN), Code.PIN_REQUIRED)
        assert "wrong too often" in problem["detail"]


async def test_everybody_else_is_served_while_a_pin_is_compared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, other = await member(world), await member(world)
    others_are_served = threading.Event()

    def is_pin_at_last(*asked: Any) -> bool:
        assert others_are_served.wait(60), "nobody else was served meanwhile"
        return is_pin(*asked)

    monkeypatch.setattr(pins, "is_pin", is_pin_at_last)
    slow = asyncio.create_task(burn(world, card, 1, PIN))
    assert (await burn(world, other, 1)).status_code == 201
    # The very member's too: nothing of it is locked.
    assert (await burn(world, card, 1)).status_code == 201
    others_are_served.set()
    assert (await slow).status_code == 201


async def test_what_is_posted_with_a_pin_verifies(world: World) -> None:
    await ask_pins(world)
    card = await member(world)
    body = json.dumps({"card": card, "points": 500, "pin": PIN}).encode()
    assert (await world.till("retail").send("/v1/burns", body)).status_code == 201
    async with world.engine.connect() as connection:
        assert await verify(connection) == []
