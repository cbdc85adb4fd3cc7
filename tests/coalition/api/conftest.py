"""A small coalition behind a real application on a real database, with a clock the test moves.

telecom lets points outright and small holds; retail may burn at most 5,000 at once. A till is a
client with one key.
"""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.served import running

from coalition.app import create_app
from coalition.clearing.service import ensure_first_window
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.keys import store as key_store
from coalition.settings import Settings
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms

PEPPER = b"a pepper of thirty-two bytes, yes"
START = datetime(2017, 3, 10, 4, 0, tzinfo=UTC)
HOUSE = HouseTerms(
    name="Alliance",
    currency="CNY",
    time_zone="Asia/Shanghai",
    first_window_on=date(2017, 3, 1),
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)
SETTINGS = Settings(
    database_url=None,
    data_folder=Path("/nonexistent"),
    pepper=PEPPER,
    merchants_folder=Path("/nonexistent"),
    host="127.0.0.1",
    port=0,
    queue_max=1000,
    wait_s_max=10,
    requests_per_second_max=0,
    anchors_folder=Path("/nonexistent"),
)
MERCHANT_SCOPES = ("earn", "burn", "transfer", "members", "statements")
BASE = "http://coalition.test"
_numbers = itertools.count(1)


def terms(code: str, price: str, **changes: Any) -> Terms:
    return Terms(
        code=code,
        name=code.title(),
        currency="CNY",
        time_zone="Asia/Shanghai",
        joined_on=date(2017, 1, 1),
        rates=(Rate("*", Decimal(1), 100),),
        validity=Validity(months=24),
        prices=(Price(code, None, date(2017, 1, 1), burn_price=Decimal(price)),),
        **changes,
    )


TERMS = [
    terms("telecom", "0.010", points_outright=True, hold_seconds_max=3600),
    terms("retail", "0.008", points_outright=True, points_per_burn_max=5_000),
    terms("plain", "0.005"),
    terms("banned", "0.005", suspended=True, points_outright=True),
]


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Till:
    """A client that asks with one key. Every POST gets a new Idempotency-Key unless told."""

    client: httpx.AsyncClient
    bearer: str

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, headers=self._headers(None), params=params)

    async def post(self, path: str, body: Any = None, key: str | None = "") -> httpx.Response:
        key = f"key-{next(_numbers)}" if key == "" else key
        return await self.client.post(
            path, headers=self._headers(key), json={} if body is None else body
        )

    async def send(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        return await self.client.post(path, headers=self._headers("raw") | headers, content=content)

    async def enrol(self) -> str:
        answer = await self.post("/v1/members")
        assert answer.status_code == 201, answer.text
        card: str = answer.json()["card"]
        return card

    async def earn(self, card: str, points: int, **more: Any) -> dict[str, Any]:
        answer = await self.post("/v1/earns", {"card": card, "points": points, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def burn(self, card: str, points: int, **more: Any) -> dict[str, Any]:
        answer = await self.post("/v1/burns", {"card": card, "points": points, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return headers if key is None else headers | {"Idempotency-Key": key}


@dataclass
class World:
    """Tills by code, the house included; keys by code."""

    engine: AsyncEngine
    clock: Clock
    client: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)

    def till(self, code: str) -> Till:
        return Till(self.client, self.keys[code])

    async def old_card(self, days: int) -> str:
        """A card that telecom issued so many days ago."""
        self.clock.pass_(days=-days)
        card = await self.till("telecom").enrol()
        self.clock.pass_(days=days)
        return card

    async def key(self, code: str, *scopes: str) -> str:
        async with self.engine.begin() as connection:
            made = await key_store.create(
                connection,
                pepper=PEPPER,
                merchant=code,
                scopes=scopes,
                live=True,
                label="",
                now=self.clock.now,
            )
        return made.text

    async def rows(self) -> dict[str, list[Any]]:
        """Every row that a movement of points could touch."""
        async with self.engine.connect() as connection:
            return {
                table: [tuple(r) for r in await connection.execute(text(f"table {table}"))]
                for table in ("member", "card", "account", "debt", "posting", "lot", "burn", "leg")
            }


Serve = Callable[..., Any]


@pytest.fixture
async def prepared(engine: AsyncEngine) -> AsyncEngine:
    """The database with the four merchants and an open window."""
    async with engine.begin() as connection:
        await sync(connection, HOUSE, TERMS, START)
        await ensure_first_window(connection, HOUSE)
    return engine


@pytest.fixture
async def serve(prepared: AsyncEngine, tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts an application with changed settings; it is stopped after the test.

    test_engine: the database of its test coalition.
    """
    async with AsyncExitStack() as stack:

        async def start(test_engine: AsyncEngine | None = None, **changes: Any) -> World:
            return await stack.enter_async_context(
                _world(prepared, {"data_folder": tmp_path} | changes, test_engine)
            )

        yield start


@asynccontextmanager
async def _world(
    engine: AsyncEngine, changes: dict[str, Any], test_engine: AsyncEngine | None = None
) -> AsyncIterator[World]:
    clock = Clock()
    app = create_app(replace(SETTINGS, **changes), engine, clock=clock, test_engine=test_engine)
    # Litestar says more of what it is called with than httpx asks for.
    transport = httpx.ASGITransport(cast(Any, app), raise_app_exceptions=False)
    async with running(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        world = World(engine, clock, client)
        for one in TERMS:
            world.keys[one.code] = await world.key(one.code, *MERCHANT_SCOPES)
        world.keys["house"] = await world.key("house", "house")
        yield world


@pytest.fixture
async def world(serve: Serve) -> World:
    made: World = await serve()
    return made
