"""Killing the server, or its database sessions, under load loses nothing that was answered."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd, served
from tests.coalition.served import REPLAYED, Ask
from tests.world import PEPPER, SEAL_KEY

from coalition import database
from coalition.app import create_app
from coalition.settings import read_settings

MEMBERS = 8
CLIENTS = 32


@dataclass
class Tills:
    """What was asked, and the 201 that came back, by key."""

    client: httpx.AsyncClient
    answered: dict[str, dict[str, object]] = field(default_factory=dict)
    asked: dict[str, Ask] = field(default_factory=dict)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    lost: int = 0
    stopping: bool = False

    async def ask(self, ask: Ask) -> httpx.Response | None:
        """The answer; None where the server was gone, or said that it is busy."""
        self.asked[ask.key] = ask
        try:
            answer = await self.client.post(
                ask.path, json=ask.body, headers={"Idempotency-Key": ask.key}
            )
        except httpx.TransportError:
            self.lost += 1
            return None
        assert answer.status_code in (201, 409, 503), answer.text
        if answer.status_code == 201:
            first = self.answered.setdefault(ask.key, answer.json())
            assert first == answer.json(), "one key, two answers"
        if answer.status_code == 409:
            assert answer.json()["code"] == "insufficient_points"
        return None if answer.status_code == 503 else answer

    async def client_of(self, number: int) -> None:
        """A till: of what it loses it sends half again at once, and leaves half to the end."""
        chance = random.Random(number)
        count = 0
        while not self.stopping:
            count += 1
            ask = _command(chance, f"till-{number}-{count}")
            answer = await self.ask(ask)
            if answer is None:
                await self.is_up.wait()
            while answer is None and count % 2:
                answer = await self.ask(ask)


def _command(chance: random.Random, key: str) -> Ask:
    giver, taker = (f"{crowd.card(n):016d}" for n in chance.sample(range(1, MEMBERS + 1), 2))
    dice = chance.random()
    points = chance.randint(1, 100)
    if dice < 0.5:
        return Ask("/v1/earns", {"card": giver, "points": points}, key)
    if dice < 0.8:
        return Ask("/v1/burns", {"card": giver, "points": points, "hold": dice < 0.6}, key)
    return Ask("/v1/transfers", {"from_card": giver, "to_card": taker, "points": points}, key)


@pytest.mark.parametrize(
    "kills", [3, pytest.param(30, marks=pytest.mark.soak)], ids=["briefly", "long"]
)
async def test_every_answered_post_is_there_after_kill_9_and_no_half_one_is(
    engine: AsyncEngine, database_url: str, tmp_path: Path, kills: int
) -> None:
    await crowd.found(engine, members=MEMBERS)
    port, log = served.free_port(), tmp_path / "server.log"
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {await served.key_of(engine)}"},
        timeout=crowd.WAIT_S_MAX,
        limits=httpx.Limits(max_connections=CLIENTS + 1),
    )
    tills = Tills(client)
    server = served.start(database_url, port, log)
    try:
        await crowd.until(served.is_ready(client), "the server is ready")
        tills.is_up.set()
        load = [asyncio.create_task(tills.client_of(number)) for number in range(CLIENTS)]
        for kill in range(kills):
            enough = len(tills.answered) + 100

            async def is_loaded(enough: int = enough) -> bool:
                assert not any(each.done() for each in load), [each for each in load if each.done()]
                return len(tills.answered) >= enough

            await crowd.until(is_loaded, f"100 more posts are answered before kill {kill + 1}")
            tills.is_up.clear()
            served.kill(server)
            server = served.start(database_url, port, log)
            await crowd.until(served.is_ready(client), "the server is ready again")
            tills.is_up.set()
        tills.stopping = True
        await asyncio.gather(*load)
        assert tills.lost > 0
        await _look_up_all(tills)
    finally:
        served.kill(server)
        await client.aclose()
    await _assert_ledger_fits(engine, tills)


async def test_killing_the_database_sessions_is_answered_busy_at_worst(
    engine: AsyncEngine, database_url: str
) -> None:
    await crowd.found(engine, members=MEMBERS)
    key = await served.key_of(engine)
    environment = {"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER}
    app = create_app(read_settings(environment), engine)
    outside = database.create_engine(database_url, SEAL_KEY)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # narrower scopes, same calls
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=transport, base_url="http://coalition", headers=headers
        ) as client,
    ):
        tills = Tills(client)
        tills.is_up.set()
        load = [asyncio.create_task(tills.client_of(number)) for number in range(CLIENTS)]
        for _ in range(10):
            # What is at work, and what waits in the pool.
            await crowd.value(outside, served.CUT_SESSIONS)
            enough = len(tills.answered) + 20

            async def is_loaded(enough: int = enough) -> bool:
                return len(tills.answered) >= enough or any(each.done() for each in load)

            await crowd.until(is_loaded, "20 more posts are answered")
        tills.stopping = True
        await asyncio.gather(*load)
        await _look_up_all(tills)
    await outside.dispose()
    await _assert_ledger_fits(engine, tills)


async def _assert_ledger_fits(engine: AsyncEngine, tills: Tills) -> None:
    by_answers = "select count(*) from posting where request_id is not null"
    assert await crowd.value(engine, by_answers) == len(tills.answered)
    assert sum((await crowd.net_worth(engine)).values()) == served.worth(
        tills.asked, tills.answered
    )
    await crowd.assert_sound(engine)


async def _look_up_all(tills: Tills) -> None:
    """Send everything again: what was answered is a replay, the rest is posted now, or was."""
    before = set(tills.answered)
    queue = iter(list(tills.asked.values()))

    async def look_up() -> None:
        for ask in queue:
            answer = await tills.ask(ask)
            assert answer is not None, f"{ask} is not answered by a server that is up"
            if ask.key in before:
                assert answer.headers.get(REPLAYED) == "true", f"{ask} was answered and is gone"

    await asyncio.gather(*(look_up() for _ in range(CLIENTS)))
