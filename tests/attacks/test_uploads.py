"""60 files at once past the limit of 20, each held open by one byte in six seconds.

The limit was asked before a file's body came, and the file counted after it; and whatever came
within ten seconds kept it open. No second is waited for here: the clock is the test's.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from tests.coalition.api.conftest import START, Serve, World
from tests.coalition.api.test_batches import NDJSON, finished, spooled
from tests.coalition.api.test_codes import assert_problem

from coalition import turns
from coalition.batches.uploads import BYTES_PER_SECOND_MIN, FILES_MAX, WINDOW_S, Pace
from coalition.errors import CoalitionError, Code

AT_ONCE = 60
PLACES = "select count(*) from upload"


def held(
    world: World, let_go: asyncio.Event, code: str = "telecom"
) -> "asyncio.Task[httpx.Response]":
    """A file that is being sent until it is let go."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"{}\n"
        await let_go.wait()

    headers = {"Authorization": f"Bearer {world.till(code).bearer}", **NDJSON}
    sending = world.client.post("/v1/batches", content=parts(), headers=headers)
    return asyncio.create_task(sending)


async def count(world: World, asked: str) -> int:
    async with world.engine.connect() as connection:
        return int(await connection.scalar(text(asked)) or 0)


async def until_taken(world: World, places: int) -> None:
    async with asyncio.timeout(60):
        while await count(world, PLACES) < places:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_merchant_holds_no_more_files_open_than_it_may_have(world: World) -> None:
    let_go = asyncio.Event()
    sending = [held(world, let_go) for _ in range(AT_ONCE)]
    async with asyncio.timeout(60):
        for refused in range(AT_ONCE - FILES_MAX):
            answer = await next(asyncio.as_completed(sending))
            assert_problem(answer, Code.TOO_MANY_REQUESTS)
            assert int(answer.headers["retry-after"]) > 0, refused
            sending = [one for one in sending if not one.done() or one.result() is not answer]
    await until_taken(world, FILES_MAX)
    other = held(world, let_go, "retail")
    await until_taken(world, FILES_MAX + 1)
    let_go.set()
    answers = await asyncio.gather(*sending, other)
    assert [answer.status_code for answer in answers] == [202] * (FILES_MAX + 1)
    assert await count(world, PLACES) == 0
    for answer in answers:
        await finished(world.till("house"), answer.json()["batch_id"])
    assert (await world.till("telecom").send("/v1/batches", b"", **NDJSON)).status_code == 202


async def test_the_places_of_two_processes_are_counted_together(serve: Serve) -> None:
    one: World = await serve()
    two: World = await serve()
    let_go = asyncio.Event()
    sending = [held(one, let_go) for _ in range(FILES_MAX // 2)]
    sending += [held(two, let_go) for _ in range(FILES_MAX // 2)]
    await until_taken(one, FILES_MAX)
    for world in (one, two):
        answer = await world.till("telecom").send("/v1/batches", b"", **NDJSON)
        assert_problem(answer, Code.TOO_MANY_REQUESTS)
    let_go.set()
    assert {answer.status_code for answer in await asyncio.gather(*sending)} == {202}


async def test_a_place_whose_process_died_comes_free_by_itself(world: World) -> None:
    async def hold(good_until_s: int) -> None:
        async with world.engine.begin() as connection:
            at = START + timedelta(seconds=good_until_s)
            await connection.execute(text("delete from upload"))
            for _ in range(FILES_MAX):
                await connection.execute(
                    text(
                        "insert into upload select :id, merchant_id, :at from merchant"
                        " where code = 'telecom'"
                    ),
                    {"id": uuid4(), "at": at},
                )

    till = world.till("telecom")
    await hold(60)
    assert_problem(await till.send("/v1/batches", b"", **NDJSON), Code.TOO_MANY_REQUESTS)
    await hold(-1)
    assert (await till.send("/v1/batches", b"", **NDJSON)).status_code == 202


async def test_a_process_takes_in_so_many_files_at_once_whosever_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coalition.batches.uploads.UPLOADS_MAX", 2)
    let_go = asyncio.Event()
    sending = [held(world, let_go, code) for code in ("telecom", "retail")]
    await until_taken(world, 2)
    assert_problem(await world.till("plain").send("/v1/batches", b"", **NDJSON), Code.BUSY)
    let_go.set()
    assert {answer.status_code for answer in await asyncio.gather(*sending)} == {202}


async def test_a_byte_in_six_seconds_is_too_slow(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, sent = 0.0, 0

    async def trickle() -> AsyncIterator[bytes]:
        nonlocal now_s, sent
        for _ in range(1_000):
            yield b" "
            now_s, sent = now_s + 6, sent + 1

    monkeypatch.setattr(turns, "monotonic_s", lambda: now_s)
    headers = {"Authorization": f"Bearer {world.till('telecom').bearer}", **NDJSON}
    answer = await world.client.post("/v1/batches", content=trickle(), headers=headers)
    assert "bytes a second" in assert_problem(answer, Code.MALFORMED)["detail"]
    assert sent <= WINDOW_S / 6 + 1
    assert spooled(tmp_path) == []
    assert await count(world, PLACES) == 0


def test_the_pace_is_that_of_each_window_and_not_of_the_whole_file() -> None:
    right, late = Pace(0), Pace(0)
    for second in range(1, 3_600):
        right.note(BYTES_PER_SECOND_MIN, second)
    late.note(100 << 20, WINDOW_S)
    late.note(1, 2 * WINDOW_S - 1)
    with pytest.raises(CoalitionError, match="bytes a second"):
        late.note(1, 2 * WINDOW_S)


def test_a_small_file_has_its_time() -> None:
    small = Pace(0)
    for second in range(0, int(WINDOW_S), 5):
        small.note(10, second)
