"""Each side of a path is rounded for itself, and what an earlier rule closed stays as it was."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.coalition.clearing.ledger_rows import MARCH_END, START, Rows, lines, nets, pair, terms
from tests.owner import superuser

from coalition import database
from coalition.clearing import service
from coalition.clearing.statements import read_statement
from coalition.terms.prices import Price
from settlement.obligation import Result

MID = date(2017, 3, 15)
ALFA = terms("alfa", burn="0.0125")
CHAR = terms(
    "char",
    prices=(
        Price("char", None, START, redeem_price=Decimal("0.01")),
        Price("char", None, MID, redeem_price=Decimal("0.02")),
    ),
)


async def _two_and_two(engine: AsyncEngine) -> Rows:
    rows = Rows(engine)
    await rows.start(ALFA, CHAR)
    lot = await rows.lot("alfa", 10)
    await rows.burn("char", {lot: 2})
    await rows.burn("char", {lot: 2}, on=MID)
    return rows


def _tills(result: Result) -> list[tuple[int, Decimal, int, str]]:
    return [(till.quantity, till.price, till.amount, till.currency) for till in result.tills]


async def test_no_side_is_split_because_the_others_price_changes(engine: AsyncEngine) -> None:
    await _two_and_two(engine)
    march = await service.close_window(engine, "2017-03", MARCH_END)
    assert lines(march) == {("alfa", "char", "redemption", 4, 5, None)}
    assert _tills(march) == [(2, Decimal("0.01"), 2, "CNY"), (2, Decimal("0.02"), 4, "CNY")]
    assert nets(march) == {"alfa": -5, "char": 6, "house": -1}


async def test_a_redeemer_is_not_split_because_the_origins_price_changes(
    engine: AsyncEngine,
) -> None:
    rows = Rows(engine)
    origin = terms(
        "alfa",
        prices=(
            Price("alfa", None, START, burn_price=Decimal("0.01")),
            Price("alfa", None, MID, burn_price=Decimal("0.02")),
        ),
    )
    await rows.start(origin, terms("char", redeem="0.0125"))
    lot = await rows.lot("alfa", 10)
    await rows.burn("char", {lot: 2})
    await rows.burn("char", {lot: 2}, on=MID)
    march = await service.close_window(engine, "2017-03", MARCH_END)
    assert _tills(march) == [(4, Decimal("0.0125"), 5, "CNY")]
    assert [line.amount for line in march.paths if line.kind == "redemption"] == [2, 4]


@pytest.mark.parametrize("agreed", [(), (pair("alfa", "char", "0.01", "0.0125"),)])
async def test_a_side_told_in_the_others_row_reads_as_a_line_of_its_own(
    engine: AsyncEngine, agreed: tuple[Price, ...]
) -> None:
    rows = Rows(engine)
    await rows.start(terms("alfa", burn="0.01", pair_prices=agreed), terms("char"))
    lot = await rows.lot("alfa", 10)
    await rows.burn("char", {lot: 4})
    march = await service.close_window(engine, "2017-03", MARCH_END)
    gets = Decimal("0.0125") if agreed else Decimal("0.01")
    assert _tills(march) == [(4, gets, 5 if agreed else 4, "CNY")]


async def test_a_redeemer_reads_its_own_price_and_currency_where_a_line_comes_to_nothing(
    engine: AsyncEngine,
) -> None:
    rows = Rows(engine)
    await rows.start(
        terms("alfa", burn="0.01", currency="EUR"),
        terms(
            "tokyo",
            currency="JPY",
            prices=(
                Price("tokyo", None, START, redeem_price=Decimal("0.4")),
                Price("tokyo", None, MID, redeem_price=Decimal(1)),
            ),
        ),
    )
    lot = await rows.lot("alfa", 100)
    await rows.burn("tokyo", {lot: 1})
    await rows.burn("tokyo", {lot: 50}, on=MID)
    await service.close_window(engine, "2017-03", MARCH_END)
    async with engine.connect() as connection:
        statement = await read_statement(connection, "2017-03", "tokyo")
    shown = [(row.quantity, row.price, row.amount, row.currency) for row in statement.lines]
    assert shown == [(1, Decimal("0.4"), 0, "JPY"), (50, Decimal(1), 50, "JPY")]
    assert statement.matrix == (("alfa", "tokyo", 51, 0, 50, "JPY"),)


async def test_the_house_reads_what_the_roundings_of_both_sides_left_with_it(
    engine: AsyncEngine,
) -> None:
    rows = Rows(engine)
    gets = [
        Price("char", None, day, redeem_price=Decimal(price))
        for day, price in ((START, "0.0075"), (MID, "0.0175"))
    ]
    await rows.start(ALFA, terms("char", prices=tuple(gets)))
    lot = await rows.lot("alfa", 10)
    await rows.burn("char", {lot: 2})
    await rows.burn("char", {lot: 2}, on=MID)
    march = await service.close_window(engine, "2017-03", MARCH_END)
    # Exactly 5 and 1.5 + 3.5; rounded 5 and 2 + 4.
    assert nets(march) == {"alfa": -5, "char": 6, "house": -1}
    async with engine.connect() as connection:
        shown = {
            party: [
                (row.kind, row.origin, row.redeemer, row.amount, row.direction)
                for row in (await read_statement(connection, "2017-03", party)).lines
                if row.path == "rounding"
            ]
            for party in ("house", "alfa", "char")
        }
    left = ("redemption", "alfa", "char", -1, "included")
    assert shown == {"house": [left], "alfa": [], "char": []}


# The tables as they were before migration 0004, with what the window came to by rule 1.
_BEFORE = """
set session_replication_role = replica;
drop view obligation;
drop table path;
create table path (
    window_id int not null, origin_id int not null, redeemer_id int not null, kind text not null,
    about_window_id int, points numeric(38, 0) not null, debtor_id int, creditor_id int,
    price numeric(12, 6) not null, amount numeric(38, 0) not null, currency text not null,
    paid_price numeric(12, 6), paid_amount numeric(38, 0), paid_currency text
);
create index path_window on path using brin (window_id);
create view obligation as select * from path;
insert into path values
    (1, {alfa}, {alfa}, 'issue', null, 10, {alfa}, 0, 0, 0, 'CNY', null, null, null),
    (1, {alfa}, {alfa}, 'redemption', null, 3, null, null, 0, 0, 'CNY', null, null, null),
    (1, {alfa}, {char}, 'redemption', null, 2, {alfa}, {char}, 0.0125, 2, 'CNY', 0.01, 2, 'CNY'),
    (1, {alfa}, {char}, 'redemption', null, 2, {alfa}, {char}, 0.0125, 2, 'CNY', 0.02, 4, 'CNY');
