"""Syncing merchants' files: what it changes, what it refuses, and that twice is once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import superuser

from coalition.earning.rates import Rate
from coalition.errors import CoalitionError, Code
from coalition.terms.changes import SyncRefusedError
from coalition.terms.prices import Price
from coalition.terms.store import load_book, plan_sync, sync
from coalition.terms.terms import HouseTerms, Terms

NOW = datetime(2017, 3, 10, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ZONE = "Asia/Shanghai"
HOUSE = HouseTerms("House", "CNY", ZONE, date(2017, 1, 1), "FREQ=MONTHLY;BYMONTHDAY=1")


def price(day: str, burn_price: str = "0.010", origin: str = "telecom") -> Price:
    return Price(origin, None, date.fromisoformat(day), burn_price=Decimal(burn_price))


def merchant(code: str, *prices: Price, **other: Any) -> Terms:
    prices = prices or (price("2017-01-01", origin=code),)
    return Terms(code, code.title(), "CNY", ZONE, date(2017, 1, 1), prices=prices, **other)


TELECOM = merchant("telecom", rates=(Rate("*", Decimal("1.5"), 100),))
RETAIL = merchant("retail", price("2017-01-01", "0.008", "retail"))


async def synced(engine: AsyncEngine, *terms: Terms, now: datetime = NOW) -> list[str]:
    async with engine.begin() as connection:
        return [str(change) for change in await sync(connection, HOUSE, list(terms), now)]


async def refused(engine: AsyncEngine, *terms: Terms, house: HouseTerms = HOUSE) -> list[str]:
    before = await rows(engine)
    with pytest.raises(SyncRefusedError) as error:
        async with engine.begin() as connection:
            await sync(connection, house, list(terms), LATER)
    with pytest.raises(SyncRefusedError):
        async with engine.begin() as connection:
            await plan_sync(connection, house, list(terms), LATER)
    assert await rows(engine) == before
    return error.value.refusals


async def rows(engine: AsyncEngine) -> list[Any]:
    async with engine.begin() as connection:
        merchants = await connection.execute(text("select * from merchant order by merchant_id"))
        prices = await connection.execute(text("select * from price order by price_no"))
        return [*merchants.all(), *prices.all()]


async def execute(engine: AsyncEngine, *statements: str) -> None:
    async with superuser(engine).begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def close_january_and_february(engine: AsyncEngine, late: str = "00:00") -> None:
    """As the closer would, February at 00:00 of 1 March in Shanghai, or as late as said."""
    await execute(
        engine,
        f"""insert into settlement_window (window_id, label, opens_at, closes_at, status, closed_at)
        values
        (1, '2017-01', '2017-01-01 00:00+08', '2017-02-01 00:00+08', 'closed',
         '2017-02-01 00:00+08'),
        (2, '2017-02', '2017-02-01 00:00+08', '2017-03-01 00:00+08', 'closed',
         '2017-03-01 {late}+08'),
        (3, '2017-03', '2017-03-01 00:00+08', '2017-04-01 00:00+08', 'open', null)""",
    )


async def test_the_first_sync_makes_the_house_the_pool_and_the_merchants_in_order_of_code(
    engine: AsyncEngine,
) -> None:
    changes = await synced(engine, TELECOM, RETAIL)
    assert changes == [
        "house: added, House, CNY",
        "retail: added, Retail, CNY",
        "retail: the price from 2017-01-01: issue 0, burn 0.008, redeem not stated",
        "telecom: added, Telecom, CNY",
        "telecom: the price from 2017-01-01: issue 0, burn 0.01, redeem not stated",
    ]
    async with engine.begin() as connection:
        book = await load_book(connection)
    assert book.ids == {"house": 0, "pool": 1, "retail": 2, "telecom": 3}
    assert book.codes == {0: "house", 1: "pool", 2: "retail", 3: "telecom"}
    assert book.house == HOUSE
    assert {one.terms.code: one.terms for one in book.merchants.values()} == {
        "retail": RETAIL,
        "telecom": TELECOM,
    }
    assert str(book.merchants[3].zone) == ZONE
    assert book.windows == ()


async def test_a_second_sync_changes_nothing(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    before = await rows(engine)
    assert await synced(engine, RETAIL, TELECOM, now=LATER) == []
    assert await rows(engine) == before


async def test_what_changed_is_updated_and_nothing_else_is_touched(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    await close_january_and_february(engine)
    changed = replace(
        RETAIL,
        name="Shops",
        suspended=True,
        prices=(*RETAIL.prices, price("2017-03-01", "0.009", "retail")),
        pair_prices=(Price("retail", "telecom", date(2017, 4, 1), burn_price=Decimal("0.005")),),
    )
    async with engine.begin() as connection:
        planned = await plan_sync(connection, HOUSE, [TELECOM, changed], LATER)
    changes = await synced(engine, TELECOM, changed, now=LATER)
    assert (
        changes
        == [str(change) for change in planned]
        == [
            "retail: updated name, prices, pair_prices, suspended",
            "retail: the price from 2017-03-01: issue 0, burn 0.009, redeem not stated",
            "retail: the price at telecom from 2017-04-01: issue 0, burn 0.005, redeem not stated",
        ]
    )
    async with engine.begin() as connection:
        found = await connection.execute(
            text("select code, name, suspended, synced_at from merchant")
        )
        assert {row.code: (row.name, row.suspended, row.synced_at) for row in found} == {
            "house": ("House", False, NOW),
            "pool": ("Pool", False, NOW),
            "retail": ("Shops", True, LATER),
            "telecom": ("Telecom", False, NOW),
        }
        book = await load_book(connection)
    assert [(one.label, one.is_open) for one in book.windows] == [
        ("2017-01", False),
        ("2017-02", False),
        ("2017-03", True),
    ]
    assert await synced(engine, TELECOM, changed, now=LATER) == []


async def test_a_new_merchant_gets_the_next_id_and_may_be_priced_from_any_day(
    engine: AsyncEngine,
) -> None:
    await synced(engine, TELECOM, RETAIL)
    await close_january_and_february(engine)
    at_bank = Price("telecom", "bank", date(2017, 1, 1), burn_price=Decimal("0.004"))
    await synced(engine, replace(TELECOM, pair_prices=(at_bank,)), RETAIL, merchant("bank"))
    async with engine.begin() as connection:
        assert (await load_book(connection)).ids["bank"] == 4


async def test_a_merchant_without_a_file_is_kept(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    before = await rows(engine)
    assert await synced(engine, TELECOM, now=LATER) == ["retail: kept, no file"]
    assert await rows(engine) == before


async def test_no_price_reaches_into_a_closed_window(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    await close_january_and_february(engine)
    at_retail = Price("telecom", "retail", date(2017, 2, 1), burn_price=Decimal("0.001"))
    early = replace(
        TELECOM, prices=(*TELECOM.prices, price("2017-02-28", "0.02")), pair_prices=(at_retail,)
    )
    reason = "would reach into a closed window, and a closed window never changes"
    assert await refused(engine, early, replace(RETAIL, name="Shops")) == [
        f"telecom: the price from 2017-02-28 {reason}; the earliest day possible is 2017-03-01",
        f"telecom: the price at retail from 2017-02-01 {reason}; "
        "the earliest day possible is 2017-03-01",
    ]


async def test_before_a_window_was_closed_a_price_may_start_on_any_day(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM)
    await execute(
        engine,
        """insert into settlement_window (window_id, label, opens_at, closes_at)
        values (1, '2017-03', '2017-03-01 00:00+08', '2017-04-01 00:00+08')""",
    )
    early = replace(TELECOM, prices=(*TELECOM.prices, price("2017-02-01")))
    assert len(await synced(engine, early)) == 2


async def test_a_day_that_a_late_close_has_settled_is_closed_too(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL, merchant("bank"))
    await close_january_and_february(engine, late="09:30")
    # Before it was closed, February took a lot of 1 March; the close was nine hours late.
    await execute(
        engine,
        "set local session_replication_role = replica",
        """insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining,
                            earned_at, earned_on, window_id)
        values (1, 1, 1, (select merchant_id from merchant where code = 'telecom'), 'purchase',
                5, 5, '2017-03-01 09:00+08', '2017-03-01', 2)""",
    )
    (refusal,) = await refused(
        engine,
        replace(TELECOM, prices=(*TELECOM.prices, price("2017-03-01", "0.02"))),
        replace(RETAIL, prices=(*RETAIL.prices, price("2017-03-01", "0.02", "retail"))),
        merchant("bank"),
    )
    assert refusal.startswith("telecom: the price from 2017-03-01")
    assert refusal.endswith("the earliest day possible is 2017-03-02")


async def test_a_price_in_force_is_neither_changed_nor_taken_away(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    await close_january_and_february(engine)
    changed = replace(TELECOM, prices=(price("2017-01-01", "0.02"),))
    gone = replace(RETAIL, prices=(price("2017-04-01", "0.02", "retail"),))
    assert await refused(engine, changed, gone) == [
        "telecom: the price from 2017-01-01 is in force as issue 0, burn 0.01, redeem not stated "
        "and cannot become issue 0, burn 0.02, redeem not stated; "
        "leave it as it was and add one from 2017-03-12 or later",
        "retail: the price from 2017-01-01 is stored as issue 0, burn 0.008, redeem not stated "
        "and cannot be taken away; write it in the file again, "
        "and a later one after it where it is to end",
    ]


async def test_a_price_that_is_still_to_come_may_be_changed_once_more(engine: AsyncEngine) -> None:
    def with_price(burn_price: str) -> Terms:
        return replace(TELECOM, prices=(*TELECOM.prices, price("2017-05-01", burn_price)))

    await synced(engine, with_price("0.02"))
    await close_january_and_february(engine)
    assert len(await synced(engine, with_price("0.03"), now=LATER)) == 2
    assert await synced(engine, with_price("0.03"), now=LATER) == []
    assert len(await synced(engine, with_price("0.02"), now=LATER)) == 2
    assert await synced(engine, with_price("0.02"), now=LATER) == []


async def test_a_currency_never_changes(engine: AsyncEngine) -> None:
    await synced(engine, TELECOM, RETAIL)
    dollars = replace(TELECOM, currency="USD")
    assert await refused(engine, dollars, RETAIL, house=replace(HOUSE, currency="EUR")) == [
        f"{code}: currency is CNY and cannot become {other}; "
        "add a merchant with a code of its own for the other currency"
        for code, other in [("house", "EUR"), ("telecom", "USD")]
    ]


async def test_two_syncs_at_once_do_the_work_of_one(engine: AsyncEngine) -> None:
    done = await asyncio.gather(*(synced(engine, TELECOM, RETAIL) for _ in range(5)))
    assert sorted(len(changes) for changes in done) == [0, 0, 0, 0, 5]
    assert len(await rows(engine)) == 4 + 2


async def test_a_close_waits_for_a_sync_and_the_sync_then_sees_what_it_closed(
    engine: AsyncEngine,
) -> None:
    await synced(engine, TELECOM)
    await close_january_and_february(engine)
    early = replace(TELECOM, prices=(*TELECOM.prices, price("2017-03-01", "0.02")))
    async with engine.connect() as closer:
        closing = await closer.begin()
        await closer.execute(
            text(
                "update settlement_window set status = 'closed', closed_at = closes_at "
                "where window_id = 3"
            )
        )
        await closer.execute(
            text(
                "insert into settlement_window (window_id, label, opens_at, closes_at) values "
                "(4, '2017-04', '2017-04-01 00:00+08', '2017-05-01 00:00+08')"
            )
        )
        syncing = asyncio.create_task(synced(engine, early))
        await until_somebody_waits(engine)
        await closing.commit()
    with pytest.raises(SyncRefusedError, match="the earliest day possible is 2017-04-01"):
        await syncing


async def until_somebody_waits(engine: AsyncEngine) -> None:
    waiting = text(
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while True:
            async with engine.begin() as connection:
                if (await connection.execute(waiting)).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_terms_and_prices_that_an_earlier_version_stored_sync_as_no_change(
    engine: AsyncEngine,
) -> None:
    at_retail = Price("telecom", "retail", date(2017, 1, 1), burn_price=Decimal("0.006"))
    telecom = replace(TELECOM, pair_prices=(at_retail,))
    await synced(engine, telecom, RETAIL)
    # As it was written while prices did not say whose they are, word for word.
    await execute(
        engine,
        """update merchant set terms = terms
        || '{"prices": [{"effective_from": "2017-01-01", "issue_price": "0",
                         "burn_price": "0.010", "redeem_price": null}],
             "pair_prices": [{"redeemer": "retail", "effective_from": "2017-01-01",
                              "burn_price": "0.006", "redeem_price": null}]}'
        where code = 'telecom'""",
    )
    assert await synced(engine, telecom, RETAIL, now=LATER) == []
    async with engine.begin() as connection:
        book = await load_book(connection)
    assert book.merchants[book.ids["telecom"]].terms == telecom


async def test_without_a_house_there_is_no_book(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        with pytest.raises(CoalitionError, match="sync a folder of merchants first") as error:
            await load_book(connection)
    assert error.value.code is Code.NOT_FOUND
