"""The attack: whoever knows a card's number and has one merchant's key empties the card.

97 burns of 10 points took 970 in 1.3 seconds, each far below points_per_burn_max; a transfer passed
that limit altogether, and any key that could burn could transfer; holds that were captured later
and a file of rows did the same. Nothing asked for anything that only the member knows; and what
asks for a PIN must hold against whoever splits, guesses, or sets a PIN of his own.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from tests.coalition.api.conftest import HOUSE, TERMS, Till, World, terms
from tests.coalition.api.test_batches import done, ndjson
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.terms.store import sync
from coalition.verify import verify

A_DAY_MAX = 100
CARD_POINTS = 970


async def limited(world: World, **retail: Any) -> None:
    """Retail's terms are these from now on."""
    changed = terms("retail", "0.008", points_outright=True, points_per_burn_max=5_000, **retail)
    files = [one for one in TERMS if one.code != "retail"] + [changed]
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, files, world.clock.now)
    # Changed terms are in force from the next day on.
    world.clock.pass_(days=1)


async def victim(world: World, points: int = CARD_POINTS) -> str:
    card = await world.till("telecom").enrol()
    await world.till("telecom").earn(card, points)
    return card


async def left(world: World, card: str) -> int:
    view = (await world.till("telecom").get(f"/v1/cards/{card}")).json()
    available: int = view["available"]
    return available


async def assert_verified(world: World) -> None:
    async with world.engine.connect() as connection:
        assert await verify(connection) == []


async def burns(till: Till, card: str, count: int, **more: Any) -> list[int]:
    """The statuses of so many burns of 10 points, all asked at once."""
    asked = (till.post("/v1/burns", {"card": card, "points": 10} | more) for _ in range(count))
    return [answer.status_code for answer in await asyncio.gather(*asked)]


