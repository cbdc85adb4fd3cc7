"""Where several mistakes meet in one request, the first in the contract's order is answered."""

from typing import Any

import pytest
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.members.card import make_card

NOBODY = str(make_card(5)).encode()
UNKNOWN = b'{"card":"' + NOBODY + b'","points":5}'
INVALID = b'{"card":"' + NOBODY + b'","points":0}'
TWICE = b'{"card":"1","card":"2"}'


@pytest.mark.parametrize(
    ("content", "bearer", "key", "code"),
    [
        (TWICE, None, None, Code.MALFORMED),
        (TWICE, "narrow", None, Code.MALFORMED),
        (b" " * 70_000, None, None, Code.TOO_LARGE),
        (INVALID, None, None, Code.UNAUTHENTICATED),
        (INVALID, "spoilt", None, Code.UNAUTHENTICATED),
        (INVALID, "narrow", None, Code.SCOPE_MISSING),
        (INVALID, "telecom", None, Code.IDEMPOTENCY_KEY_MISSING),
        (INVALID, "telecom", "", Code.IDEMPOTENCY_KEY_MISSING),
        (INVALID, "telecom", "with space", Code.IDEMPOTENCY_KEY_MISSING),
        (INVALID, "telecom", "k" * 256, Code.IDEMPOTENCY_KEY_MISSING),
        (INVALID, "telecom", "\xe9", Code.IDEMPOTENCY_KEY_MISSING),
        (INVALID, "telecom", "k" * 255, Code.INVALID),
        (UNKNOWN, "telecom", "key", Code.UNKNOWN_CARD),
        (UNKNOWN, "banned", "key", Code.UNKNOWN_CARD),
    ],
)
async def test_the_first_mistake_in_the_order_is_answered(
    world: World, content: bytes, bearer: str | None, key: str | None, code: Code
) -> None:
    bearers = {
        None: None,
        "spoilt": world.keys["telecom"][:-1] + "!",
        "narrow": await world.key("plain", "statements"),
        "telecom": world.keys["telecom"],
        "banned": world.keys["banned"],
    }
    headers: dict[bytes, bytes] = {}
    if bearer is not None:
        headers[b"Authorization"] = f"Bearer {bearers[bearer]}".encode()
    if key is not None:
        headers[b"Idempotency-Key"] = key.encode("latin-1")
    answer = await world.client.post("/v1/earns", content=content, headers=headers)
    assert_problem(answer, code)


async def test_a_wrong_body_comes_before_an_unknown_id(world: World) -> None:
    telecom = world.till("telecom")
    for body in ({"points": 0}, {"reason": "returned"}):
        assert_problem(await telecom.post("/v1/burns/brn_1/reverse", body), Code.INVALID)
    assert_problem(await telecom.post("/v1/burns/brn_1/reverse", {}), Code.NOT_FOUND)


async def test_a_blocked_card_comes_before_a_reused_key_and_that_before_a_shortage(
    world: World,
) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 10)
    body: dict[str, Any] = {"card": card, "points": 10}
    assert (await telecom.post("/v1/burns", body, key="k")).status_code == 201
    assert_problem(
        await telecom.post("/v1/burns", body | {"points": 99}, key="k"),
        Code.IDEMPOTENCY_KEY_REUSED,
    )
    await telecom.post(f"/v1/cards/{card}/block")
    assert_problem(
        await telecom.post("/v1/burns", body | {"points": 99}, key="k"), Code.CARD_NOT_ACTIVE
    )


# What the terms refuse; plain may not grant points outright and all joined in 2017.
AGAINST_TERMS: list[tuple[str, str, dict[str, Any]]] = [
    ("plain", "/v1/earns", {"points": 5}),
    ("telecom", "/v1/earns", {"amount": 5, "items": [{"amount": 6}]}),
    ("telecom", "/v1/earns", {"amount": 500, "occurred_at": "2016-12-01T12:00:00+08:00"}),
    ("telecom", "/v1/burns", {"points": 5, "occurred_at": "2016-12-01T12:00:00+08:00"}),
    ("telecom", "/v1/burns", {"points": 5, "hold": True, "hold_seconds": 99_999_999}),
    ("house", "/v1/earns", {"amount": 500}),
    ("house", "/v1/burns", {"points": 5}),
]


@pytest.mark.parametrize(("code", "path", "body"), AGAINST_TERMS)
async def test_what_the_terms_refuse_comes_before_the_card_and_a_reused_key(
    world: World, code: str, path: str, body: dict[str, Any]
) -> None:
    till, telecom = world.till(code), world.till("telecom")
    card = await telecom.enrol()
    if code != "house":
        assert (await till.post("/v1/earns", {"card": card, "amount": 9_900}, key="k")).is_success
    for number in (NOBODY.decode(), card):
        assert_problem(await till.post(path, {"card": number} | body, key="k"), Code.INVALID)
    await telecom.post(f"/v1/cards/{card}/block")
    assert_problem(await till.post(path, {"card": card} | body, key="k"), Code.INVALID)


async def test_a_suspended_merchant_is_told_so_before_a_shortage(world: World) -> None:
    card = await world.till("telecom").enrol()
    answer = await world.till("banned").post("/v1/burns", {"card": card, "points": 5})
    assert_problem(answer, Code.MERCHANT_SUSPENDED)
