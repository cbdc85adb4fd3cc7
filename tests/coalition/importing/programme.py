"""A programme that runs since 1997, for tests: two merchants, and its history as rows of a file."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import RING

from coalition.clearing.service import ensure_first_window
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.importing import store
from coalition.importing.importer import importing
from coalition.importing.play import Play
from coalition.importing.results import ResultFile
from coalition.importing.store import Progress
from coalition.members.card import make_card
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms

FIRST_DAY = date(1997, 1, 1)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
HOUSE = HouseTerms(
    name="The house",
    currency="USD",
    time_zone="UTC",
    first_window_on=FIRST_DAY,
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)
Fields = dict[str, Any]


def merchant(code: str) -> Terms:
    """Points live for a hundred days; a point costs a cent."""
    return Terms(
        code=code,
        name=code.title(),
        currency="USD",
        time_zone="UTC",
        joined_on=FIRST_DAY,
        rates=(Rate("*", Decimal(1), 100),),
        validity=Validity(days=100),
        prices=(Price(code, None, FIRST_DAY, burn_price=Decimal("0.01")),),
        points_outright=True,
        hold_seconds_max=86_400,
    )


async def found(engine: AsyncEngine) -> None:
    """The house, two merchants and the window of January 1997."""
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [merchant("music"), merchant("books")], NOW)
        await ensure_first_window(connection, HOUSE)


def card(number: int) -> str:
    return str(make_card(number))


def member(number: int, **more: object) -> Fields:
    row = {"op": "member", "merchant": "music", "card": card(number)}
    return row | {"enrolled_at": "1997-01-01T09:00:00Z"} | more


def movement(op: str, key: str, at: str, **more: object) -> Fields:
    """at: such as 1997-03-01T12."""
    row = {"op": op, "merchant": "music", "key": key, "occurred_at": f"{at}:00:00Z"}
    return row | more


def earn(key: str, at: str, points: int, number: int = 1, **more: object) -> Fields:
    return movement("earn", key, at, card=card(number), points=points, **more)


def burn(key: str, at: str, points: int, number: int = 1, **more: object) -> Fields:
    named = {"merchant": "books", "card": card(number), "points": points}
    return movement("burn", key, at, **(named | more))


@dataclass(frozen=True, slots=True)
class Imported:
    """How far a file is, and what became of each of its rows."""

    progress: Progress
    results: list[Fields]

    def refused(self) -> dict[int, str]:
        return {one["line"]: one["detail"] for one in self.results if one["status"] == "refused"}

    def statuses(self) -> list[str]:
        return [one["status"] for one in self.results]


def write(path: Path, rows: Iterable[Fields]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


async def imported(engine: AsyncEngine, path: Path, results_path: Path | None = None) -> Imported:
    """Import a file as the command does."""
    results_path = results_path or path.with_name(f"{path.name}.results.ndjson")
    async with played(engine, path, results_path) as play:
        progress = await play.run()
    lines = results_path.read_bytes().splitlines()
    return Imported(progress, [msgspec.json.decode(line) for line in lines])


@asynccontextmanager
async def played(engine: AsyncEngine, path: Path, results_path: Path) -> AsyncIterator[Play]:
    digest = _digest(path)
    async with importing(engine, RING) as importer:
        async with engine.begin() as connection:
            progress = await store.start(connection, digest, path.name, NOW)
        results = ResultFile(results_path, progress.results_bytes)
        with path.open("rb") as file:
            yield Play(importer, file, results, progress, NOW, path.suffix == ".csv")
        results.close()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


async def rows_of(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]