alter table settlement_window drop column rule_version;
update position set payable = 4, net = -4, closing = -4, instructed = 0 where party_id = {alfa};
update position set receivable = 4, net = -2, closing = -2, instructed = 0 where party_id = 0;
update position set closing = net, instructed = 0;
set session_replication_role = origin;
"""


async def _as_before(connection: AsyncConnection, rows: Rows) -> None:
    driver = await database.raw(connection)
    await driver.execute(_BEFORE.format(alfa=rows.ids["alfa"], char=rows.ids["char"]))
    # Nor did such a window keep the terms it was netted by.
    await driver.execute("alter table window_terms disable trigger user; delete from window_terms")


async def test_a_window_closed_by_the_earlier_rule_keeps_its_lines_and_is_verified_by_that_rule(
    engine: AsyncEngine,
) -> None:
    rows = await _two_and_two(engine)
    lot = next(iter(rows.lots))
    await rows.burn("alfa", {lot: 3})
    await service.close_window(engine, "2017-03", MARCH_END)
    script = Path(database.__file__).parent / "migrations" / "versions" / "0004_sides.sql"
    async with superuser(engine).begin() as connection:
        await _as_before(connection, rows)
        await (await database.raw(connection)).execute(script.read_text(encoding="utf-8"))
    async with superuser(engine).connect() as connection:
        march = await service.read_result(connection, "2017-03")
        owed = await connection.scalars(text("select amount::int from obligation order by amount"))
        assert owed.all() == [2, 2, 2, 4]
        found = await service.differs(connection, "2017-03")
        (window, _) = await service.list_windows(connection)
    assert [line.amount for line in march.paths if line.redeemer == "char"] == [2, 2]
    assert window.rule_version == 1
    assert found == []


async def test_the_rule_that_a_window_was_netted_by_never_changes(engine: AsyncEngine) -> None:
    await _two_and_two(engine)
    await service.close_window(engine, "2017-03", MARCH_END)
    async with engine.begin() as connection:
        with pytest.raises(Exception, match="a window only moves on"):
            await connection.execute(
                text("update settlement_window set rule_version = 1 where window_id = 1")
            )
