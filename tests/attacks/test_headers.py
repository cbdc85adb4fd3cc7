"""Heads that two readers read differently, and answers that others may keep or guess the type of.

Who stands between may take another Host than we do, or find another end of the body; a cache on
the way may keep a balance.
"""

from typing import Any, NamedTuple, cast

import pytest
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code

RIGHT_HOST = (b"host", b"coalition.test")
BODY = b'{"card": "9000000000000001", "points": 5}'


class Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def ask(
    world: World,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"",
    http_version: str = "1.1",
) -> Answer:
    """Ask as a server hands a request over: with these headers, and no others."""
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": http_version, "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
        "headers": headers,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await cast(Any, world.client._transport).app(scope, receive, send)
    answered = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], list(sent[0]["headers"]), answered)


def _keyed(world: World, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (b"authorization", f"Bearer {world.keys['telecom']}".encode()),
        (b"idempotency-key", b"k"),
        *more,
    ]


LENGTH = (b"content-length", str(len(BODY)).encode())
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH],
        [LENGTH, RIGHT_HOST, RIGHT_HOST],
        [LENGTH, RIGHT_HOST, (b"host", b"another.test")],
        [LENGTH, (b"host", b"")],
        [LENGTH, (b"host", b"coalition.test/v1")],
        [LENGTH, (b"host", b"coalition.test, another.test")],
        [LENGTH, (b"host", b"user@coalition.test")],
        [LENGTH, (b"host", b"coalition.test\xa0")],
        [RIGHT_HOST, (b"transfer-encoding", b"gzip, chunked")],
        [RIGHT_HOST, (b"transfer-encoding", b"identity")],
        [RIGHT_HOST, (b"transfer-encoding", b"chunked, chunked")],
        [RIGHT_HOST, (b"transfer-encoding", b"\xa0chunked")],
        [RIGHT_HOST, CHUNKED, CHUNKED],
        [RIGHT_HOST, CHUNKED, LENGTH],
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/v1/earns", "/v1/transfers", "/healthz"])
async def test_a_head_that_can_be_read_in_two_ways_is_malformed(
    world: World, headers: list[tuple[bytes, bytes]], path: str
) -> None:
    before = await world.rows()
    method = "GET" if path == "/healthz" else "POST"
    answer = await ask(world, method, path, _keyed(world, *headers), BODY)
    assert answer.status == 400
    assert b'"code":"malformed"' in answer.body
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("headers", "http_version"),
    [
        ([LENGTH, RIGHT_HOST], "1.1"),
        ([LENGTH, (b"host", b"127.0.0.1:8000")], "1.1"),
        ([LENGTH, (b"host", b"[::1]:8000")], "1.1"),
        ([RIGHT_HOST, CHUNKED], "1.1"),
        ([RIGHT_HOST, (b"transfer-encoding", b"Chunked ")], "1.1"),
        # It knew no Host; some load balancers still look with it.
        ([LENGTH], "1.0"),
    ],
    ids=repr,
)
async def test_a_head_that_can_be_read_in_one_way_is_read(
    world: World, headers: list[tuple[bytes, bytes]], http_version: str
) -> None:
    asked = _keyed(world, *headers)
    answer = await ask(world, "POST", "/v1/earns", asked, BODY, http_version)
    assert answer.status == 404
    assert b'"code":"unknown_card"' in answer.body


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x1f"], ids=repr)
@pytest.mark.parametrize("path", ["/v1/earns", "/v1/windows"])
async def test_a_key_is_not_freed_of_what_only_unicode_calls_space(
    world: World, space: str, path: str
) -> None:
    for spelt in (f"{space}{world.keys['telecom']}", f"{world.keys['telecom']}{space}"):
        authorization = (b"authorization", f"Bearer {spelt}".encode("latin-1"))
        headers = [RIGHT_HOST, authorization, (b"idempotency-key", b"k"), LENGTH]
        answer = await ask(world, "POST" if path == "/v1/earns" else "GET", path, headers, BODY)
        assert answer.status == 401


async def test_no_answer_may_be_kept_or_taken_for_another_type_or_names_the_software(
    world: World,
) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    browser = {"Accept": "text/html"}
    answers = [
        await telecom.post("/v1/earns", {"card": card, "points": 5}),
        await telecom.post("/v1/burns", {"card": card, "points": 5}),
        await telecom.post("/v1/burns", {"card": card, "points": 5}),
        await telecom.post("/v1/earns", {"card": card, "bonus": 5}),
        await telecom.send("/v1/earns", b"{"),
        await telecom.get(f"/v1/cards/{card}"),
        await telecom.get("/v1/windows/none"),
        await telecom.get("/v1/windows/2017-03/statements/telecom.csv"),
        await world.client.post("/v1/earns"),
        await world.client.get("/v1/windows"),
        await world.client.delete("/v1/earns"),
        await world.client.options("/v1/earns"),
        await world.client.get("/healthz"),
        await world.client.head("/readyz"),
        await world.client.get("/metrics"),
        await world.client.get("/"),
        await world.client.get("/schema", headers=browser),
        await world.client.get("/schema"),
        await world.client.get("/schema/openapi.yaml"),
        await world.client.get("/nothing"),
        await world.client.get("/healthz", headers={"Host": "a b"}),
    ]
    assert {answer.status_code for answer in answers} >= {200, 201, 400, 401, 404, 405, 409, 422}
    for answer in answers:
        assert answer.headers.get_list("cache-control") == ["no-store"], answer
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer
        [server] = answer.headers.get_list("server")
        assert not {"granian", "litestar", "hyper", "python"} & set(server.lower().split("/"))


@pytest.mark.parametrize(
    "path", ["/schema/none", "/schema/swagger", "/schema/a.json", "/schema/a/b"]
)
async def test_what_is_no_page_of_the_schema_is_a_problem_and_no_page(
    world: World, path: str
) -> None:
    for accept in ("text/html", "*/*"):
        answer = await world.client.get(path, headers={"Accept": accept})
        assert_problem(answer, Code.NOT_FOUND)
