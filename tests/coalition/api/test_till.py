"""The till's way in answers as the routes do, takes what is right, and leaves all else to them."""

import asyncio
import json
import re
from collections import Counter
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.types import Receive, Scope, Send
from tests.coalition.api.conftest import BASE, Serve, World
from tests.coalition.batches.test_rows import CARD, TIMES

from coalition.api.till import TillLane
from coalition.edge.gate import Gate
from coalition.errors import CoalitionError
from coalition.wire.bodies import EarnBody
from coalition.wire.keys import canonical
from coalition.wire.syntax import check_syntax, decode, read_right

# What sends a request through the routes: the till's way in does not look at packed bodies.
BY_THE_ROUTES = {"Content-Encoding": "identity"}
_TEXT = st.text(max_size=8) | st.sampled_from(["a:b", "::", "\\", '"', "\u2028", '":'])
_ITEM = st.fixed_dictionaries(
    {"amount": st.integers(-1, 10**6)},
    optional={"category": _TEXT, "quantity": st.integers(0, 3), "price": st.just(1)},
)
_NAMED = st.one_of(
    st.tuples(st.just("card"), st.just(CARD) | st.just(7)),
    st.tuples(st.just("amount"), st.integers(-1, 10**6) | st.none()),
    st.tuples(st.just("items"), st.lists(_ITEM, max_size=3)),
    st.tuples(st.just("reference"), _TEXT),
    st.tuples(st.just("occurred_at"), st.sampled_from(TIMES)),
    st.tuples(st.just("points"), st.integers(0, 9)),
    st.tuples(st.just("bonus"), st.just({"a:": 1})),
)


def _spelt(pairs: list[tuple[str, Any]], *, escaped: bool) -> bytes:
    fields = (f"{json.dumps(n)}:{json.dumps(v, ensure_ascii=escaped)}" for n, v in pairs)
    return f"{{{','.join(fields)}}}".encode("utf-8", "replace")


@given(st.lists(_NAMED, max_size=6), st.booleans())
@example([("card", CARD), ("amount", 1), ("amount", 1)], False)
@example([("card", CARD), ("card", CARD), ("occurred_at", "2026-10-09T10:11:12+0800")], False)
@example([("card", CARD), ("items", [{"amount": 1, "quantity": 1}])], False)
def test_what_is_right_at_once_is_what_the_strict_way_reads(
    pairs: list[tuple[str, Any]], escaped: bool
) -> None:
    body = _spelt(pairs, escaped=escaped)
    try:
        check_syntax(body)
        strictly = decode(body, EarnBody)
    except CoalitionError:
        strictly = None
    at_once = read_right(body, EarnBody)
    assert at_once == (None if strictly is None else (strictly, canonical(strictly)))


async def _bodies(world: World) -> list[tuple[str, bytes]]:
    telecom = world.till("telecom")
    card = await world.old_card(days=20)
    await telecom.earn(card, 500)
    await world.till("retail").earn(card, 500)
    purchase = {"card": card, "amount": 900, "currency": "CNY", "reference": "Kassa 3 · ¥"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("earns", purchase | {"items": [{"amount": 400, "category": "food", "quantity": 1}]}),
        ("earns", {"card": card, "points": 7, "occurred_at": "2017-03-10T08:00:00+08:00"}),
        ("burns", {"card": card, "points": 700}),
        ("burns", {"card": card, "points": 30, "take": {"only": "retail"}, "hold": True}),
    ]
    return [(f"/v1/{path}", json.dumps(body).encode()) for path, body in asked]


async def test_both_ways_give_the_same_answer_under_the_same_key(world: World) -> None:
    telecom = world.till("telecom")
    for number, (path, body) in enumerate(await _bodies(world)):
        for first, second in ((BY_THE_ROUTES, {}), ({}, BY_THE_ROUTES)):
            key = {"Idempotency-Key": f"{number}-{len(first)}"}
            posted = await telecom.send(path, body, **key, **first)
            replayed = await telecom.send(path, body, **key, **second)
            if path == "/v1/burns" and posted.status_code == 409:
                assert posted.json()["code"] == replayed.json()["code"] == "insufficient_points"
                continue
            assert posted.status_code == replayed.status_code == 201, posted.text
            assert posted.content == replayed.content
            assert _headers(replayed) == _headers(posted) | {"idempotent-replayed": "true"}


async def test_both_ways_refuse_with_the_same_words(world: World) -> None:
    till, card = world.till("plain"), await world.till("telecom").enrol()
    nobody = "9000000000000001"
    for path, fields in (
        ("/v1/burns", {"card": card, "points": 10**6}),
        ("/v1/burns", {"card": nobody, "points": 1}),
        ("/v1/earns", {"card": card, "amount": 1}),
        ("/v1/earns", {"card": card, "points": 1}),
        ("/v1/earns", {"card": card, "bonus": 1}),
        ("/v1/earns", {"card": card, "items": [{"amount": 1_000, "quantity": 3}]}),
        ("/v1/earns", {"card": card, "amount": 5, "currency": "USD"}),
        ("/v1/earns", {"card": "9000000000000000", "amount": 5}),
    ):
        body = json.dumps(fields).encode()
        at_once = await till.send(path, body)
        by_the_routes = await till.send(path, body, **BY_THE_ROUTES)
        assert not at_once.is_success
        assert (at_once.status_code, at_once.content) == (
            by_the_routes.status_code,
            by_the_routes.content,
        )
        assert _headers(at_once) == _headers(by_the_routes)


