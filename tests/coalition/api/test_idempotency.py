"""The same key and body have one effect and one answer, for ever."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.coalition.api.conftest import HOUSE, TERMS, World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.terms.store import sync

AT = "2017-03-10T04:00:00Z"


@pytest.fixture
async def posts(world: World) -> list[tuple[str, dict[str, Any]]]:
    """A POST of each kind that telecom can make, in an order in which all succeed."""
    telecom = world.till("telecom")
    card, other = await telecom.enrol(), await telecom.enrol()
    earned = await telecom.earn(card, 1_000)
    burned = await telecom.burn(card, 200)
    await telecom.earn(card, 100, reference="e")
    await telecom.burn(card, 100, reference="b")
    holds = [await telecom.burn(card, 100, hold=True) for _ in range(2)]
    return [
        ("/v1/members", {"external_ref": "m-1", "birthday": "1990-02-28"}),
        ("/v1/earns", {"card": card, "points": 50, "reference": "r"}),
        ("/v1/earns", {"card": card, "amount": 5_000, "items": [{"amount": 5_000}]}),
        ("/v1/burns", {"card": card, "points": 50, "take": {"mix": {"telecom": 50}}}),
        ("/v1/burns", {"card": card, "points": 50, "hold": True}),
        (f"/v1/burns/{holds[0]['burn_id']}/capture", {"points": 60}),
        (f"/v1/burns/{holds[1]['burn_id']}/void", {}),
        (f"/v1/burns/{burned['burn_id']}/reverse", {"points": 30}),
        (f"/v1/earns/{earned['earn_id']}/reverse", {"points": 40}),
        ("/v1/burns/reverse", {"card": card, "reference": "b", "points": 30}),
        ("/v1/earns/reverse", {"card": card, "reference": "e", "occurred_at": AT}),
        ("/v1/transfers", {"from_card": card, "to_card": other, "points": 25}),
    ]


async def test_a_replay_answers_the_first_answer_whatever_came_since(
    world: World, posts: list[tuple[str, dict[str, Any]]]
) -> None:
    telecom = world.till("telecom")
    first = [await telecom.post(path, body, key=f"k{n}") for n, (path, body) in enumerate(posts)]
    for answer in first:
        assert answer.is_success, answer.text
        assert "idempotent-replayed" not in answer.headers
    before = await world.rows()
    world.clock.pass_(hours=30)
    for number, (path, body) in enumerate(posts):
        again = await telecom.post(path, dict(reversed(body.items())), key=f"k{number}")
        assert (again.status_code, again.json()) == (
            first[number].status_code,
            first[number].json(),
        ), path
        assert again.headers["idempotent-replayed"] == "true"
    assert await world.rows() == before


async def test_another_body_under_the_same_key_is_refused(
    world: World, posts: list[tuple[str, dict[str, Any]]]
) -> None:
    telecom = world.till("telecom")
    for number, (path, body) in enumerate(posts):
        assert (await telecom.post(path, body, key=f"k{number}")).is_success
    before = await world.rows()
    for number, (path, body) in enumerate(posts):
        other: dict[str, Any] = body | (
            {"external_ref": "m-2"} if path == "/v1/members" else {"points": 1}
        )
        if path.endswith("/void") or "amount" in body or "take" in body:
            continue
        answer = await telecom.post(path, other, key=f"k{number}")
        assert_problem(answer, Code.IDEMPOTENCY_KEY_REUSED)
    assert await world.rows() == before


async def test_the_same_key_on_another_burn_is_another_body(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    one, two = [(await telecom.burn(card, 10))["burn_id"] for _ in range(2)]
    assert (await telecom.post(f"/v1/burns/{one}/reverse", key="k")).status_code == 201
    answer = await telecom.post(f"/v1/burns/{two}/reverse", key="k")
    assert_problem(answer, Code.IDEMPOTENCY_KEY_REUSED)


async def test_a_key_belongs_to_one_merchant_and_one_operation(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await telecom.enrol()
    body = {"card": card, "points": 10}
    for till in (telecom, retail):
        assert (await till.post("/v1/earns", body, key="k")).status_code == 201
        answer = await till.post("/v1/burns", body, key="k")
        assert answer.status_code == 201
        assert "idempotent-replayed" not in answer.headers


async def test_a_refusal_is_not_remembered(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    body = {"card": card, "points": 10}
    assert_problem(await telecom.post("/v1/burns", body, key="k"), Code.INSUFFICIENT_POINTS)
    await telecom.earn(card, 10)
    assert (await telecom.post("/v1/burns", body, key="k")).status_code == 201


async def test_twenty_at_once_have_one_effect_and_one_answer(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    body = {"card": card, "points": 10}
    answers = await asyncio.gather(
        *(telecom.post("/v1/earns", body, key="twenty") for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert (await telecom.get(f"/v1/cards/{card}")).json()["available"] == 10


async def test_enrolling_twice_at_once_under_one_key_makes_one_member(world: World) -> None:
    telecom = world.till("telecom")
    answers = await asyncio.gather(*(telecom.post("/v1/members", {}, key="m") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    card = answers[0].json()["card"]
    await telecom.post(f"/v1/cards/{card}/replace")
    again = await telecom.post("/v1/members", {}, key="m")
    assert again.json()["card"] == card


async def test_a_replay_answers_the_first_answer_under_new_terms_too(world: World) -> None:
    telecom = world.till("telecom")
    card = await world.old_card(days=20)
    posts = [
        ("/v1/earns", {"card": card, "points": 50}),
        ("/v1/earns", {"card": card, "amount": 5_000, "occurred_at": "2017-03-01T00:00:00+08:00"}),
        ("/v1/burns", {"card": card, "points": 5, "hold": True, "hold_seconds": 3_600}),
        ("/v1/burns", {"card": card, "points": 5, "hold": True}),
    ]
    first = [await telecom.post(path, body, key=f"k{n}") for n, (path, body) in enumerate(posts)]
    assert [answer.status_code for answer in first] == [201] * 4
    changed = replace(
        TERMS[0], points_outright=False, hold_seconds_max=60, joined_on=date(2017, 3, 10)
    )
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [changed, *TERMS[1:]], world.clock.now)
    # They are in force from the next day on.
    world.clock.now += timedelta(days=1)
    # The first to ask for something new makes the process read the new terms.
    assert_problem(await telecom.post("/v1/earns", {"card": card, "points": 1}), Code.INVALID)
    for number, (path, body) in enumerate(posts):
        again = await telecom.post(path, body, key=f"k{number}")
        assert (again.status_code, again.json()) == (201, first[number].json())
        # The same request under another key is a new one, and meets the new terms.
        if number != 3:
            assert_problem(await telecom.post(path, body), Code.INVALID)
