"""Connections that say nothing, or never end what they say, until no till is let in any more.

2,000 of them took the server down for as long as they liked, and one header of HTTP/2 without an
end took 800 MB.
"""

import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.commands.test_serving_faults import _end, _is_ready, _start
from tests.coalition.served import free_port
from tests.world import PEPPER

from coalition.commands.listening import HEAD_BYTES_MAX
from coalition.keys import store as key_store

CONNECTIONS = 1_500
# What a connection says and then no more: nothing, a part of a head, a request and its answer.
SAID = (
    b"",
    b"P",
    b"POST /v1/earns HTTP/1.1\r\nHost: coalition.test\r\nX-More: and",
    b"GET /healthz HTTP/1.1\r\nHost: coalition.test\r\n\r\n",
)
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
# A stream's headers that go on, 16,000 bytes a frame: a literal field that is not indexed.
HTTP2_HEADERS = bytes.fromhex("003e80010000000001") + bytes(16_000)
HTTP2_MORE_HEADERS = bytes.fromhex("003e80090000000001") + bytes(16_000)


class Served(NamedTuple):
    """A server of its own process, and a key of a merchant with one member."""

    port: int
    key: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def till_is_served(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": os.urandom(8).hex()}
        body = {"card": str(crowd.card(1)), "points": 10}
        # However long it takes: what must not be is that it waits for others to leave.
        async with httpx.AsyncClient(base_url=self.base, timeout=crowd.WAIT_S_MAX) as client:
            answer = await client.post("/v1/earns", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200


@pytest.fixture
async def served(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    await crowd.found(engine, members=1)
    async with engine.begin() as connection:
        key = await key_store.create(
            connection,
            pepper=PEPPER.encode(),
            merchant="telecom",
            scopes=("earn",),
            live=True,
            label="",
            now=datetime.now(UTC),
        )
    port = free_port()
    server = _start(
        tmp_path / "log",
        port,
        "--no-jobs",
        DATABASE_URL=database_url,
        COALITION_PEPPER=PEPPER,
        COALITION_DATA=str(tmp_path),
        # A slow machine is no refusal.
        COALITION_WAIT_S_MAX=str(crowd.WAIT_S_MAX),
    )
    try:
        await crowd.until(_is_ready(server, port), "the server is ready")
        yield Served(port, key.text)
    finally:
        _end(server)


def _connected(port: int) -> socket.socket:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    return one


def _is_closed(one: socket.socket) -> bool:
    """Whether the other side has closed it; what it said before is read and forgotten."""
    try:
        while one.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


async def test_a_till_is_served_while_others_say_nothing_and_those_are_closed(
    served: Served,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 300
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine lets a process open {hard} files only")
    with contextlib.ExitStack() as stack:
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        held = [stack.enter_context(_connected(served.port)) for _ in range(CONNECTIONS)]
        for number, one in enumerate(held):
            # Where the server takes no more the connection is not there yet, and says nothing.
            with contextlib.suppress(OSError):
                one.send(SAID[number % len(SAID)])
        for _ in range(5):
            await served.till_is_served()

        async def all_closed() -> bool:
            held[:] = [one for one in held if not _is_closed(one)]
            return not held

        await crowd.until(all_closed, "the server has closed what says nothing")
        await served.till_is_served()


async def test_http_2_without_negotiation_is_refused_before_its_headers_are_kept(
    served: Served,
) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=crowd.WAIT_S_MAX) as one:
        with contextlib.suppress(OSError):
            one.sendall(HTTP2_PREFACE + HTTP2_HEADERS)
            for _ in range(1_000):
                one.sendall(HTTP2_MORE_HEADERS)
        told = b""
        with contextlib.suppress(OSError):
            while piece := one.recv(65_536):
                told += piece
        # Not a frame of HTTP/2; a word of HTTP/1.1 is as good as none.
        assert told == b"" or told.startswith(b"HTTP/1.1 4")
    await served.till_is_served()


async def test_a_head_without_an_end_is_refused_before_it_is_kept(served: Served) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: coalition.test\r\nX-More: "
    with socket.create_connection(("127.0.0.1", served.port), timeout=crowd.WAIT_S_MAX) as one:
        one.sendall(head + b"a" * HEAD_BYTES_MAX)
        assert one.recv(65_536).startswith(b"HTTP/1.1 431 ")
    await served.till_is_served()
