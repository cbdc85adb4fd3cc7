"""A prepared database and its clones: every example of the state machine begins in a fresh one."""

import asyncio
from collections.abc import Coroutine
from datetime import date
from itertools import count
from typing import Any, TypeVar

import asyncpg
from msgspec.structs import replace
from sqlalchemy.engine import make_url
from tests.coalition.ledger.asked import A_DAY_MAX, terms
from tests.world import HOUSE, SEAL_KEY, World, noon

from coalition import database

T = TypeVar("T")
START = noon(date(2026, 1, 10))


class Databases:
    """One prepared database and its clones; every example runs on the one event loop."""

    def __init__(self, runner: asyncio.Runner, server_url: str, database_url: str) -> None:
        self._runner = runner
        self._server_url = server_url
        self._template = make_url(database_url)
        self._numbers = count(1)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def prepare(self) -> None:
        engine = database.create_engine(
            self._template.render_as_string(hide_password=False), SEAL_KEY
        )
        world = World(engine)
        world.now = START
        await world.sync(
            list(terms().values()), replace(HOUSE, points_per_member_per_day_max=A_DAY_MAX)
        )
        await engine.dispose()

    async def clone(self) -> str:
        name = f"{self._template.database}_{next(self._numbers)}"
        await self._execute(
            f"create database {name} template {self._template.database} strategy file_copy"
        )
        return self._template.set(database=name).render_as_string(hide_password=False)

    async def drop(self, url: str) -> None:
        await self._execute(f"drop database {make_url(url).database} with (force)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server_url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
