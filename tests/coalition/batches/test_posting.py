"""Files left in the middle: by a crash, a stop, another process, or without their spool."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import FIRST_DAY, HOUSE, PEPPER, merchant, noon

from coalition.batches import posting, store
from coalition.batches.names import spelt
from coalition.batches.results import RowResult, unpack
from coalition.batches.service import BatchService
from coalition.batches.spool import Intake
from coalition.batches.store import Batch
from coalition.clearing.service import ensure_first_window
from coalition.keys import store as key_store
from coalition.ledger.post import Ledger
from coalition.members.store import Enrolment, enrol
from coalition.terms.store import sync
from coalition.verify import verify

WAIT_S = 60
NOW = noon(FIRST_DAY)


@pytest.fixture
async def ledger(engine: AsyncEngine) -> Ledger:
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [merchant("telecom"), merchant("retail")], NOW)
        await ensure_first_window(connection, HOUSE)
    ledger = Ledger(engine)
    await ledger.start()
    return ledger


async def cards(engine: AsyncEngine, count: int) -> list[int]:
    async with engine.begin() as connection:
        return [(await enrol(connection, Enrolment(), 0, NOW)).card for _ in range(count)]


def earns(members: list[int], rows: int) -> bytes:
    return b"".join(
        b'{"op":"earn","key":"%d","card":"%d","points":%d}\n'
        % (n, members[n % len(members)], n + 1)
        for n in range(rows)
    )


async def admitted(service: BatchService, content: bytes) -> UUID:
    batch_id = uuid4()
    with service.create(batch_id) as file:
        intake = Intake(file)
        intake.write(content)
        merchant_id = service.ledger.book.ids["telecom"]
        await service.admit(
            batch_id, file, intake, "ndjson", merchant_id, frozenset({"earn"}), None
        )
    return batch_id


async def batch_when(engine: AsyncEngine, batch_id: UUID, is_enough: object) -> Batch:
    async with asyncio.timeout(WAIT_S):
        while True:
            async with engine.connect() as connection:
                batch = await store.find(connection, batch_id)
            assert batch is not None
            if is_enough(batch):  # type: ignore[operator]
                return batch
            await asyncio.sleep(0.01)


async def results(engine: AsyncEngine, batch_id: UUID) -> list[RowResult]:
    found = [list(unpack(*chunk)) async for chunk in store.chunks(engine, batch_id)]
    return [one for chunk in found for one in chunk]


async def assert_posted_once(engine: AsyncEngine, rows: int) -> None:
    async with engine.connect() as connection:
        posted = await connection.execute(text("select count(*), sum(points) from lot"))
        assert tuple(posted.one()) == (rows, rows * (rows + 1) // 2)
        assert await verify(connection) == []


def is_done(batch: Batch) -> bool:
    return batch.status != "running"


async def test_a_file_that_was_stopped_is_read_on_and_no_row_is_posted_twice(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "GROUP_ROWS", 100)
    engine, rows = ledger.engine, 2_000
    first = BatchService(ledger, tmp_path, lambda: NOW)
    await first.start()
    batch_id = await admitted(first, earns(await cards(engine, 20), rows))
    first.wake()
    await batch_when(engine, batch_id, lambda batch: batch.row_count > 0)
    await first.stop()
    left = await batch_when(engine, batch_id, lambda batch: True)
    assert (left.status, left.row_count < rows) == ("running", True)
    second = BatchService(ledger, tmp_path, lambda: NOW)
    await second.start()
    batch = await batch_when(engine, batch_id, is_done)
    await second.stop()
    assert (batch.status, batch.row_count, batch.refused) == ("done", rows, 0)
    assert batch.read_to_bytes == batch.size_bytes
    found = await results(engine, batch_id)
    assert [(one.row, one.points) for one in found] == [(n, n) for n in range(1, rows + 1)]
    await assert_posted_once(engine, rows)
    assert not (tmp_path / "batches" / batch_id.hex).exists()


async def test_two_processes_on_one_folder_share_files_and_never_one_file(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "GROUP_ROWS", 100)
    engine = ledger.engine
    services = [BatchService(ledger, tmp_path, lambda: NOW) for _ in range(3)]
    for service in services:
        await service.start()
    members = await cards(engine, 20)
    files = [earns(members, 800).replace(b'"key":"', b'"key":"%d-' % n) for n in range(6)]
    batch_ids = [await admitted(services[n % 3], file) for n, file in enumerate(files)]
    for service in services:
        service.wake()
    for batch_id in batch_ids:
        batch = await batch_when(engine, batch_id, is_done)
        assert (batch.status, batch.posted) == ("done", 800)
    for service in services:
        await service.stop()


async def test_a_file_that_is_gone_fails_and_says_what_to_do(
    ledger: Ledger, tmp_path: Path
) -> None:
    service = BatchService(ledger, tmp_path, lambda: NOW)
    batch_id = await admitted(service, earns(await cards(ledger.engine, 1), 5))
    (tmp_path / "batches" / batch_id.hex).unlink()
    await service.start()
    batch = await batch_when(ledger.engine, batch_id, is_done)
    await service.stop()
    assert batch.status == "failed"
    assert batch.reason is not None
    assert "send it again" in batch.reason


async def test_a_file_in_another_machines_folder_is_left_alone(
    ledger: Ledger, tmp_path: Path
) -> None:
    here, there = (BatchService(ledger, tmp_path / name, lambda: NOW) for name in ("a", "b"))
    batch_id = await admitted(there, earns(await cards(ledger.engine, 1), 5))
    own = await admitted(here, b"")
    await here.start()
    await batch_when(ledger.engine, own, is_done)
    await here.stop()
    assert (await batch_when(ledger.engine, batch_id, lambda _: True)).status == "running"


async def test_a_file_is_its_owners_to_read_on_disk(ledger: Ledger, tmp_path: Path) -> None:
    service = BatchService(ledger, tmp_path, lambda: NOW)
    batch_id = await admitted(service, b"")
    assert (tmp_path / "batches" / batch_id.hex).stat().st_mode & 0o777 == 0o600


def environment(database_url: str, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "COALITION_DATA": str(folder),
        "COALITION_PEPPER": PEPPER,
    }


@asynccontextmanager
async def server(database_url: str, folder: Path) -> AsyncIterator[str]:
    """A real server; it and all it started are killed at the end, as a crash would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "coalition.cli", "serve", "--no-jobs", "--port", str(port)),
        env=environment(database_url, folder),
        start_new_session=True,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(WAIT_S):
            while True:
                try:
                    if (await client.get(f"{base}/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        yield base
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_a_server_killed_in_the_middle_of_a_file_posts_the_rest_when_it_is_back(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    engine, rows = ledger.engine, 20_000
    async with engine.begin() as connection:
        key = await key_store.create(
            connection,
            pepper=PEPPER.encode(),
            merchant="telecom",
            scopes=["earn"],
            live=True,
            label="",
            now=datetime.now(UTC),
        )
    file = earns(await cards(engine, 50), rows)
    headers = {"Authorization": f"Bearer {key.text}", "Content-Type": "application/x-ndjson"}
    async with server(database_url, tmp_path) as base, httpx.AsyncClient(headers=headers) as till:
        answer = await till.post(f"{base}/v1/batches", content=file)
        assert answer.status_code == 202, answer.text
        batch_id = UUID(hex=answer.json()["batch_id"].removeprefix("bat_"))
        killed = await batch_when(engine, batch_id, lambda batch: batch.row_count > 0)
    assert killed.status == "running"
    async with server(database_url, tmp_path) as base, httpx.AsyncClient(headers=headers) as till:
        await batch_when(engine, batch_id, is_done)
        lines = (await till.get(f"{base}/v1/batches/bat_{batch_id.hex}/results")).text.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(one["row"], one["points"]) for one in found] == [(n, n) for n in range(1, rows + 1)]
    assert {one["status"] for one in found} <= {"posted", "replayed"}
    await assert_posted_once(engine, rows)


async def run_command(database_url: str, folder: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "coalition.cli", "batch", *arguments),
        env=environment(database_url, folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_command_posts_a_file_by_the_same_door(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    engine, path, out = ledger.engine, tmp_path / "night.ndjson", tmp_path / "results"
    path.write_bytes(earns(await cards(engine, 5), 300))
    code, says = await run_command(database_url, tmp_path, str(path), "--merchant", "telecom")
    assert (code, "300 rows: 300 posted, 0 replayed, 0 refused." in says) == (0, True), says
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    arguments = (str(path), "--merchant", "telecom", "--results", str(out))
    code, says = await run_command(database_url, tmp_path, *arguments)
    assert (code, "301 rows: 0 posted, 300 replayed, 1 refused." in says) == (1, True), says
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert (len(found), found[-1]["code"]) == (301, "malformed")
    await assert_posted_once(engine, 300)


async def test_the_command_cancels_a_file_that_waits(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    service = BatchService(ledger, tmp_path, lambda: NOW)
    batch_id = await admitted(service, earns(await cards(ledger.engine, 1), 5))
    for _ in range(2):
        code, says = await run_command(database_url, tmp_path, "--cancel", spelt(batch_id))
        assert (code, "is cancelled, 0 rows" in says) == (0, True), says
    batch = await batch_when(ledger.engine, batch_id, is_done)
    assert (batch.status, batch.reason) == ("failed", "cancelled")
    assert not (tmp_path / "batches" / batch_id.hex).exists()
    for arguments in (("--cancel", "bat_1"), ("--cancel", spelt(batch_id), "--merchant", "a"), ()):
        code, says = await run_command(database_url, tmp_path, *arguments)
        assert code in (1, 2), says


async def test_the_command_says_what_is_wrong_with_a_file_and_posts_nothing(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "night.csv"
    path.write_text("op,card\nearn,1\n")
    for merchant_code, words in (("telecom", "no column key"), ("nobody", "no merchant")):
        code, says = await run_command(
            database_url, tmp_path, str(path), "--merchant", merchant_code
        )
        assert (code, words in says) == (1, True), says
    assert [entry.name for entry in (tmp_path / "batches").iterdir()] == ["place"]
