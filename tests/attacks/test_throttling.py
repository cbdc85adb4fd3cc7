"""Whoever has no key asks as fast as they can: for pages that were dear to make, and with guesses.

/schema/openapi.yaml was rendered at each request, so that a till's median went from 38 ms to 8 s.
"""

from ipaddress import ip_network
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from tests.coalition.api.conftest import BASE, Serve, Till, World

from coalition.edge.services import Services
from coalition.edge.throttle import ADDRESSES_MAX, AT_ONCE_MAX, PER_S_MAX, Throttle, address_of
from coalition.keys import key as keys


class Seconds:
    """A clock that the test moves, so that none depends on how fast the machine is."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _app(world: World) -> Litestar:
    app = cast(Any, world.client._transport).app
    assert isinstance(app, Litestar)
    return app


@pytest.fixture
def seconds(world: World) -> Seconds:
    services: Services = _app(world).state["services"]
    made = Seconds()
    services.throttle._monotonic_s = made
    return made


def _from(world: World, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast(Any, _app(world)), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=BASE)


async def _statuses(client: httpx.AsyncClient, path: str, count: int, **headers: str) -> set[int]:
    return {(await client.get(path, headers=headers)).status_code for _ in range(count)}


def _assert_slowed(answer: httpx.Response) -> None:
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"] == "too_many_requests"


@pytest.mark.parametrize("path", ["/metrics", "/schema/openapi.yaml", "/schema", "/", "/none"])
async def test_open_pages_are_slowed_by_address_and_nothing_else_is(
    world: World, seconds: Seconds, path: str
) -> None:
    card = await world.till("telecom").enrol()
    first = await world.client.get(path)
    assert await _statuses(world.client, path, AT_ONCE_MAX - 1) == {first.status_code}
    _assert_slowed(await world.client.get(path))
    # From the same address: a till, and a load balancer.
    await world.till("telecom").earn(card, 5)
    assert (await world.till("telecom").get(f"/v1/cards/{card}")).status_code == 200
    assert await _statuses(world.client, "/healthz", 5) == {200}
    assert await _statuses(world.client, "/readyz", 5) == {200}
    async with _from(world, "203.0.113.7") as another:
        assert (await another.get(path)).status_code == first.status_code
    seconds.now_s += 2.5 / PER_S_MAX
    assert await _statuses(world.client, path, 2) == {first.status_code}
    _assert_slowed(await world.client.get(path))


async def test_guesses_at_keys_are_slowed_and_who_has_a_right_one_is_not(
    world: World, seconds: Seconds
) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    body = {"card": card, "points": 5}
    for number in range(AT_ONCE_MAX):
        guess = Till(world.client, keys.mint(live=True).text if number % 2 else f"guess-{number}")
        answer = await (guess.get("/v1/windows") if number % 3 else guess.post("/v1/earns", body))
        assert answer.status_code == 401
    for guess in (Till(world.client, keys.mint(live=True).text), Till(world.client, "")):
        _assert_slowed(await guess.get("/v1/windows"))
        _assert_slowed(await guess.post("/v1/earns", body))
    await telecom.earn(card, 5)
    # A key that this process has not seen yet comes in as soon as the address may ask again.
    retail = world.till("retail")
    _assert_slowed(await retail.post("/v1/earns", body))
    seconds.now_s += 1.25 / PER_S_MAX
    await retail.earn(card, 5)
    await retail.earn(card, 5)


async def test_what_is_refused_before_anybody_knows_who_asks_counts_as_a_guess(
    world: World, seconds: Seconds
) -> None:
    for number in range(AT_ONCE_MAX):
        path = f"/v1/nothing/{number}" if number % 2 else "/v1/earns"
        answer = await world.client.post(path, content=b"{")
        assert answer.status_code in (400, 404)
    _assert_slowed(await world.client.post("/v1/earns", content=b"{"))


async def test_a_tills_own_mistakes_do_not_slow_its_address(world: World, seconds: Seconds) -> None:
    telecom = world.till("telecom")
    for _ in range(AT_ONCE_MAX + 1):
        assert (await telecom.get("/v1/burns/nothing")).status_code == 404
        assert (await telecom.post("/v1/earns", {"card": "1"})).status_code == 422
    assert (await world.client.get("/metrics")).status_code == 200


async def test_a_document_is_made_once_and_not_sent_to_who_has_it(world: World) -> None:
    for path, accept in (
        ("/schema/openapi.yaml", "*/*"),
        ("/schema/openapi.yml", "*/*"),
        ("/schema/openapi.json", "*/*"),
        ("/schema", "*/*"),
        ("/schema", "text/html"),
    ):
        first = await world.client.get(path, headers={"Accept": accept})
        assert first.status_code == 200
        known = {"Accept": accept, "If-None-Match": f'"another", {first.headers["etag"]}'}
        second = await world.client.get(path, headers=known)
        assert (second.status_code, second.content) == (304, b"")
        assert second.headers["etag"] == first.headers["etag"]


def test_the_table_of_addresses_is_bounded_and_the_rest_share_one_bucket() -> None:
    seconds = Seconds()
    table = Throttle(seconds)
    for number in range(ADDRESSES_MAX + AT_ONCE_MAX):
        assert table.wait_s(str(number)) == 0
        table.spend(str(number))
    assert len(table._buckets) == ADDRESSES_MAX
    assert table.wait_s("one more") == 1
    # Who is in the table has what is left in a bucket of its own.
    assert table.wait_s("0") == 0
    # Once they are full again they are forgotten, and there is room.
    seconds.now_s += AT_ONCE_MAX / PER_S_MAX
    table.spend("one more")
    assert len(table._buckets) == 1


def test_a_network_of_ipv6_is_one_address() -> None:
    found = {address_of(_scope(f"2001:db8:0:1::{host:x}"), []) for host in range(1, 50)}
    assert found == {"2001:db8:0:1::/64"}
    assert address_of(_scope("::ffff:203.0.113.7"), []) == "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "sent", "who"),
    [
        # Nobody but a trusted proxy is believed.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.2", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.2", [], "10.0.0.2"),
        # What a client sent itself stands first, and may be anything.
        ("10.0.0.2", ["192.0.2.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.2", ["192.0.2.9", "198.51.100.1, 10.0.0.3"], "198.51.100.1"),
        ("10.0.0.2", ["192.0.2.9, unknown"], "10.0.0.2"),
        ("10.0.0.2", ["\u00a0198.51.100.1"], "10.0.0.2"),
    ],
)
def test_a_proxy_is_believed_only_where_it_is_trusted(peer: str, sent: list[str], who: str) -> None:
    assert address_of(_scope(peer, *sent), [ip_network("10.0.0.0/24")]) == who


def _scope(peer: str, *forwarded_for: str) -> Any:
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in forwarded_for]
    return {"type": "http", "client": (peer, 1), "headers": headers}


async def test_clients_behind_a_trusted_proxy_are_told_apart(serve: Serve) -> None:
    world: World = await serve(trusted_proxies=(ip_network("127.0.0.1"),))
    services: Services = _app(world).state["services"]
    services.throttle._monotonic_s = Seconds()
    flood = {"X-Forwarded-For": "198.51.100.1"}
    assert await _statuses(world.client, "/metrics", AT_ONCE_MAX, **flood) == {200}
    _assert_slowed(await world.client.get("/metrics", headers=flood))
    another = await world.client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.2"})
    assert another.status_code == 200