async def test_97_burns_of_10_stop_at_what_a_member_may_spend_on_one_day(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    statuses = await burns(world.till("retail"), card, 97)
    assert sorted(set(statuses)) == [201, 409]
    assert statuses.count(201) == 10
    assert await left(world, card) == CARD_POINTS - A_DAY_MAX
    refused = await world.till("retail").post("/v1/burns", {"card": card, "points": 10})
    problem = assert_problem(refused, Code.LIMIT_REACHED)
    assert "retail" in problem["detail"]
    await assert_verified(world)


async def test_two_processes_with_the_same_key_count_together(world: World, serve: Any) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    other = await serve()
    other.clock.now = world.clock.now
    here, there = world.till("retail"), Till(other.client, world.keys["retail"])
    statuses = await asyncio.gather(burns(here, card, 15), burns(there, card, 15))
    assert sum(each.count(201) for each in statuses) == 10
    await assert_verified(world)


async def test_the_next_day_is_a_new_one_by_the_houses_date(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    retail = world.till("retail")
    assert (await burns(retail, card, 12)).count(201) == 10
    # 12:00 in Shanghai: eleven hours later it is the same day, and then no longer.
    world.clock.pass_(hours=11, minutes=59)
    assert (await burns(retail, card, 1)) == [409]
    world.clock.pass_(minutes=1)
    assert (await burns(retail, card, 12)).count(201) == 10
    await assert_verified(world)


async def test_no_till_picks_the_day_by_its_occurred_at(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    world.clock.pass_(days=3)
    taken = 0
    for hours in range(0, 72, 6):
        at = (world.clock.now - timedelta(hours=hours)).isoformat()
        taken += (await burns(world.till("retail"), card, 3, occurred_at=at)).count(201)
    assert taken == 10


async def test_holds_count_and_a_void_or_a_reversal_gives_no_part_of_the_day_back(
    world: World,
) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    retail = world.till("retail")
    held = await retail.burn(card, 50, hold=True)
    assert (await retail.post(f"/v1/burns/{held['burn_id']}/void")).status_code == 200
    burned = await retail.burn(card, 50)
    assert (await retail.post(f"/v1/burns/{burned['burn_id']}/reverse")).status_code == 201
    assert_problem(
        await retail.post("/v1/burns", {"card": card, "points": 1, "hold": True}),
        Code.LIMIT_REACHED,
    )
    assert await left(world, card) == CARD_POINTS
    await assert_verified(world)


async def test_a_capture_is_not_counted_again(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    retail = world.till("retail")
    held = await retail.burn(card, 60, hold=True)
    assert (await retail.post(f"/v1/burns/{held['burn_id']}/capture")).status_code == 200
    await retail.burn(card, 40)


async def test_a_transfer_is_limited_as_a_burn_is(world: World) -> None:
    await limited(world, points_per_member_per_day_max=9_000)
    card = await victim(world, 20_000)
    mule = await world.till("telecom").enrol()
    retail = world.till("retail")
    gift = {"from_card": card, "to_card": mule, "points": 5_001}
    assert_problem(await retail.post("/v1/transfers", gift), Code.LIMIT_REACHED)
    assert (await retail.post("/v1/transfers", gift | {"points": 5_000})).status_code == 201
    assert_problem(await retail.post("/v1/transfers", gift | {"points": 4_001}), Code.LIMIT_REACHED)
    # And it is one of the giver's day, not of the taker's.
    await retail.earn(mule, 10)
    assert_problem(
        await retail.post("/v1/burns", {"card": card, "points": 4_001}), Code.LIMIT_REACHED
    )
    await retail.burn(mule, 5_000)
    await assert_verified(world)


async def test_a_file_of_rows_is_limited_as_its_requests_are(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    rows = ({"op": "burn", "key": f"k{n}", "card": card, "points": 10} for n in range(97))
    found = await done(world.till("retail"), ndjson(*rows))
    assert [one.get("code") for one in found].count(Code.LIMIT_REACHED) == 87
    assert await left(world, card) == CARD_POINTS - A_DAY_MAX


async def test_what_is_spent_elsewhere_counts_and_is_not_told(world: World) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    await world.till("telecom").burn(card, 77)
    answer = await world.till("retail").post("/v1/burns", {"card": card, "points": 24})
    problem = assert_problem(answer, Code.LIMIT_REACHED)
    assert "77" not in problem["detail"]
    assert "23" not in problem["detail"]


async def test_the_houses_limit_holds_at_once_wherever_points_are_spent(world: World) -> None:
    card = await victim(world)
    async with world.engine.begin() as connection:
        house = replace(HOUSE, points_per_member_per_day_max=A_DAY_MAX)
        await sync(connection, house, TERMS, world.clock.now)
    statuses = [
        status
        for code in ("telecom", "retail", "plain")
        for status in await burns(world.till(code), card, 5)
    ]
    assert statuses.count(201) == 10
    mule = await world.till("telecom").enrol()
    gift = {"from_card": card, "to_card": mule, "points": 1}
    for code in ("telecom", "house"):
        problem = assert_problem(
            await world.till(code).post("/v1/transfers", gift), Code.LIMIT_REACHED
        )
        assert "house allows" in problem["detail"]


async def test_a_key_transfers_only_with_the_scope_for_it(world: World) -> None:
    card, mule = await victim(world), await world.till("telecom").enrol()
    gift = {"from_card": card, "to_card": mule, "points": 10}
    without = Till(world.client, await world.key("telecom", "earn", "burn", "members"))
    problem = assert_problem(await without.post("/v1/transfers", gift), Code.SCOPE_MISSING)
    assert "transfer" in problem["detail"]
    assert await left(world, card) == CARD_POINTS
    with_it = Till(world.client, await world.key("plain", "transfer"))
    assert (await with_it.post("/v1/transfers", gift)).status_code == 201
    assert_problem(await with_it.post("/v1/burns", {"card": card, "points": 1}), Code.SCOPE_MISSING)


@pytest.mark.parametrize("change", ["spent_points = 0", "spent_after_no = last_no"])
async def test_whoever_lowers_the_count_in_the_database_is_named(world: World, change: str) -> None:
    await limited(world, points_per_member_per_day_max=A_DAY_MAX)
    card = await victim(world)
    await burns(world.till("retail"), card, 10)
    async with world.engine.begin() as connection:
        await connection.execute(text(f"update account set {change} where spent_points > 0"))
    async with world.engine.connect() as connection:
        assert ["counted as spent" in breach.row for breach in await verify(connection)] == [True]


# ---------------------------------------------------------------- the member's PIN

PIN, GUESS = "7306", "9142"


async def test_no_card_is_emptied_by_its_number_alone_where_terms_ask_for_the_pin(
    world: World,
) -> None:
    await limited(world, pin_above_points=A_DAY_MAX)
    card, mule = await victim(world), await world.till("telecom").enrol()
    assert (await world.till("telecom").post(f"/v1/cards/{card}/pin", {"pin": PIN})).is_success
    retail = world.till("retail")
    # In small burns, in a file, by holds, as a gift.
    assert (await burns(retail, card, 8)).count(201) == 8
    rows = ({"op": "burn", "key": f"k{n}", "card": card, "points": 10} for n in range(5))
    await done(retail, ndjson(*rows))
    for path, body in (
        ("burns", {"card": card, "points": 1}),
        ("burns", {"card": card, "points": 1, "hold": True}),
        ("transfers", {"from_card": card, "to_card": mule, "points": 1}),
    ):
        assert_problem(await retail.post(f"/v1/{path}", body), Code.PIN_REQUIRED)
    assert await left(world, card) == CARD_POINTS - A_DAY_MAX
    assert (
        await retail.post("/v1/burns", {"card": card, "points": 500, "pin": PIN})
    ).status_code == 201


async def test_whoever_guesses_at_many_tills_at_once_has_five_guesses(world: World) -> None:
    card = await victim(world)
    await world.till("telecom").post(f"/v1/cards/{card}/pin", {"pin": PIN})
    guess = {"card": card, "points": 1, "pin": GUESS}
    answers = await asyncio.gather(
        *(world.till("retail").post("/v1/burns", guess) for _ in range(25))
    )
    details = [assert_problem(answer, Code.PIN_REQUIRED)["detail"] for answer in answers]
    assert details.count("The PIN is wrong.") == 5
    # Not even the right one is told from the others now.
    problem = assert_problem(
        await world.till("retail").post("/v1/burns", guess | {"pin": PIN}), Code.PIN_REQUIRED
    )
    assert problem["detail"] in details


async def test_old_pin_is_no_second_way_to_guess(world: World) -> None:
    card = await victim(world)
    telecom = world.till("telecom")
    await telecom.post(f"/v1/cards/{card}/pin", {"pin": PIN})
    for _ in range(5):
        await telecom.post(f"/v1/cards/{card}/pin", {"pin": "8153", "old_pin": GUESS})
    for body in ({"pin": "8153", "old_pin": PIN}, {"pin": PIN}):
        assert_problem(await telecom.post(f"/v1/cards/{card}/pin", body), Code.PIN_REQUIRED)


async def test_an_earn_of_one_point_makes_nobody_the_one_who_sets_the_pin(world: World) -> None:
    await limited(world, pin_above_points=0)
    card = await victim(world)
    thief = world.till("retail")
    await thief.earn(card, 1)
    assert_problem(await thief.post(f"/v1/cards/{card}/pin", {"pin": PIN}), Code.PIN_REQUIRED)
    answer = await thief.post("/v1/burns", {"card": card, "points": CARD_POINTS, "pin": PIN})
    assert_problem(answer, Code.PIN_REQUIRED)
    assert await left(world, card) == CARD_POINTS + 1


async def test_a_dead_card_tells_nothing_of_a_pin_and_counts_no_guess(world: World) -> None:
    card = await victim(world)
    telecom = world.till("telecom")
    await telecom.post(f"/v1/cards/{card}/pin", {"pin": PIN})
    new = (await telecom.post(f"/v1/cards/{card}/replace")).json()["card"]
    for pin in [GUESS] * 6 + [PIN]:
        answer = await telecom.post("/v1/burns", {"card": card, "points": 1, "pin": pin})
        assert_problem(answer, Code.CARD_NOT_ACTIVE)
    await telecom.burn(new, 1, pin=PIN)
