"""Every code of the contract, provoked through HTTP, and what comes with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tests.coalition.api.conftest import HOUSE, TERMS, Serve, World, terms
from tests.coalition.people.staff import hire
from tests.owner import owner

from coalition.edge.problems import STATUS
from coalition.errors import Code
from coalition.keys.key import parse
from coalition.members.card import make_card
from coalition.terms.store import sync

NOBODY = str(make_card(5))


async def _malformed(world: World) -> httpx.Response:
    return await world.till("telecom").send("/v1/earns", b'{"card":')


async def _too_large(world: World) -> httpx.Response:
    return await world.till("telecom").send("/v1/earns", b" " * 65_537)


async def _unauthenticated(world: World) -> httpx.Response:
    return await world.client.post("/v1/earns", json={})


async def _scope_missing(world: World) -> httpx.Response:
    return await world.till("telecom").post("/v1/windows/2017-03/close")


async def _idempotency_key_missing(world: World) -> httpx.Response:
    return await world.till("telecom").post("/v1/earns", {"card": NOBODY, "points": 5}, key=None)


async def _invalid(world: World) -> httpx.Response:
    return await world.till("telecom").post("/v1/earns", {"card": NOBODY, "points": 0})


async def _unknown_card(world: World) -> httpx.Response:
    return await world.till("telecom").post("/v1/earns", {"card": NOBODY, "points": 5})


async def _not_found(world: World) -> httpx.Response:
    return await world.till("telecom").post("/v1/burns/brn_123/void")


async def _approval_needed(world: World) -> httpx.Response:
    await hire(world, "approver")
    ann = await hire(world, "operator")
    body = {"email": "other@example.com", "name": "Other", "role": "approver"}
    return await ann.post("/v1/people", body)


async def _own_approval(world: World) -> httpx.Response:
    paula = await hire(world, "approver")
    proposed = await paula.post("/v1/windows/2017-03/close", {"early": True})
    return await paula.post(f"/v1/approvals/{proposed.json()['approval']}/approve")


async def _card_not_active(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.post(f"/v1/cards/{card}/block")
    return await telecom.post("/v1/earns", {"card": card, "points": 5})


async def _pin_required(world: World) -> httpx.Response:
    card = await world.till("telecom").enrol()
    await world.till("retail").earn(card, 5)
    return await world.till("retail").post(f"/v1/cards/{card}/pin", {"pin": "7306"})


async def _idempotency_key_reused(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.post("/v1/earns", {"card": card, "points": 5}, key="same")
    return await telecom.post("/v1/earns", {"card": card, "points": 6}, key="same")


async def _already_reversed(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    earned = await telecom.earn(await telecom.enrol(), 5)
    await telecom.post(f"/v1/earns/{earned['earn_id']}/reverse")
    return await telecom.post(f"/v1/earns/{earned['earn_id']}/reverse")


async def _not_held(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 5)
    burned = await telecom.burn(card, 5)
    return await telecom.post(f"/v1/burns/{burned['burn_id']}/capture")


async def _nothing_earned(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    return await telecom.post("/v1/earns", {"card": await telecom.enrol(), "amount": 99})


async def _limit_reached(world: World) -> httpx.Response:
    retail = world.till("retail")
    card = await retail.enrol()
    await retail.earn(card, 6_000)
    return await retail.post("/v1/burns", {"card": card, "points": 5_001})


async def _merchant_suspended(world: World) -> httpx.Response:
    card = await world.till("telecom").enrol()
    return await world.till("banned").post("/v1/earns", {"card": card, "points": 5})


async def _insufficient_points(world: World) -> httpx.Response:
    telecom = world.till("telecom")
    return await telecom.post("/v1/burns", {"card": await telecom.enrol(), "points": 5})


PROVOKED: dict[Code, Callable[[World], Awaitable[httpx.Response]]] = {
    Code.MALFORMED: _malformed,
    Code.TOO_LARGE: _too_large,
    Code.UNAUTHENTICATED: _unauthenticated,
    Code.SCOPE_MISSING: _scope_missing,
    Code.IDEMPOTENCY_KEY_MISSING: _idempotency_key_missing,
    Code.INVALID: _invalid,
    Code.UNKNOWN_CARD: _unknown_card,
    Code.NOT_FOUND: _not_found,
    Code.APPROVAL_NEEDED: _approval_needed,
    Code.OWN_APPROVAL: _own_approval,
    Code.CARD_NOT_ACTIVE: _card_not_active,
    Code.PIN_REQUIRED: _pin_required,
    Code.IDEMPOTENCY_KEY_REUSED: _idempotency_key_reused,
    Code.ALREADY_REVERSED: _already_reversed,
    Code.NOT_HELD: _not_held,
    Code.NOTHING_EARNED: _nothing_earned,
    Code.LIMIT_REACHED: _limit_reached,
    Code.MERCHANT_SUSPENDED: _merchant_suspended,
    Code.INSUFFICIENT_POINTS: _insufficient_points,
}
ELSEWHERE = {
    Code.IDEMPOTENCY_IN_FLIGHT,
    Code.TOO_MANY_REQUESTS,
    Code.BUSY,
    Code.INTERNAL,
    Code.OUT_OF_STOCK,
    Code.NOT_USABLE,
}


def assert_problem(answer: httpx.Response, code: Code) -> dict[str, Any]:
    assert (answer.status_code, answer.json().get("code")) == (STATUS[code], code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(code)
    assert problem["title"]
    assert problem["detail"]
    return problem


def test_every_code_is_provoked() -> None:
    assert set(PROVOKED) | ELSEWHERE == set(Code)
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize("code", PROVOKED)
async def test_each_mistake_answers_its_code(world: World, code: Code) -> None:
    assert_problem(await PROVOKED[code](world), code)


async def test_unauthenticated_says_how_to_authenticate(world: World) -> None:
    assert (await _unauthenticated(world)).headers["www-authenticate"].startswith("Bearer")


async def test_a_full_queue_is_busy_and_says_when_to_come_again(serve: Serve) -> None:
    world = await serve(queue_max=0)
    telecom = world.till("telecom")
    answer = await telecom.post("/v1/earns", {"card": await telecom.enrol(), "points": 5})
    assert_problem(answer, Code.BUSY)
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_twin_of_an_undecided_request_is_in_flight(serve: Serve) -> None:
    world = await serve(wait_s_max=1)
    telecom = world.till("telecom")
    card = await telecom.enrol()
    body = {"card": card, "points": 5}
    async with world.engine.connect() as connection:
        # Somebody holds the member's account for longer than a request may wait.
        await connection.execute(text("select from account for update"))
        first = asyncio.create_task(telecom.post("/v1/earns", body, key="twin"))
        await asyncio.sleep(0.3)
        twins = [asyncio.create_task(telecom.post("/v1/earns", body, key="twin")) for _ in range(2)]
        assert_problem(await first, Code.BUSY)
        codes = [(await twin).json()["code"] for twin in twins]
        await connection.rollback()
    assert codes == [Code.IDEMPOTENCY_IN_FLIGHT] * 2
    # Afterwards the same key tells what became of it.
    again = await telecom.post("/v1/earns", body, key="twin")
    assert again.status_code == 201
    assert (await telecom.get(f"/v1/cards/{card}")).json()["available"] == 5


async def test_a_key_that_asks_too_fast_is_told_to_wait(serve: Serve) -> None:
    world = await serve(requests_per_second_max=3)
    telecom, retail = world.till("telecom"), world.till("retail")
    answers = [await telecom.get("/v1/windows") for _ in range(20)]
    late = [answer for answer in answers if answer.status_code != 200]
    assert late
    assert_problem(late[0], Code.TOO_MANY_REQUESTS)
    assert int(late[0].headers["retry-after"]) >= 1
    assert (await retail.get("/v1/windows")).status_code == 200
    # Its own mistakes come first, whatever its rate.
    assert_problem(await telecom.post("/v1/earns", {"card": NOBODY}), Code.INVALID)
    assert_problem(
        await telecom.post("/v1/earns", {"card": NOBODY, "points": 5}), Code.TOO_MANY_REQUESTS
    )


@asynccontextmanager
async def _away(server_url: str, name: str) -> AsyncIterator[None]:
    """Nobody can connect to the database, and whoever was connected is no longer."""
    connection = await asyncpg.connect(server_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await connection.execute(f"alter database {name} with allow_connections false")
        await connection.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        )
        yield
        await connection.execute(f"alter database {name} with allow_connections true")
    finally:
        await connection.close()


async def test_a_database_that_is_away_is_busy_and_tells_nothing_of_itself(
    world: World, server_url: str
) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 5)
    name = world.engine.url.database
    assert name is not None
    body = {"card": card, "points": 5}
    async with _away(server_url, name):
        for answer in (
            await telecom.post("/v1/earns", body, key="while-away"),
            await telecom.get(f"/v1/cards/{card}"),
            await telecom.post("/v1/members"),
        ):
            problem = assert_problem(answer, Code.BUSY)
            assert answer.headers["retry-after"] == "1"
            assert name not in answer.text
            assert "sql" not in problem["detail"].lower()
        assert (await world.client.get("/healthz")).status_code == 200
        ready = await world.client.get("/readyz")
        assert (ready.status_code, ready.json()["failing"]) == (503, "database")
        assert (await world.client.head("/readyz")).status_code == 503
    assert (await world.client.get("/readyz")).status_code == 200
    assert (await telecom.post("/v1/earns", body, key="while-away")).status_code == 201
    assert (await telecom.get(f"/v1/cards/{card}")).json()["available"] == 10


async def test_no_connection_left_is_busy_and_says_when_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    monkeypatch.setattr(world.engine.sync_engine.pool, "_timeout", 0.05)
    async with AsyncExitStack() as stack:
        with suppress(PoolTimeoutError):
            while True:
                await stack.enter_async_context(world.engine.connect())
        answer = await telecom.get(f"/v1/cards/{card}")
    assert_problem(answer, Code.BUSY)
    assert answer.headers["retry-after"] == "1"
    assert (await telecom.get(f"/v1/cards/{card}")).status_code == 200


async def test_a_mistake_of_ours_is_internal_and_tells_nothing_of_itself(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    async with owner(world.engine).begin() as connection:
        await connection.execute(text("alter table card rename to card_gone"))
    answer = await telecom.get(f"/v1/cards/{card}")
    assert_problem(answer, Code.INTERNAL)
    assert "card_gone" not in answer.text
    assert "select" not in answer.text


async def test_a_revoked_key_dies_within_two_seconds(world: World) -> None:
    telecom = world.till("telecom")
    assert (await telecom.get("/v1/windows")).status_code == 200
    async with world.engine.begin() as connection:
        await connection.execute(
            text("update api_key set revoked_at = :now where merchant_id ="
                 " (select merchant_id from merchant where code = 'telecom')"),
            {"now": world.clock.now + timedelta(seconds=1)},
        )  # fmt: skip
    await asyncio.sleep(2.05)
    assert_problem(await telecom.get("/v1/windows"), Code.UNAUTHENTICATED)


def _as_test(key: str) -> str:
    """The same id and secret as a test key, with the checksum that belongs to it."""
    parsed = parse(key)
    assert parsed is not None
    return replace(parsed, is_live=False).text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: "",
        lambda key: f"Basic {key}",
        lambda key: f"Bearer {key[:-1]}",
        lambda key: f"Bearer {key.replace('coal_live', 'coal_test')}",
        lambda key: f"Bearer {_as_test(key)}",
        lambda key: f"Bearer {key} {key}",
        lambda key: "Bearer \xe9\xff",
    ],
)
async def test_a_spoilt_key_is_nobodys(world: World, spoil: Callable[[str], str]) -> None:
    header = spoil(world.keys["telecom"]).encode("latin-1")
    answer = await world.client.get("/v1/windows", headers={b"Authorization": header})
    assert_problem(answer, Code.UNAUTHENTICATED)


async def test_the_router_answers_in_problems_too(world: World) -> None:
    assert_problem(await world.client.get("/v1/nothing"), Code.NOT_FOUND)
    answer = await world.client.get("/v1/transfers")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "POST" in answer.headers["allow"]


async def test_options_say_what_is_served_with_and_without_a_key(world: World) -> None:
    telecom, card = world.till("telecom"), "9000000000000001"
    for path, methods in (
        ("/v1/earns", "OPTIONS, POST"),
        ("/v1/batches", "OPTIONS, POST"),
        (f"/v1/cards/{card}", "GET, OPTIONS"),
        ("/v1/windows/2017-03/close", "OPTIONS, POST"),
    ):
        for bearer in (telecom.bearer, world.keys["house"], "nobody"):
            answer = await world.client.options(path, headers={"Authorization": f"Bearer {bearer}"})
            assert (answer.status_code, answer.headers["allow"]) == (204, methods)


async def test_a_merchant_that_joined_a_moment_ago_can_earn_at_once(world: World) -> None:
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [*TERMS, terms("newcomer", "0.01")], world.clock.now)
    world.keys["newcomer"] = await world.key("newcomer", "earn", "members")
    newcomer = world.till("newcomer")
    answer = await newcomer.post("/v1/earns", {"card": await newcomer.enrol(), "amount": 500})
    assert (answer.status_code, answer.json().get("merchant")) == (201, "newcomer")
