"""A developer's coal_test_ key, in a till's code or on a laptop, moves real points.

A test key works on a test coalition or nowhere: it sees and moves no live point, whatever the live
database says of it, and a live key no test point.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from tests.coalition.api.conftest import (
    HOUSE,
    MERCHANT_SCOPES,
    PEPPER,
    START,
    TERMS,
    Serve,
    Till,
    World,
)  # fmt: skip
from tests.world import SEAL_KEY

from coalition import database
from coalition.clearing.service import ensure_first_window
from coalition.edge.throttle import AT_ONCE_MAX
from coalition.errors import CoalitionError
from coalition.keys import store as key_store
from coalition.keys.guessing import FREE_AN_HOUR
from coalition.keys.key import mint
from coalition.keys.mode import mark
from coalition.members.card import make_card
from coalition.terms.store import sync


@pytest.fixture
async def second(another_database_url: str) -> AsyncIterator[AsyncEngine]:
    """A migrated database beside the live one, for a test coalition."""
    engine = database.create_engine(another_database_url, SEAL_KEY)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sandbox(second: AsyncEngine) -> AsyncEngine:
    """The test coalition: the same merchants, nothing else of the live one."""
    async with second.begin() as connection:
        await mark(connection, is_live=False)
        await sync(connection, HOUSE, TERMS, START)
        await ensure_first_window(connection, HOUSE)
    return second


async def make_key(engine: AsyncEngine, code: str, *scopes: str, live: bool = False) -> str:
    async with engine.begin() as connection:
        made = await key_store.create(
            connection,
            pepper=PEPPER,
            merchant=code,
            scopes=scopes or MERCHANT_SCOPES,
            live=live,
            label="",
            now=START,
        )
    return made.text


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text(f"select count(*) from {table}")) or 0)


@pytest.mark.parametrize("is_known", [True, False])
async def test_without_a_test_coalition_a_test_key_is_refused_and_told_why(
    world: World, is_known: bool
) -> None:
    live = world.till("telecom")
    card = await live.enrol()
    await live.earn(card, 100)
    key = await make_key(world.engine, "telecom") if is_known else mint(live=False).text
    test, before = Till(world.client, key), await world.rows()
    for answer in (
        await test.post("/v1/earns", {"card": card, "points": 5}),
        await test.post("/v1/burns", {"card": card, "points": 5}),
        await test.send("/v1/batches", b"{}", **{"Content-Type": "application/x-ndjson"}),
        await test.get(f"/v1/cards/{card}"),
        await test.post(f"/v1/cards/{card}/block"),
        await test.get("/v1/windows"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert "no test coalition" in answer.json()["detail"]
    assert await world.rows() == before


async def test_a_test_key_earns_and_burns_in_the_test_coalition_and_moves_no_live_point(
    serve: Serve, sandbox: AsyncEngine, tmp_path: Path
) -> None:
    world = await serve(test_engine=sandbox)
    live, before = world.till("telecom"), await world.rows()
    test = Till(world.client, await make_key(sandbox, "telecom"))
    card = await test.enrol()
    # By the till's lane, by the routes, and by a file.
    await test.earn(card, 100)
    held = await test.burn(card, 30, hold=True)
    assert (await test.post(f"/v1/burns/{held['burn_id']}/void")).status_code == 200
    row = b'{"op":"earn","key":"row","card":"%s","points":5}' % card.encode()
    sent = await test.send("/v1/batches", row, **{"Content-Type": "application/x-ndjson"})
    batch = f"/v1/batches/{sent.json()['batch_id']}"
    async with asyncio.timeout(60):
        while True:
            view = (await test.get(batch)).json()
            if view["status"] != "running":
                break
            await asyncio.sleep(0.02)
    assert view["posted"] == 1
    assert (await test.get(f"/v1/cards/{card}")).json()["available"] == 105
    assert await world.rows() == before
    assert await count(sandbox, "posting") == 4
    # What the one has, the other does not, by whatever name it is asked for.
    for path in (f"/v1/cards/{card}", batch, f"/v1/cards/{card}/history"):
        assert (await live.get(path)).status_code == 404, path
    assert (tmp_path / "test" / "batches").is_dir()
    assert not (tmp_path / "batches").exists()


async def test_a_test_key_neither_sees_nor_changes_what_is_live(
    serve: Serve, sandbox: AsyncEngine
) -> None:
    world = await serve(test_engine=sandbox)
    live = world.till("telecom")
    test = Till(world.client, await make_key(sandbox, "telecom"))
    house = Till(world.client, await make_key(sandbox, "house", "house"))
    card = await live.enrol()
    earned = await live.earn(card, 100)
    lot, earn = earned["lots"][0]["lot_id"], earned["earn_id"]
    before = await world.rows()
    for till in (test, house):
        for answer in (
            await till.post("/v1/earns", {"card": card, "points": 5}),
            await till.post("/v1/burns", {"card": card, "points": 5}),
            await till.post(f"/v1/cards/{card}/block"),
            await till.post(f"/v1/cards/{card}/replace"),
            await till.post(f"/v1/earns/{earn}/reverse"),
            await till.get(f"/v1/cards/{card}"),
            await till.get(f"/v1/lots/{lot}"),
        ):
            assert answer.status_code in (403, 404, 422), answer.text
    closed = await house.post("/v1/windows/2017-03/close", {"early": True})
    assert closed.status_code == 200, closed.text
    windows = (await live.get("/v1/windows")).json()["items"]
    assert [(one["window"], one["status"]) for one in windows] == [("2017-03", "open")]
    assert await world.rows() == before
    acts = await house.get("/v1/audit")
    assert card[-4:] not in {one["object"] for one in acts.json()["items"]}


async def test_a_key_is_good_in_the_database_of_its_own_kind_only(
    serve: Serve, sandbox: AsyncEngine
) -> None:
    world = await serve(test_engine=sandbox)
    # Made in the live database before there were two, and a live key spelt as a test one.
    in_live = await make_key(world.engine, "plain")
    respelt = world.keys["telecom"].replace("coal_live_", "coal_test_")
    for key in (in_live, respelt, mint(live=True).text, mint(live=False).text):
        answer = await Till(world.client, key).get("/v1/windows")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    with pytest.raises(Exception, match="belongs into the database of the live coalition"):
        await make_key(sandbox, "telecom", live=True)
    async with world.engine.begin() as connection:
        await mark(connection, is_live=True)
    with pytest.raises(Exception, match="belongs into the database of the test coalition"):
        await make_key(world.engine, "retail")


async def test_a_live_database_is_no_test_coalition_whatever_a_setting_says(
    serve: Serve, second: AsyncEngine
) -> None:
    async with second.begin() as connection:
        await sync(connection, HOUSE, TERMS, START)
        await ensure_first_window(connection, HOUSE)
    key = await make_key(second, "telecom")
    world = await serve(test_engine=second)
    answer = await Till(world.client, key).get("/v1/windows")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert "the test coalition is not ready" in answer.json()["detail"]
    for is_live, says in ((False, "names the database of a live coalition"), (True, "")):
        async with second.connect() as connection:
            if not is_live:
                with pytest.raises(CoalitionError, match=says):
                    await mark(connection, is_live=is_live)
    async with second.begin() as connection:
        await mark(connection, is_live=True)
        with pytest.raises(CoalitionError, match="of a live coalition"):
            await mark(connection, is_live=False)


async def test_the_live_coalition_serves_on_while_the_test_one_is_away(serve: Serve) -> None:
    nowhere = database.create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", SEAL_KEY)
    world = await serve(test_engine=nowhere)
    live = world.till("telecom")
    card = await live.enrol()
    test = Till(world.client, mint(live=False).text)
    body = {"card": card, "points": 5}
    for answer in (await test.get("/v1/windows"), await test.post("/v1/earns", body)):
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    await live.earn(card, 5)
    assert (await world.client.get("/readyz")).status_code == 200
    await nowhere.dispose()


async def test_the_test_coalition_starts_with_its_first_key_and_not_before(
    serve: Serve, sandbox: AsyncEngine
) -> None:
    await sandbox.dispose()
    world = await serve(test_engine=sandbox)
    await world.till("telecom").enrol()
    assert sandbox.pool.checkedin() == 0  # type: ignore[attr-defined]
    # Many at once: one of them starts it, and all are answered.
    test = Till(world.client, await make_key(sandbox, "telecom"))
    answers = await asyncio.gather(*(test.get("/v1/windows") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_test_key_has_all_that_a_live_one_has_and_each_counts_for_itself(
    serve: Serve, sandbox: AsyncEngine
) -> None:
    world = await serve(test_engine=sandbox)
    live, test = world.till("telecom"), Till(world.client, await make_key(sandbox, "telecom"))
    app: Any = cast(Any, world.client._transport).app
    # Persons, sealed and found again; PINs; cards changed; a file that is cancelled.
    made = await test.post("/v1/members", {"phone": "+8613800138000"})
    card = made.json()["card"]
    assert (await test.get("/v1/members", phone="+8613800138000")).json()["card"] == card
    assert (await live.get("/v1/members", phone="+8613800138000")).status_code == 404
    assert (await test.post(f"/v1/cards/{card}/pin", {"pin": "7306"}, key=None)).status_code == 200
    await test.earn(card, 100)
    right = await test.post("/v1/burns", {"card": card, "points": 5, "pin": "7306"})
    assert right.status_code == 201, right.text
    assert (await test.post(f"/v1/cards/{card}/block")).status_code == 200
    assert await count(world.engine, "member") == await count(world.engine, "pin") == 0
    # Who guesses in the one waits in the one: these keys of telecom's, and no live one.
    for number in range(FREE_AN_HOUR + 1):
        answer = await test.get(f"/v1/cards/{make_card(900 + number)}")
        assert answer.status_code == 404
    stranger = await test.get(f"/v1/cards/{make_card(3)}")
    assert (stranger.status_code, stranger.json()["code"]) == (429, "too_many_requests")
    assert (await live.get(f"/v1/cards/{make_card(3)}")).status_code == 404
    # And whoever reads the log is not called to the live one for it.
    with capture_logs() as lines:
        await (await app.state["services"].sandbox()).guessing.share()
    (told,) = (line for line in lines if line["event"] == "unknown_cards")
    assert (told["merchant"], told["coalition"]) == ("telecom", "test")


async def test_a_right_test_key_comes_in_from_an_address_that_guesses(
    serve: Serve, sandbox: AsyncEngine
) -> None:
    world = await serve(test_engine=sandbox)
    test = Till(world.client, await make_key(sandbox, "telecom"))
    assert (await test.get("/v1/windows")).status_code == 200
    # The clock of the throttle stands.
    app: Any = cast(Any, world.client._transport).app
    app.state["services"].throttle._monotonic_s = lambda: 100.0
    guess = Till(world.client, mint(live=False).text)
    answers = [(await guess.get("/v1/windows")).status_code for _ in range(AT_ONCE_MAX + 1)]
    assert answers == [401] * AT_ONCE_MAX + [429]
    assert (await test.get("/v1/windows")).status_code == 200
