"""What goes wrong is in the log, and nothing that a caller sent: no key, no header, no body."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import structlog
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.typing import EventDict
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import _away, assert_problem
from tests.owner import owner

from coalition import logs
from coalition.edge import admission
from coalition.errors import Code
from coalition.failures import in_a_line, in_full

SENT = "what-the-till-sent"


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def break_off(world: World, path: str, *messages: dict[str, Any]) -> int:
    """POST what the server would hand over of a request that breaks off; answers the status."""
    app: Litestar = world.client._transport.app  # type: ignore[attr-defined]
    waiting, sent = list(messages), []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        if isinstance(found := waiting.pop(0), Exception):
            raise found
        return found

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {
        "authorization": f"Bearer {world.keys['telecom']}",
        "idempotency-key": "breaks-off",
        "content-type": "text/csv",
    }
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert b'"malformed"' in sent[1]["body"]
    status: int = sent[0]["status"]
    return status


def assert_nothing_of_it(world: World, lines: list[EventDict]) -> None:
    told = repr(lines)
    for key in world.keys.values():
        assert key not in told
        assert key.split("_", 3)[3] not in told
    for word in (SENT, "Bearer", "Authorization"):
        assert word not in told


PIECE = {"type": "http.request", "body": f'{{"card": "{SENT}'.encode(), "more_body": True}


@pytest.mark.parametrize("path", ["/v1/earns", "/v1/members", "/v1/batches"])
@pytest.mark.parametrize(
    "end", [{"type": "http.disconnect"}, RuntimeError("chunk"), OSError("reset")], ids=repr
)
async def test_a_body_that_breaks_off_is_malformed_and_no_news(
    world: World, logged: list[EventDict], path: str, end: Any
) -> None:
    before = await world.rows()
    assert await break_off(world, path, PIECE, end) == 400
    assert logged == []
    assert await world.rows() == before


@pytest.mark.parametrize("path", ["/v1/earns", "/v1/batches"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    world: World, logged: list[EventDict], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("edge.admission", "api.routes.batches"):
        monkeypatch.setattr(f"coalition.{module}.BODY_TIMEOUT_S", 0.01)
    assert admission.BODY_TIMEOUT_S == 0.01
    assert await break_off(world, path, PIECE) == 400
    assert logged == []


async def test_a_failure_of_the_database_tells_nothing_of_the_request(
    world: World, server_url: str, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LINE_EVERY_S", 3_600.0)
    telecom = world.till("telecom")
    assert (await telecom.post("/v1/members", {"external_ref": SENT})).status_code == 201
    name = world.engine.url.database
    assert name is not None
    async with _away(server_url, name):
        for _ in range(4):
            assert_problem(await telecom.post("/v1/members", {"external_ref": SENT}), Code.BUSY)
    away = [line for line in logged if line["log_level"] == "error"]
    # One a second, however many are refused.
    assert [line["event"] for line in away] == ["database unavailable"]
    # What is expected now and then is one line.
    assert not any("\n" in str(part) for line in away for part in line.values())
    async with owner(world.engine).begin() as connection:
        await connection.execute(
            text("alter table member add check (external_ref_sealed is null) not valid")
        )
    assert_problem(await telecom.post("/v1/members", {"external_ref": SENT}), Code.INTERNAL)
    unexpected = logged[-1]
    assert unexpected["event"] == "unexpected error"
    assert "members/store.py" in unexpected["exception"]
    assert 'new row for relation "member" violates check constraint' in unexpected["exception"]
    assert_nothing_of_it(world, logged)


def test_an_error_is_told_without_variables_parameters_and_keys() -> None:
    def fail(authorization: str) -> None:
        secret = authorization
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise ValueError("two\nlines") from error

    key = "coal_live_0123456789ab_" + "s" * 33
    try:
        fail(f"Bearer {key}")
    except ValueError as error:
        line, full = in_a_line(error), in_full(error)
    assert line == "ValueError: two lines; KeyError: 'Bearer [a key]'"
    assert full.index("KeyError") < full.index("ValueError: two lines")
    assert "test_log.py" in full
    assert "sss" not in full


def test_an_error_of_the_database_is_told_without_the_values_it_quotes() -> None:
    value = asyncpg.InvalidTextRepresentationError(f'invalid input syntax for type date: "{SENT}"')
    row = asyncpg.UniqueViolationError(f"duplicate key value\nDETAIL:  Key (ref)=({SENT}) exists.")
    for error in (value, row, DBAPIError("select :a", {"a": SENT}, value)):
        assert SENT not in in_a_line(error)
        assert SENT not in in_full(error)
    assert in_a_line(row) == "UniqueViolationError (SQLSTATE 23505): duplicate key value"
