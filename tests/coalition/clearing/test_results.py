"""A closed window's result as it is stored: how large it may be, and that nothing changes it."""

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

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
    lines,
    nets,
    terms,
)
from tests.owner import owner

from coalition.clearing import service
from coalition.clearing.statements import read_statement
from coalition.errors import CoalitionError, Code
from coalition.terms.store import sync
from settlement import money
from settlement import service as settlement
from settlement.documents import FORMATS, write_document
from settlement.window import Calendar

DEAR = terms("dear", burn="100000")
POINTS = 10**12
BIGINT_MAX = 2**63 - 1


@pytest.fixture
async def rows(engine: AsyncEngine) -> Rows:
    return Rows(engine)


async def _documents(engine: AsyncEngine, party: str) -> list[bytes]:
    async with engine.connect() as connection:
        statement = await read_statement(connection, "2017-03", party)
    return [write_document(statement, kind) for kind in FORMATS]


async def _name(engine: AsyncEngine, party: str) -> str:
    async with engine.connect() as connection:
        return (await read_statement(connection, "2017-03", party)).name


async def test_no_price_and_no_burn_is_too_large_to_net(rows: Rows, engine: AsyncEngine) -> None:
    await rows.start(DEAR, RETAIL)
    lot = await rows.lot("dear", POINTS)
    await rows.burn("retail", {lot: POINTS})
    amount = POINTS * 100_000 * 100
    assert amount > BIGINT_MAX
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]
    async with engine.connect() as connection:
        march = await service.read_result(connection, "2017-03")
        assert await service.differs(connection, "2017-03") == []
    assert nets(march) == {"dear": -amount, "retail": amount, "house": 0}
    for at in march.positions:
        for figure in (at.receivable, at.payable, at.opening, at.instructed):
            assert type(figure) is int
    assert all(documents for documents in await _documents(engine, "dear"))
    assert await service.close_due(engine, APRIL_END) == ["2017-04"]


