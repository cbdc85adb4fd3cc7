"""Terms are in force from a day on: which day that is, what it is looked up by, what is refused."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner
from tests.world import FIRST_DAY, HOUSE, World, done, merchant, noon

from coalition import migrations
from coalition.clearing.service import differs
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger.commands import EarnAnswer, Refused
from coalition.terms.changes import SyncRefusedError
from coalition.terms.dating import favours_members
from coalition.terms.prices import Price
from coalition.terms.store import plan_sync
from coalition.terms.terms import Terms

GROCER = merchant("grocer")
DOUBLE = replace(GROCER, rates=(Rate("*", Decimal(2), 100),))
BAKER = merchant("baker")
MONTHLY = "FREQ=MONTHLY;BYMONTHDAY=1"
TOMORROW = FIRST_DAY + timedelta(days=1)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = World(engine)
    await made.sync([GROCER, BAKER])
    await made.enrol("ann")
    return made


async def earned(world: World, on: date) -> int:
    answer = done(await world.earn("ann", "grocer", amount=1_000, on=noon(on)))
    assert isinstance(answer, EarnAnswer)
    return sum(lot.points for lot in answer.lots)


async def refusals(world: World, *files: Terms) -> list[str]:
    with pytest.raises(SyncRefusedError) as error:
        await world.sync(list(files))
    return error.value.refusals


async def planned(world: World, *files: Terms) -> list[str]:
    async with world.engine.connect() as connection:
        return [str(one) for one in await plan_sync(connection, HOUSE, list(files), world.now)]


async def test_one_change_is_told_in_one_line(world: World) -> None:
    changed = replace(GROCER, validity=Validity(months=12))
    assert await planned(world, changed, BAKER) == [f"grocer: terms from {TOMORROW}: validity"]
    # What holds at once is told beside it.
    changed = replace(changed, name="Grocery", time_zone="Asia/Tokyo")
    assert await planned(world, changed, BAKER) == [
        "grocer: updated name, time_zone",
        f"grocer: terms from {TOMORROW}: time_zone, validity",
    ]


async def test_an_earn_is_counted_by_the_terms_of_its_own_day(world: World) -> None:
    await world.sync([DOUBLE, BAKER])
    assert await earned(world, FIRST_DAY) == 10
    world.pass_days(1)
    assert await earned(world, TOMORROW) == 20
    # Sent late: what counts is the day of the purchase.
    assert await earned(world, FIRST_DAY) == 10


async def test_a_file_with_a_date_is_in_force_from_that_date(world: World) -> None:
    day = FIRST_DAY + timedelta(days=3)
    files = [GROCER, replace(DOUBLE, filed_for=day), BAKER]
    assert await planned(world, *files) == [f"grocer: terms from {day}: rates"]
    await world.sync(files)
    assert await planned(world, *files) == []
    world.pass_days(3)
    assert await earned(world, day - timedelta(days=1)) == 10
    assert await earned(world, day) == 20
    assert await planned(world, *files) == []


async def test_limits_are_those_of_today_and_a_suspension_holds_at_once(world: World) -> None:
    await earned(world, FIRST_DAY)
    limited = replace(GROCER, points_per_burn_max=1)
    await world.sync([limited, BAKER])
    done(await world.burn("ann", "grocer", 2))
    world.pass_days(1)
    refused = await world.burn("ann", "grocer", 2, on=noon(FIRST_DAY))
    assert isinstance(refused, Refused)
    assert refused.code is Code.LIMIT_REACHED
    await world.sync([replace(limited, suspended=True), BAKER])
    refused = await world.burn("ann", "grocer", 1)
    assert isinstance(refused, Refused)
    assert refused.code is Code.MERCHANT_SUSPENDED


async def test_a_day_with_postings_keeps_its_terms_but_for_what_favours_members(
    world: World,
) -> None:
    await earned(world, FIRST_DAY)
    reason = (
        f"grocer: terms from {FIRST_DAY} would change days that have postings; the earliest day "
        f"possible is {TOMORROW}, but for what favours members"
    )
    worse = replace(DOUBLE, filed_for=FIRST_DAY)
    assert await refusals(world, GROCER, worse, BAKER) == [reason]
    await world.sync([GROCER, replace(GROCER, points_per_burn_max=None, filed_for=FIRST_DAY)])
    # Nobody posted at the baker's.
    await world.sync([BAKER, replace(BAKER, breakage="pool", filed_for=FIRST_DAY)])


async def test_a_merchant_with_a_dated_file_in_force_may_move_to_another_time_zone(
    world: World,
) -> None:
    day = FIRST_DAY + timedelta(days=1)
    dated = replace(DOUBLE, filed_for=day)
    await world.sync([GROCER, dated, BAKER])
    world.pass_days(2)
    await earned(world, day + timedelta(days=1))
    # Both files have to say the same zone, and the dated one's day has postings after it.
    moved = [replace(one, time_zone="Asia/Tokyo") for one in (GROCER, dated)]
    await world.sync([*moved, BAKER])
    assert await earned(world, day + timedelta(days=1)) == 20
    assert await world.breaches() == []


async def test_two_files_for_one_day_are_refused(world: World) -> None:
    dated = replace(GROCER, breakage="house", filed_for=TOMORROW)
    assert await refusals(world, DOUBLE, dated, BAKER) == [
        f"grocer: grocer.toml and grocer.{TOMORROW}.toml are both in force from {TOMORROW}; "
        "leave one as it was, or date it another day"
    ]


async def test_terms_of_different_days_never_settle_through_a_circle(world: World) -> None:
    on_day, later = FIRST_DAY + timedelta(days=5), FIRST_DAY + timedelta(days=9)
    files = [
        GROCER,
        BAKER,
        replace(GROCER, settles_through="baker", filed_for=on_day),
        replace(BAKER, settles_through="grocer", filed_for=later),
    ]
    assert await refusals(world, *files) == [
        f"baker: baker -> grocer -> baker goes round from {later}; end it"
    ]
    await world.sync([*files, replace(GROCER, filed_for=later)])


async def test_a_window_is_netted_by_the_terms_of_its_last_day_and_keeps_them(
    world: World,
) -> None:
    price = Price("grocer", None, FIRST_DAY, burn_price=Decimal("0.01"))
    first = replace(GROCER, prices=(price,))
    await world.sync([first, BAKER])
    await earned(world, FIRST_DAY)
    done(await world.burn("ann", "baker", 10))
    last_day = date(2026, 1, 31)
    on_last = replace(GROCER, minimum_payout=10, filed_for=last_day)
    after = replace(GROCER, minimum_payout=1_000, filed_for=date(2026, 2, 1))
    await world.sync([first, on_last, after, BAKER])
    world.now = noon(date(2026, 2, 3))
    assert await world.close() == ["2026-01"]
    paid = {one.party: one.instructed for one in (await world.result("2026-01")).positions}
    assert paid["grocer"] == -10
    # The owner of the database dates other terms into the window afterwards.
    async with world.engine.begin() as connection:
        await connection.execute(
            text(
                "insert into terms (merchant_id, effective_from, terms, recorded_at) select"
                " merchant_id, '2026-01-31', terms || '{\"minimum_payout\": 5000}', now()"
                " from terms where terms_no = (select max(terms_no) from terms)"
            )
        )
    async with world.engine.connect() as connection:
        assert await differs(connection, "2026-01") == []


@pytest.mark.parametrize("table", ["terms", "window_terms"])
async def test_terms_and_those_of_a_window_are_only_added_to(world: World, table: str) -> None:
    world.now = noon(date(2026, 2, 3))
    await world.close()
    for change in (f"update {table} set merchant_id = 2", f"delete from {table}"):
        with pytest.raises(DBAPIError, match="history is appended to, never changed"):
            async with owner(world.engine).begin() as connection:
                await connection.execute(text(change))


async def test_the_migration_gives_each_party_the_terms_it_had_from_its_first_day_on(
    world: World,
) -> None:
    folder = Path(migrations.__file__).parent / "versions"
    script = (folder / "0005_terms.sql").read_text(encoding="utf-8")
    # Prices are in a table of their own, and not even named here.
    rows = text(
        "select merchant_id, effective_from, terms - 'prices' - 'pair_prices' from terms"
        " order by merchant_id"
    )
    async with owner(world.engine).begin() as connection:
        before = (await connection.execute(rows)).all()
        await connection.execute(text("drop table window_terms, terms"))
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(script)
        assert (await connection.execute(rows)).all() == before
    assert [row[:2] for row in before] == [
        (0, FIRST_DAY), (2, date(2025, 1, 1)), (3, date(2025, 1, 1)),
    ]  # fmt: skip
    await world.ledger.refresh()
    assert await earned(world, FIRST_DAY) == 10


@pytest.mark.parametrize(
    ("before", "after", "favours"),
    [
        ({"validity": Validity(months=12)}, {"validity": Validity(months=24)}, True),
        ({"validity": Validity(months=12)}, {"validity": Validity()}, True),
        ({"validity": Validity()}, {"validity": Validity(months=12)}, False),
        ({"validity": Validity(months=12)}, {"validity": Validity(days=400)}, False),
        ({"validity": Validity(months=12)}, {"validity": Validity(12, grace_days=31)}, True),
        ({"validity": Validity(months=12)}, {"validity": Validity(24, grace_days=29)}, False),
        ({"validity": Validity(usable_after_days=9)}, {"validity": Validity()}, True),
        ({"validity": Validity()}, {"validity": Validity(usable_after_days=1)}, False),
        ({"validity": Validity(12)}, {"validity": Validity(12, extends_earned=True)}, True),
        ({"validity": Validity(12, extends_earned=True)}, {"validity": Validity(12)}, False),
        (
            {"validity": Validity(until=date(2026, 5, 1))},
            {"validity": Validity(until=date(2026, 5, 2))},
            True,
        ),
        (
            {"validity": Validity(period_rule=MONTHLY)},
            {"validity": Validity(period_rule=MONTHLY, carried_share=Decimal("0.1"))},
            True,
        ),
        (
            {"validity": Validity(period_rule=MONTHLY)},
            {"validity": Validity(period_rule="FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1")},
            False,
        ),
        (
            {"validity": Validity(inactive_months=5)},
            {"validity": Validity(inactive_months=6)},
            True,
        ),
        ({"validity": Validity(inactive_months=5)}, {"validity": Validity(months=6)}, False),
        ({"points_per_earn_max": 5}, {"points_per_earn_max": 6}, True),
        ({"points_per_burn_max": 5}, {"points_per_burn_max": None}, True),
        ({"points_per_burn_max": None}, {"points_per_burn_max": 5}, False),
        (
            {"points_per_member_per_day_max": 5},
            {"points_per_member_per_day_max": 6},
            True,
        ),
        # What is asked of members is theirs to know before.
        ({"pin_above_points": 5}, {"pin_above_points": 4}, False),
        ({"pin_above_points": 5}, {"pin_above_points": 6}, False),
        ({"hold_seconds_max": 60}, {"hold_seconds_max": 59}, False),
        ({"lateness_days_max": 31}, {"lateness_days_max": 40}, True),
        ({"lateness_days_max": 31}, {"lateness_days_max": 7}, False),
        ({"points_outright": False}, {"points_outright": True}, True),
        ({"points_outright": True}, {"points_outright": False}, False),
        ({"points_per_earn_max": 5}, {"points_per_earn_max": 6, "breakage": "pool"}, False),
    ],
)
def test_what_favours_members_is_a_short_list(
    before: dict[str, object], after: dict[str, object], favours: bool
) -> None:
    was = replace(GROCER, **before)
    assert favours_members(was, replace(was, **after)) is favours
