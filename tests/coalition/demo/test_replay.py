"""How events reach the ledger, what comes of them, and that it is the same each time."""

import hashlib
import random
import secrets
from collections import Counter
from dataclasses import replace as altered
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import RING, SEAL_KEY

from coalition.clearing.service import ensure_first_window, read_result
from coalition.database import create_engine, migrate
from coalition.demo import data
from coalition.demo.events import Cancel, Event, Return, Reward, Sale, Year
from coalition.demo.figures import add_up, figures_of
from coalition.demo.people import enrol
from coalition.demo.replay import Tally, replay
from coalition.demo.show import Coalition, show
from coalition.earning.purchase import Item
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.importing.importer import importing
from coalition.members.card import parse_card
from coalition.terms.folder import read_folder
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms

HOUSE = HouseTerms(
    name="House",
    currency="USD",
    time_zone="America/New_York",
    first_window_on=date(2017, 1, 1),
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)
BEGINS_AT = datetime(2017, 1, 1, 5, tzinfo=UTC)


def merchant(code: str, validity: Validity = Validity()) -> Terms:  # noqa: B008
    return Terms(
        code=code,
        name=code,
        currency="USD",
        time_zone="America/New_York",
        joined_on=date(2017, 1, 1),
        rates=(Rate("*", Decimal(1), 100),),
        validity=validity,
        prices=(Price(code, None, date(2017, 1, 1), burn_price=Decimal("0.01")),),
    )


def day(number: int) -> datetime:
    """Noon of the year's day `number`, from 1."""
    return datetime(2017, 1, 1, 17, tzinfo=UTC) + timedelta(days=number - 1)


def sale(number: int, basket: int, dollars: int, household: int = 7) -> Sale:
    return Sale(day(number), household, basket, "fuel", (Item(dollars * 100),))


def reward(number: int, reward_no: int, points: int, household: int = 7) -> Reward:
    return Reward(day(number), household, reward_no, "grocer", points)


async def replayed(engine: AsyncEngine, events: list[Event], fuel: Terms) -> Tally:
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [fuel, merchant("grocer")], BEGINS_AT)
        await ensure_first_window(connection, HOUSE)
    ends_at = datetime(2017, 4, 1, 4, tzinfo=UTC)
    async with importing(engine, RING) as importer:
        people = await enrol(importer, [7, 8], BEGINS_AT)
        return await replay(
            importer, events, people, ends_at=ends_at, advance=lambda place, done: None
        )


async def balance(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("select sum(available) from account")) or 0)


async def test_who_has_fewer_points_burns_what_there_is_and_who_has_none_is_refused(
    engine: AsyncEngine,
) -> None:
    events: list[Event] = [
        sale(1, 1, 10),
        reward(1, 1, 8),
        reward(1, 2, 8),
        reward(1, 3, 8),
        reward(2, 4, 8, household=8),
    ]
    tally = await replayed(engine, events, merchant("fuel"))
    assert tally.posted == Counter(sale=1, reward=2)
    assert tally.partial == 1
    assert tally.refused == {("reward", Code.INSUFFICIENT_POINTS): 2}
    assert await balance(engine) == 0


async def test_returns_and_cancellations_of_an_earlier_month_are_corrections_in_a_later_one(
    engine: AsyncEngine,
) -> None:
    events: list[Event] = [
        sale(30, 1, 100),
        sale(30, 97, 50),
        reward(30, 1, 60),
        Return(day(40), 7, 97, "fuel"),
        Cancel(day(50), 7, 1, "grocer"),
    ]
    tally = await replayed(engine, events, merchant("fuel"))
    assert tally.posted == Counter({"sale": 2, "reward": 1, "return": 1, "cancel": 1})
    assert await balance(engine) == 100
    async with engine.connect() as connection:
        january = figures_of(await read_result(connection, "2017-01"))
        february = figures_of(await read_result(connection, "2017-02"))
    assert (january.burned_cross, january.corrections) == (60, 0)
    assert (february.burned_cross, february.taken_back, february.corrections) == (-60, 50, 2)