async def test_no_number_of_points_on_one_path_is_too_large_to_net(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    for _ in range(2):
        lot = await rows.lot("telecom", BIGINT_MAX)
        await rows.burn("retail", {lot: BIGINT_MAX})
    await service.close_due(engine, MARCH_END)
    async with engine.connect() as connection:
        march = await service.read_result(connection, "2017-03")
    points = 2 * BIGINT_MAX
    assert lines(march) == {("telecom", "retail", "redemption", points, points, None)}
    assert [due.quantity for due in march.obligations] == [points, points]


async def test_a_dry_run_whose_amounts_cannot_be_stored_is_invalid(
    rows: Rows, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rows.start(TELECOM, RETAIL)
    lot = await rows.lot("telecom", POINTS)
    await rows.burn("retail", {lot: POINTS})
    now = datetime(2017, 3, 20, tzinfo=UTC)
    prices = {"telecom": {"burn_price": "999999.999999"}}
    result = await service.close_window(engine, "2017-03", now, dry_run=True, prices=prices)
    assert nets(result)["retail"] == 99_999_999_999_900_000_000
    # No bigint of points reaches 38 digits at any price, so the bound is brought nearer.
    monkeypatch.setattr(money, "AMOUNT_MAX", BIGINT_MAX)
    with pytest.raises(CoalitionError, match=r"2017-03 .* 38 digits; try lower prices") as error:
        await service.close_window(engine, "2017-03", now, dry_run=True, prices=prices)
    assert error.value.code is Code.INVALID


async def test_a_closed_statement_keeps_its_bytes_when_names_change(
    rows: Rows, engine: AsyncEngine
) -> None:
    pooled = terms("telecom", burn="0.01", breakage="pool")
    await rows.start(pooled, RETAIL)
    lot = await rows.lot("telecom", 1_000)
    await rows.burn("retail", {lot: 100})
    await rows.burn("telecom", {lot: 100}, kind="expiry")
    await service.close_due(engine, MARCH_END)
    parties = ("telecom", "retail", "house", "pool")
    before = {party: await _documents(engine, party) for party in parties}
    assert await _name(engine, "pool") == "Breakage pool"
    renamed = [msgspec.structs.replace(one, name="New") for one in (pooled, RETAIL)]
    house = msgspec.structs.replace(HOUSE, name="New house")
    async with engine.begin() as connection:
        await sync(connection, house, renamed, MARCH_END + timedelta(days=1))
    assert {party: await _documents(engine, party) for party in parties} == before
    assert [await _name(engine, party) for party in ("telecom", "house")] == ["Telecom", "House"]


async def test_a_party_that_came_later_or_did_nothing_goes_by_its_code(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    await service.close_due(engine, MARCH_END)
    assert await _name(engine, "retail") == "retail"
    assert await _name(engine, "pool") == "pool"
    with pytest.raises(CoalitionError, match="no merchant called 'bakery'") as error:
        await _name(engine, "bakery")
    assert error.value.code is Code.NOT_FOUND


async def test_a_name_may_hold_any_character(rows: Rows, engine: AsyncEngine) -> None:
    name = 'Tab\t, line\n, back\\N and "quote"'
    await rows.start(terms("telecom", burn="0.01", name=name), RETAIL)
    lot = await rows.lot("telecom", 10)
    await rows.burn("retail", {lot: 10})
    await service.close_due(engine, MARCH_END)
    assert await _name(engine, "telecom") == name


@pytest.mark.parametrize(
    "change",
    [
        "closes_at = closes_at + interval '1 second'",
        "opens_at = opens_at - interval '1 second'",
        "opens_at = opens_at + interval '1 second'",
        "window_id = 7",
        "label = 'other'",
    ],
)
async def test_the_open_window_keeps_its_beginning_and_never_ends_later(
    rows: Rows, engine: AsyncEngine, change: str
) -> None:
    await rows.start(TELECOM)
    with pytest.raises(DBAPIError, match="a window only moves on"):
        async with engine.begin() as connection:
            await connection.execute(text(f"update settlement_window set {change}"))


async def test_the_open_window_may_end_earlier(rows: Rows, engine: AsyncEngine) -> None:
    await rows.start(TELECOM)
    async with engine.begin() as connection:
        moved = await connection.execute(
            text("update settlement_window set closes_at = closes_at - interval '1 second'")
        )
        assert moved.rowcount == 1


async def test_a_window_is_settled_only_after_it_was_netted(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM)
    settle = text("update settlement_window set status = 'settled' where window_id = 1")
    calendar = Calendar(HOUSE.window_rule, ZoneInfo(HOUSE.time_zone), HOUSE.first_window_on)
    await settlement.close_open(engine, calendar, 1, MARCH_END)
    with pytest.raises(DBAPIError, match="settlement_window_check"):
        async with engine.begin() as connection:
            await connection.execute(settle)
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]
    async with engine.begin() as connection:
        await connection.execute(settle)


async def test_a_result_is_written_only_for_a_window_that_is_being_netted(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    line = text(
        "insert into path (window_id, origin_id, redeemer_id, kind, points, price, amount,"
        " currency, reason) values (:window, 2, 3, 'redemption', 1, 0.01, 1, 'CNY', 'burn')"
    )
    passed_net = text(
        "insert into passed_net (window_id, party_id, debtor_id, creditor_id, amount, currency)"
        " values (:window, 2, 2, 3, 1, 'CNY')"
    )
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]
    # Neither a netted window nor the open one, nor one that does not exist, though no foreign key
    # says so.
    for window, statement in (*product((1, 2, 99), [line]), *product((1, 2), [passed_net])):
        with pytest.raises(DBAPIError, match="only while its closed window is being netted"):
            async with engine.begin() as connection:
                await connection.execute(statement, {"window": window})


@pytest.mark.parametrize("table", ["path", "passed_net", "position"])
async def test_a_result_is_never_changed(rows: Rows, engine: AsyncEngine, table: str) -> None:
    await rows.start(TELECOM, RETAIL)
    for change in (f"update {table} set currency = 'EUR'", f"delete from {table}"):
        with pytest.raises(DBAPIError, match="history is appended to, never changed"):
            async with owner(engine).begin() as connection:
                await connection.execute(text(change))