class _Sent(NamedTuple):
    """One request of a till: whose key it has, and whatever else a sender gets right or wrong."""

    path: str
    key_of: str
    body: bytes
    headers: dict[str, str]


# Stands in a body for the card of the member that the request is about.
_MINE = "<the card>"
_RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "amount": st.integers(0, 10**5),
    "currency": st.just("CNY"),
    "items": st.lists(st.fixed_dictionaries({"amount": st.integers(0, 10**4)}), max_size=3),
    "points": st.integers(1, 300),
    "reference": _TEXT,
    "take": st.sampled_from(["oldest", "own_first", {"only": "retail"}, {"mix": {"plain": 5}}]),
    "hold": st.booleans(),
    "hold_seconds": st.integers(1, 4_000),
    "occurred_at": st.sampled_from([*TIMES, "2017-03-10T08:00:00+08:00", "2017-03-09T00:00:00Z"]),
}
_ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(-1, 10**20), st.floats(allow_nan=True), _TEXT),
    st.sampled_from([[], {}, [[[]]], {"only": "nobody"}, {"mix": {}}, "\u00a0", "CNY", "1", 1e400]),
)
_RIGHT_FIELD = st.one_of(*(st.tuples(st.just(name), one) for name, one in _RIGHT.items()))
_NAMES_OF_FIELDS = st.sampled_from([*_RIGHT, "card", "code", "action", "reward", "bonus", ""])
_ODD_FIELD = st.tuples(_NAMES_OF_FIELDS, _ODD | st.just(_MINE))
_CARDS = st.sampled_from([_MINE] * 6 + ["9000000000000001", CARD[:-1] + "0", "", "9" * 70])
_BEGINNING = st.one_of(
    st.fixed_dictionaries({"card": _CARDS, "amount": _RIGHT["amount"]}),
    st.fixed_dictionaries({"card": _CARDS, "points": _RIGHT["points"]}),
    st.fixed_dictionaries({"card": _CARDS}),
)
# What is done to a body on its way: bytes lost, and others put in.
_DAMAGE = st.tuples(
    st.integers(0, 200),
    st.integers(0, 5),
    st.sampled_from([b"", b"\xff", b"{", b'"', b"\0", b",,"]),
)
_KEYS_OF = st.sampled_from(
    ["telecom"] * 5 + ["retail", "plain", "banned", "house", "burns only", "nobody", "none"]
)
_HEADERS: st.SearchStrategy[dict[str, str]] = st.sampled_from(
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "with space"},
        {"Idempotency-Key": "k" * 256},
        {"Idempotency-Key": "\x7f"},
        {"Host": ""},
        {"Transfer-Encoding": "gzip"},
        {"Accept": "text/html"},
        {"X-Forwarded-For": "198.51.100.1"},
        {"Expect": "100-continue"},
    ]
)


def _now_and_then(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 5)) == 5


@st.composite
def _requests(draw: st.DrawFn) -> _Sent:
    """Right in most of its parts, so that one that is wrong is not hidden behind another."""
    pairs = dict(draw(_BEGINNING))
    if draw(st.booleans()):
        pairs |= dict([draw(_RIGHT_FIELD)])
    fields = list(pairs.items())
    if _now_and_then(draw):
        fields.append(draw(_ODD_FIELD))
    body = _spelt(fields, escaped=draw(st.booleans()))
    if _now_and_then(draw):
        at, lost, put = draw(_DAMAGE)
        body = body[:at] + put + body[at + lost :]
    path = draw(st.sampled_from(["/v1/earns", "/v1/burns"]))
    return _Sent(path, draw(_KEYS_OF), body, draw(_HEADERS) if _now_and_then(draw) else {})


# What may differ between two members to whom the same was done: their names and their rows' names.
_NAMES = re.compile(rb"(ern|brn|lot)_[0-9a-z]+|[0-9]{16}")