async def test_what_was_never_posted_is_neither_returned_nor_cancelled(engine: AsyncEngine) -> None:
    events: list[Event] = [
        Sale(day(1), 7, 97, "fuel", (Item(99),)),
        reward(1, 50, 10),
        Return(day(11), 7, 97, "fuel"),
        Cancel(day(21), 7, 50, "grocer"),
    ]
    tally = await replayed(engine, events, merchant("fuel"))
    assert tally.moot == 2
    assert tally.refused[("sale", Code.NOTHING_EARNED)] == 1


async def test_points_lapse_at_the_midnight_after_their_last_day_and_are_not_burned_then(
    engine: AsyncEngine,
) -> None:
    events: list[Event] = [
        sale(1, 1, 10),
        sale(1, 2, 5, household=8),
        sale(5, 3, 7),
        reward(11, 1, 4),
        reward(12, 2, 10),
        reward(20, 3, 10),
    ]
    tally = await replayed(engine, events, merchant("fuel", Validity(days=10)))
    assert tally.posted["reward"] == 2
    assert tally.partial == 1, "of 13 points 7 were still good on day 12"
    assert tally.refused == {("reward", Code.INSUFFICIENT_POINTS): 1}
    async with engine.connect() as connection:
        january = figures_of(await read_result(connection, "2017-01"))
    assert january.expired == 6 + 5, "those of a household that does nothing any more lapse too"


async def test_households_get_cards_that_pass_the_check_and_the_next_member_a_free_number(
    engine: AsyncEngine,
) -> None:
    await replayed(engine, [], merchant("fuel"))
    async with engine.begin() as connection:
        cards = (await connection.scalars(text("select card_number from card"))).all()
        assert [parse_card(str(card)) for card in cards] == list(cards)
        following = await connection.scalar(
            text("insert into member (enrolled_by, enrolled_at) values (0, now()) returning 1")
        )
        assert following == 1


def slice_of(whole: data.Frames) -> data.Frames:
    """Thirty households that redeem early, until the first points have lapsed."""
    until = "2017-05-04"
    early = whole.redemptions[whole.redemptions["redemption_date"] < until]
    chosen = sorted(early["household_id"].unique())[:30]
    lines = whole.transactions
    return altered(
        whole,
        transactions=lines[
            lines["household_id"].isin(chosen) & (lines["transaction_timestamp"] < until)
        ],
        redemptions=early[
            early["household_id"].isin(chosen) & (early["redemption_date"] < "2017-05-03")
        ],
    )


async def run_on(server_url: str, name: str, made: Year, folder: Path) -> None:
    """Show this year on a database of their own; what is printed goes to printed.txt."""
    url = make_url(server_url).set(database=name)
    plain = await asyncpg.connect(server_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await plain.execute(f"create database {name}")
        await migrate(url.render_as_string(hide_password=False))
        engine = create_engine(url.render_as_string(hide_password=False), SEAL_KEY)
        coalition = Coalition(*read_folder(Path("configs/merchants/demo")))
        with (folder / "printed.txt").open("w") as printed:
            breaches = await show(engine, coalition, made, folder, console=Console(file=printed))
        assert breaches == 0
        async with engine.connect() as connection:
            labels = [f"2017-{month:02}" for month in range(1, 13)]
            year = add_up([figures_of(await read_result(connection, label)) for label in labels])
        assert min(year.burned_own, year.burned_cross, year.expired, year.corrections) > 0
        await engine.dispose()
    finally:
        await plain.execute(f"drop database if exists {name} with (force)")
        await plain.close()


def digests(folder: Path) -> dict[str, str]:
    """Every file in the folder, what was printed included, by its digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes().replace(str(folder).encode(), b"out")
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_the_same_shopping_gives_the_same_files_byte_for_byte(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where members draw the same numbers, which windows' digests are made over."""
    made = data.year(slice_of(data.load()))
    for name in ("demo_one", "demo_two"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(secrets, "randbelow", random.Random(7).randrange)
        await run_on(server_url, name, made, tmp_path / name)
    first, second = digests(tmp_path / "demo_one"), digests(tmp_path / "demo_two")
    assert first == second
    assert {"matrix.svg", "2017-03/grocer.json", "2017-03/house.xlsx"} <= set(first)
    assert len(first) == 12 * 11 * 3 + 2
