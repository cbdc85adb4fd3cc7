"""Faults of whole processes: killed, cut off in the middle of a file, left by their clients."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.faults.fault import MEMBERS, PEPPER, TILLS, Fault, Place, Seen, coalition, enough, tally
from tests.faults.tills import Tills

ROWS = 4_000


@dataclass
class Server:
    """A server process of our own, started again at the same port whenever it was killed."""

    database_url: str
    folder: Path
    port: int
    client: httpx.AsyncClient
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        environment = {
            "DATABASE_URL": self.database_url.replace("+asyncpg", ""),
            "COALITION_PEPPER": PEPPER,
            "COALITION_DATA": str(self.folder),
        }
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory"]
        command += ["--port", str(self.port), "coalition.app:from_environment"]
        with (self.folder / "server.log").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: ASYNC220  it returns at once
                command,
                env=os.environ | environment,
                stdout=output,
                stderr=output,
                # A session of its own: the server and its workers die together.
                start_new_session=True,
            )
        await crowd.until(self._is_ready, "the server is ready")

    async def _is_ready(self) -> bool:
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@asynccontextmanager
async def server(place: Place, key: str) -> AsyncIterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=crowd.WAIT_S_MAX,
        limits=httpx.Limits(max_connections=2 * TILLS),
    ) as client:
        started = Server(place.database_url, place.folder, port, client)
        try:
            await started.start()
            yield started
        finally:
            started.kill()


async def app_killed(place: Place) -> Seen:
    async with coalition(place) as (engine, key), server(place, key) as one:
        tills, kills = Tills([one.client], MEMBERS), 3
        load = asyncio.create_task(tills.work(TILLS))
        for _ in range(kills):
            await enough(tills, 50, load)
            one.kill()
            await one.start()
        tills.stopping = True
        await load
        return await tally(engine, tills, Seen(kills))


def _file(rows: int) -> bytes:
    lines = (
        {
            "op": "earn",
            "key": f"row-{n}",
            "card": f"{crowd.card(1 + n % MEMBERS):016d}",
            "points": 3,
        }
        for n in range(rows)
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def half_a_batch(place: Place) -> Seen:
    """Half of a file comes and breaks off; then the whole, and the server dies while posting it."""
    async with coalition(place) as (engine, key), server(place, key) as one:
        content = _file(ROWS)
        await _send_half(one, key, content)
        seen = Seen(2)
        if left := await _keyed(engine):
            seen.wrong.append(f"{left} rows of a file that broke off are posted")
        headers = {"Content-Type": "application/x-ndjson"}
        sent = await one.client.post("/v1/batches", content=content, headers=headers)
        seen.saw[str(sent.status_code)] += 1
        batch = f"/v1/batches/{sent.json()['batch_id']}"

        async def is_half_done() -> bool:
            return await _keyed(engine) >= ROWS // 4

        await crowd.until(is_half_done, "a quarter of the rows is posted")
        one.kill()
        await one.start()

        async def is_done() -> bool:
            return bool((await one.client.get(batch)).json()["status"] == "done")

        await crowd.until(is_done, "the rest of the file is posted")
        result = (await one.client.get(batch)).json()
        if result["posted"] + result["replayed"] != ROWS or result["refused"]:
            seen.wrong.append(f"of {ROWS} rows: {result}")
        return await tally(engine, Tills([one.client], MEMBERS), seen, rows=ROWS)


async def _send_half(one: Server, key: str, content: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", one.port)
    head = (
        f"POST /v1/batches HTTP/1.1\r\nHost: till\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content[: len(content) // 2])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # Whatever it makes of that, it answers the next one.
    assert (await one.client.get("/healthz")).status_code == 200


async def _keyed(engine: AsyncEngine) -> int:
    return await crowd.value(engine, "select count(*) from posting where request_id is not null")


FAULTS = {
    "kill -9 of the app": Fault("killed and started again under 16 tills", app_killed),
    "half a batch": Fault("broken off half way; then killed while posting it", half_a_batch),
}