async def test_both_ways_answer_alike_whatever_is_sent(world: World) -> None:
    _application(world).state["services"].throttle._monotonic_s = _Hours()
    world.keys["burns only"] = await world.key("telecom", "burn")
    world.keys |= {"nobody": "coal_test_nobody", "none": ""}
    twins = []
    for _ in range(2):
        card = await world.till("telecom").enrol()
        for code in ("telecom", "retail", "plain"):
            points = {"points": 400} if code != "plain" else {"amount": 40_000}
            answer = await world.till(code).post("/v1/earns", {"card": card} | points)
            assert answer.status_code == 201, answer.text
        twins.append(card.encode())
    codes: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    numbers = iter(range(10**9))

    async def ask(sent: _Sent) -> None:
        name = f"twin-{next(numbers)}"
        answers = []
        # One twin by each way; then each again by the other, under the same key.
        for card, way in zip(twins * 2, [{}, BY_THE_ROUTES, BY_THE_ROUTES, {}], strict=True):
            headers = {"Idempotency-Key": f"{name}-{card.decode()}"} | sent.headers | way
            body = sent.body.replace(_MINE.encode(), card)
            answers.append(await world.till(sent.key_of).send(sent.path, body, **headers))
        told = [(one.status_code, _NAMES.sub(b"", one.content)) for one in answers]
        assert told[0] == told[1], sent
        assert told[2] == told[3], sent
        codes.update(one.json().get("code", "posted") for one in answers)
        first, second = (_headers(one) for one in answers[:2])
        assert first.keys() == second.keys()
        if answers[0].status_code == 201:
            # By whichever way it was posted, the other one has the same answer.
            assert [one.content for one in answers[:2]] == [one.content for one in answers[2:]]

    @settings(
        max_examples=300,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sent=_requests())
    @example(_Sent("/v1/burns", "telecom", b'{"card":"<the card>","points":999999999}', {}))
    def alike(sent: _Sent) -> None:
        asyncio.run_coroutine_threadsafe(ask(sent), loop).result()

    await asyncio.to_thread(alike)
    # It got everywhere, and not to the same place each time.
    assert codes["posted"] > 100, codes
    assert codes.keys() >= {
        *("malformed", "unauthenticated", "scope_missing", "idempotency_key_missing", "invalid"),
        *("unknown_card", "nothing_earned", "insufficient_points", "merchant_suspended"),
    }, codes


class _Hours:
    """A clock that stands an hour later at each look: nobody is slowed for asking fast."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += 3_600
        return self._now_s


def _headers(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.headers)


def _application(world: World) -> Litestar:
    transport = world.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert isinstance(transport.app, Litestar)
    return transport.app


class _Routes:
    """Stands where the routes do, and notes what was left to them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]  # type: ignore[typeddict-item]
        self.bodies.append(body + message["body"])  # type: ignore[typeddict-item]
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
async def alone(world: World) -> tuple[httpx.AsyncClient, _Routes]:
    """A client of the till's way in alone, and who is asked instead of the routes."""
    whole = _application(world)
    routes = _Routes()
    lane = TillLane(whole.state["services"], routes)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await lane(
            scope | {"app": whole, "litestar_app": whole, "state": {}},
            receive,
            send,
        )

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE), routes


async def test_what_is_right_never_reaches_the_routes(
    world: World, alone: tuple[httpx.AsyncClient, _Routes]
) -> None:
    client, routes = alone
    for number, (path, body) in enumerate(await _bodies(world)):
        headers = {
            "Authorization": f"Bearer {world.keys['telecom']}",
            "Idempotency-Key": f"{number}",
        }
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code == 201, answer.text
    assert routes.bodies == []


async def test_what_is_not_right_reaches_the_routes_whole_and_moves_nothing(
    world: World, alone: tuple[httpx.AsyncClient, _Routes]
) -> None:
    client, routes = alone
    card = await world.till("telecom").enrol()
    burns_only = await world.key("telecom", "burn")
    right = json.dumps({"card": card, "amount": 100}).encode()
    before = await world.rows()
    sent = [
        ({"Authorization": "Bearer nobody"}, right),
        ({"Authorization": f"Bearer {burns_only}"}, right),
        ({"Authorization": f"Bearer {world.keys['house']}"}, right),
        ({"Idempotency-Key": "with space"}, right),
        ({"Content-Encoding": "gzip"}, right),
        ({}, right.replace(b"100", b'"100"')),
        ({}, right.replace(b"100", b"-1")),
        ({}, right + b"}"),
        ({}, b""),
        ({}, right[:-1] + b',"amount":100}'),
        ({}, right[:-1] + b',"reference":"' + b"r" * 70_000 + b'"}'),
        ({"Content-Length": "3"}, right),
        ({"Content-Length": "9" * 5_000}, right),
    ]
    for changes, body in sent:
        headers = {"Authorization": f"Bearer {world.keys['telecom']}", "Idempotency-Key": "k"}
        answer = await client.post("/v1/earns", content=body, headers=headers | changes)
        assert answer.status_code == 299, (changes, body[:80])
    assert routes.bodies == [body for _, body in sent]
    key = ("Authorization", f"Bearer {world.keys['telecom']}")
    twice = await client.post(
        "/v1/earns", content=right, headers=[key, key, ("Idempotency-Key", "k")]
    )
    assert twice.status_code == 299
    assert await world.rows() == before


async def test_a_created_application_has_the_way_in(world: World) -> None:
    assert isinstance(_application(world).asgi_handler, Gate)


async def test_a_request_left_to_the_routes_counts_once_against_the_rate(serve: Serve) -> None:
    world = await serve(requests_per_second_max=3)
    till = world.till("plain")
    wrong = json.dumps({"card": "9000000000000000", "amount": 500}).encode()
    right = json.dumps({"card": "9000000000000001", "amount": 500}).encode()
    sent = [wrong, wrong, right, right]
    statuses = [(await till.send("/v1/earns", body)).status_code for body in sent]
    assert statuses[:3] == [422, 422, 404]
