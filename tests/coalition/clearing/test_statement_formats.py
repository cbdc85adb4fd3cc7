"""In which format a window's statements are issued: kept with the window, and never another one."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.clearing.ledger_rows import (
    APRIL_END,
    HOUSE,
    MARCH_END,
    RETAIL,
    TELECOM,
    Rows,
)
from tests.owner import owner

from coalition import database
from coalition.clearing import service
from coalition.clearing.statements import read_statement
from coalition.terms.store import sync
from settlement.documents import FORMATS, write_document
from settlement.documents.v1 import csv_file, json_file, xlsx_file
from settlement.window import Window

MIGRATION = Path(database.__file__).parent / "migrations/versions/0010_statement_formats.sql"
# The windows as they were before the migration.
_BEFORE = """
drop trigger window_statement_format on settlement_window;
drop function statement_format_stays;
alter table settlement_window
    drop column statement_format, drop column opens_offset_s, drop column closes_offset_s;
"""


@pytest.fixture
async def rows(engine: AsyncEngine) -> Rows:
    rows = Rows(engine)
    await rows.start(TELECOM, RETAIL)
    lot = await rows.lot("telecom", 1_000)
    await rows.burn("retail", {lot: 100})
    await service.close_due(engine, MARCH_END)
    return rows


async def _window(engine: AsyncEngine) -> Window:
    async with engine.connect() as connection:
        return (await service.list_windows(connection))[0]


async def _documents(engine: AsyncEngine, label: str = "2017-03") -> list[bytes]:
    async with engine.connect() as connection:
        statement = await read_statement(connection, label, "telecom")
    return [write_document(statement, kind) for kind in FORMATS]


async def test_a_window_keeps_the_format_of_its_netting_and_the_houses_clock(
    rows: Rows, engine: AsyncEngine
) -> None:
    march = await _window(engine)
    assert march.statement_format == 3
    assert [at.isoformat() for at in march.local_span] == [
        "2017-03-01T00:00:00+08:00", "2017-04-01T00:00:00+08:00",
    ]  # fmt: skip


async def test_a_statement_keeps_its_bytes_when_the_house_moves_to_another_zone(
    rows: Rows, engine: AsyncEngine
) -> None:
    before = await _documents(engine)
    async with engine.begin() as connection:
        moved = msgspec.structs.replace(HOUSE, time_zone="America/New_York")
        await sync(connection, moved, [TELECOM, RETAIL], MARCH_END)
    assert await _documents(engine) == before


async def test_a_window_netted_before_formats_had_numbers_is_issued_in_format_1(
    rows: Rows, engine: AsyncEngine
) -> None:
    async with owner(engine).begin() as connection:
        driver = await database.raw(connection)
        await driver.execute(_BEFORE)
        await driver.execute(MIGRATION.read_text(encoding="utf-8"))
    async with engine.connect() as connection:
        statement = await read_statement(connection, "2017-03", "telecom")
    assert (statement.window.statement_format, statement.window.opens_offset_s) == (1, None)
    assert await _documents(engine) == [
        module.render(statement) for module in (json_file, csv_file, xlsx_file)
    ]
    await service.close_due(engine, APRIL_END)
    _json, april, _xlsx = await _documents(engine, "2017-04")
    assert april.startswith(b"section,window,opens_at")


@pytest.mark.parametrize(
    "change",
    ["statement_format = 1, opens_offset_s = null, closes_offset_s = null", "opens_offset_s = 0"],
)
async def test_the_format_of_a_netted_window_never_changes(
    rows: Rows, engine: AsyncEngine, change: str
) -> None:
    with pytest.raises(DBAPIError, match="its statements keep their format"):
        async with engine.begin() as connection:
            await connection.execute(
                text(f"update settlement_window set {change} where window_id = 1")
            )


@pytest.mark.parametrize(
    "format_", ["statement_format = null", "statement_format = 2", "statement_format = 0"]
)
async def test_no_window_is_netted_without_a_whole_format(
    rows: Rows, engine: AsyncEngine, format_: str
) -> None:
    with pytest.raises(DBAPIError, match=r"settlement_window_(statement_format_)?check"):
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "update settlement_window set status = 'closed', closed_at = now(),"
                    f" netted_at = now(), rule_version = 2, {format_} where window_id = 2"
                )
            )
