"""Closing windows on the real database: what is stored, in which order, and by whom."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.coalition.clearing.ledger_rows import (
    APRIL_END,
    HOUSE,
    MARCH_END,
    MAY_END,
    RETAIL,
    TELECOM,
    Rows,
    lines,
    nets,
    pair,
    terms,
)
from tests.owner import superuser

from coalition.clearing import service
from coalition.errors import CoalitionError, Code
from settlement import service as settlement
from settlement import store as windows
from settlement.obligation import Result
from settlement.window import Calendar, Window


@pytest.fixture
async def rows(engine: AsyncEngine) -> Rows:
    return Rows(engine)


async def _result(engine: AsyncEngine, label: str) -> Result:
    async with engine.connect() as connection:
        return await service.read_result(connection, label)


async def _windows(engine: AsyncEngine) -> list[Window]:
    async with engine.connect() as connection:
        return await service.list_windows(connection)


async def _counts(engine: AsyncEngine) -> list[int]:
    tables = ("settlement_window", "path", "obligation", "position")
    async with engine.connect() as connection:
        return [await connection.scalar(text(f"select count(*) from {name}")) for name in tables]


async def _worked_example(rows: Rows) -> tuple[int, int, int]:
    await rows.start(TELECOM, RETAIL)
    telecom, retail = await rows.lot("telecom", 1_200), await rows.lot("retail", 700)
    burn = await rows.burn("retail", {telecom: 1_200, retail: 300})
    await rows.burn("telecom", {retail: 300})
    return burn, telecom, retail


async def test_worked_example_nets_to_what_each_merchant_owes(
    rows: Rows, engine: AsyncEngine
) -> None:
    burn, telecom, retail = await _worked_example(rows)
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]
    march = await _result(engine, "2017-03")
    assert lines(march) == {
        ("telecom", "retail", "redemption", 1_200, 1_200, None),
        ("retail", "retail", "redemption", 300, 0, None),
        ("retail", "telecom", "redemption", 300, 240, None),
    }
    assert nets(march) == {"telecom": -960, "retail": 960, "house": 0}

    await rows.give_back(burn, {retail: 300, telecom: 200}, about="2017-03")
    assert await service.close_due(engine, APRIL_END) == ["2017-04"]
    april = await _result(engine, "2017-04")
    assert lines(april) == {
        ("telecom", "retail", "redemption", -200, -200, "2017-03"),
        ("retail", "retail", "redemption", -300, 0, "2017-03"),
    }
    assert nets(april) == {"telecom": 200, "retail": -200, "house": 0}
    assert all(line.amount > 0 for line in april.obligations)
    assert await _result(engine, "2017-03") == march


async def test_late_item_and_correction_of_one_path_are_lines_of_their_own(
    rows: Rows, engine: AsyncEngine
) -> None:
    burn, telecom, _ = await _worked_example(rows)
    await service.close_due(engine, MARCH_END)
    await rows.give_back(burn, {telecom: 200}, about="2017-03")
    lot = await rows.lot("telecom", 50, about="2017-03")
    await rows.burn("retail", {lot: 50}, about="2017-03")
    await service.close_due(engine, APRIL_END)
    assert lines(await _result(engine, "2017-04")) == {
        ("telecom", "retail", "redemption", -200, -200, "2017-03"),
        ("telecom", "retail", "redemption", 50, 50, "2017-03"),
    }


async def test_a_posting_and_its_reversal_in_one_window_are_one_line(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    lot = await rows.lot("telecom", 500)
    burn = await rows.burn("retail", {lot: 500})
    await rows.give_back(burn, {lot: 100})
    await service.close_due(engine, MARCH_END)
    march = await _result(engine, "2017-03")
    assert lines(march) == {("telecom", "retail", "redemption", 400, 400, None)}


async def test_price_of_the_business_date_counts_also_within_one_window(
    rows: Rows, engine: AsyncEngine
) -> None:
    changed = terms("telecom", burn="0.010")
    later = msgspec.structs.replace(
        changed.prices[0],
        effective_from=date(2017, 3, 15),
        burn_price=RETAIL.prices[0].burn_price,
    )
    await rows.start(
        terms("telecom", prices=(changed.prices[0], later)), RETAIL, terms("fuel", burn="0.5")
    )
    lot = await rows.lot("telecom", 1_000)
    for day, points in ((date(2017, 3, 14), 100), (date(2017, 3, 15), 200), (date(2017, 3, 31), 1)):
        await rows.burn("retail", {lot: points}, on=day)
    await service.close_due(engine, MARCH_END)
    assert lines(await _result(engine, "2017-03")) == {
        ("telecom", "retail", "redemption", 100, 100, None),
        ("telecom", "retail", "redemption", 201, 161, None),
    }


async def test_transferred_points_are_issued_once_and_imported_ones_too(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(terms("telecom", issue="0.01"), RETAIL)
    lot = await rows.lot("telecom", 100)
    await rows.burn("telecom", {lot: 40}, kind="transfer")
    await rows.lot("telecom", 40, kind="transfer")
    await rows.lot("telecom", 30, kind="import")
    await service.close_due(engine, MARCH_END)
    march = await _result(engine, "2017-03")
    issued = [line.quantity for line in march.paths if line.kind == "issue"]
    assert issued == [130]
    assert nets(march) == {"telecom": -130, "house": 130}


async def test_balances_below_the_minimum_payout_carry_forward_until_they_reach_it(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(terms("telecom", burn="0.01", minimum_payout=2_500), RETAIL)
    lot = await rows.lot("telecom", 10_000)
    chain = []
    for end in (MARCH_END, APRIL_END, MAY_END):
        on = end.date() - timedelta(days=5)
        await rows.burn("retail", {lot: 1_000}, on=on)
        (label,) = await service.close_due(engine, end)
        result = await _result(engine, label)
        at = {line.party: line for line in result.positions}
        chain.append((at["telecom"].opening, at["telecom"].instructed, at["telecom"].closing))
        for field in ("net", "opening", "instructed", "closing"):
            assert sum(getattr(line, field) for line in result.positions) == 0, field
    assert chain == [(0, 0, -1_000), (-1_000, 0, -2_000), (-2_000, -3_000, 0)]


async def test_a_store_settles_through_its_dealer_and_is_paid_nothing_itself(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(
        TELECOM,
        terms("store", settles_through="dealer"),
        terms("dealer", settles_through="headquarters"),
        terms("headquarters"),
    )
    lot = await rows.lot("telecom", 1_000)
    await rows.burn("store", {lot: 600})
    await rows.burn("dealer", {lot: 100})
    await service.close_due(engine, MARCH_END)
    march = await _result(engine, "2017-03")
    assert nets(march) == {
        "telecom": -700,
        "store": 0,
        "dealer": 0,
        "headquarters": 700,
        "house": 0,
    }
    assert {line.party for line in march.positions if line.instructed} == {
        "telecom",
        "headquarters",
    }
    async with engine.connect() as connection:
        assert await service.differs(connection, "2017-03") == []


async def test_payment_is_instructed_only_in_a_window_that_holds_a_day_of_the_rule(
    rows: Rows, engine: AsyncEngine
) -> None:
    rule = "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=20"
    await rows.start(terms("telecom", burn="0.01", payment_rule=rule), RETAIL)
    lot = await rows.lot("telecom", 10_000)
    await rows.burn("retail", {lot: 1_000})
    await service.close_due(engine, APRIL_END)
    march, april = await _result(engine, "2017-03"), await _result(engine, "2017-04")
    telecom = [
        next(line for line in result.positions if line.party == "telecom")
        for result in (march, april)
    ]
    assert [(line.instructed, line.closing) for line in telecom] == [(0, -1_000), (-1_000, 0)]


async def test_two_closers_at_once_close_each_window_once(rows: Rows, engine: AsyncEngine) -> None:
    await _worked_example(rows)
    closed = await asyncio.gather(*(service.close_due(engine, APRIL_END) for _ in range(4)))
    assert sorted(label for labels in closed for label in labels) == ["2017-03", "2017-04"]
    assert [window.label for window in await _windows(engine)] == ["2017-03", "2017-04", "2017-05"]
    assert nets(await _result(engine, "2017-03")) == {"telecom": -960, "retail": 960, "house": 0}


async def test_a_late_closer_closes_every_due_window_in_order_empty_ones_included(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    told = []
    labels = await service.close_due(
        engine, MAY_END + timedelta(hours=3), on_progress=lambda *step: told.append(step)
    )
    assert labels == ["2017-03", "2017-04", "2017-05"]
    assert told == [("2017-03", 1, 3), ("2017-04", 2, 3), ("2017-05", 3, 3)]
    assert [window.is_open for window in await _windows(engine)] == [False, False, False, True]


async def test_a_crash_between_the_phases_is_made_good_by_the_next_close(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    calendar = Calendar(HOUSE.window_rule, ZoneInfo(HOUSE.time_zone), HOUSE.first_window_on)
    await settlement.close_open(engine, calendar, 1, MARCH_END)
    with pytest.raises(CoalitionError) as error:
        await _result(engine, "2017-03")
    assert error.value.code is Code.NOT_FOUND
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]
    assert nets(await _result(engine, "2017-03"))["retail"] == 960


async def test_a_close_waits_for_postings_in_flight_and_counts_them(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    async with engine.begin() as posting:
        await posting.execute(
            text("select window_id from settlement_window where status = 'open' for share")
        )
        closing = asyncio.create_task(service.close_due(engine, MARCH_END))
        await asyncio.sleep(0.3)
        assert not closing.done()
        assert [window.is_open for window in await _windows(engine)] == [True]
    assert await closing == ["2017-03"]


HANDOVERS = 20


async def test_a_close_is_not_passed_by_by_postings_that_overlap_without_end(
    rows: Rows, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The closer steps aside after a second for its own reasons; here it has all the time it needs.
    monkeypatch.setattr(settlement, "_LOCK_TIMEOUT_MS", 600_000)
    await rows.start(TELECOM, RETAIL)
    before = Posting(engine)
    await before.holds_or_waits()
    closing = asyncio.create_task(service.close_due(engine, MARCH_END))
    await _until(lambda: _waiting(engine, 1))
    # A posting ends only once the next one has the window, or stands in line behind the close.
    for _ in range(HANDOVERS):
        after = Posting(engine)
        await after.holds_or_waits()
        await before.end()
        before = after
    is_closed_between = (await _windows(engine))[0].status == "closed"
    await before.end()
    assert await closing == ["2017-03"]
    assert is_closed_between, f"{HANDOVERS} postings went ahead of a close that came before them"


class Posting:
    """A posting's hold on the open window, from its own connection, until it is told to end."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._holds, self._may_end = asyncio.Event(), asyncio.Event()
        self._work = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                text("select window_id from settlement_window where status = 'open' for share")
            )
            self._holds.set()
            await self._may_end.wait()

    async def holds_or_waits(self) -> None:
        async def is_so() -> bool:
            return self._holds.is_set() or await _waiting(self._engine, 2)

        await _until(is_so)

    async def end(self) -> None:
        self._may_end.set()
        await self._work


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    # What is waited for is a state of the server, which tells nobody when it changes.
    while not await is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def _waiting(engine: AsyncEngine, sessions: int) -> bool:
    """Whether so many sessions of this database wait for a lock."""
    async with engine.connect() as connection:
        found = await connection.scalar(
            text(
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock'"
            )
        )
    return int(found) >= sessions


async def test_a_posting_that_does_not_end_makes_the_close_busy_and_later_possible(
    rows: Rows, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "_LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(settlement, "_PAUSE_S", 0.001)
    await rows.start(TELECOM, RETAIL)
    async with engine.begin() as posting:
        await posting.execute(
            text("select window_id from settlement_window where status = 'open' for share")
        )
        with pytest.raises(CoalitionError) as error:
            await service.close_due(engine, MARCH_END)
        assert error.value.code is Code.BUSY
        await rows.lot("telecom", 1)
    assert await service.close_due(engine, MARCH_END) == ["2017-03"]


async def test_a_second_close_answers_the_first_result(rows: Rows, engine: AsyncEngine) -> None:
    await _worked_example(rows)
    first = await service.close_window(engine, "2017-03", MARCH_END)
    before = await _counts(engine)
    assert await service.close_window(engine, "2017-03", MARCH_END + timedelta(days=1)) == first
    assert await service.close_window(engine, "2017-03", MARCH_END, early=True) == first
    assert await _counts(engine) == before


async def test_a_window_is_closed_before_its_end_only_when_early_is_asked(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    now = datetime(2017, 3, 20, 4, tzinfo=UTC)
    with pytest.raises(CoalitionError, match=r"ends at 2017-03-31T16:00:00.*early: true") as error:
        await service.close_window(engine, "2017-03", now)
    assert error.value.code is Code.INVALID
    result = await service.close_window(engine, "2017-03", now, early=True)
    assert nets(result) == {"telecom": -960, "retail": 960, "house": 0}
    first, second = await _windows(engine)
    assert (first.label, first.closes_at) == ("2017-03", now)
    assert (second.label, second.opens_at, second.closes_at) == (
        "2017-03-20..2017-03-31",
        now,
        MARCH_END,
    )
    again = await asyncio.gather(
        *(
            service.close_window(engine, second.label, now + timedelta(days=1), early=True)
            for _ in range(3)
        )
    )
    assert again[0] == again[1] == again[2]
    assert [window.label for window in await _windows(engine)][2:] == ["2017-03-21..2017-03-31"]


async def test_a_dry_run_with_early_instructs_what_the_early_close_then_instructs(
    rows: Rows, engine: AsyncEngine
) -> None:
    monthly = "FREQ=MONTHLY;BYMONTHDAY=25"
    await rows.start(
        terms("telecom", burn="0.010", payment_rule=monthly),
        terms("retail", burn="0.008", payment_rule=monthly),
    )
    await rows.burn("retail", {await rows.lot("telecom", 1_200): 1_200})
    now = datetime(2017, 3, 20, 4, tzinfo=UTC)
    before = await _counts(engine)

    def instructed(result: Result) -> dict[str, int]:
        return {p.party: p.instructed for p in result.positions if p.party == "telecom"}

    at_its_end = await service.close_window(engine, "2017-03", now, dry_run=True)
    tried = await service.close_window(engine, "2017-03", now, dry_run=True, early=True)
    assert await _counts(engine) == before
    closed = await service.close_window(engine, "2017-03", now, early=True)
    # The 25th is not come yet, so that nothing is paid at an end on the 20th.
    assert instructed(at_its_end)["telecom"] != 0
    assert instructed(tried) == instructed(closed) == {"telecom": 0}
    assert tried == closed


async def test_a_dry_run_with_early_is_refused_where_the_early_close_would_be(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(TELECOM, RETAIL)
    before_it_opens = datetime(2017, 2, 1, tzinfo=UTC)
    for dry_run in (True, False):
        with pytest.raises(CoalitionError, match="begins at"):
            await service.close_window(
                engine, "2017-03", before_it_opens, early=True, dry_run=dry_run
            )


async def test_an_unknown_window_is_not_found(rows: Rows, engine: AsyncEngine) -> None:
    await rows.start(TELECOM)
    for dry_run in (False, True):
        with pytest.raises(CoalitionError) as error:
            await service.close_window(engine, "2031-01", MARCH_END, dry_run=dry_run)
        assert error.value.code is Code.NOT_FOUND


async def test_a_dry_run_with_prices_to_try_writes_nothing(rows: Rows, engine: AsyncEngine) -> None:
    await _worked_example(rows)
    before = await _counts(engine)
    now = datetime(2017, 3, 20, tzinfo=UTC)
    plain = await service.close_window(engine, "2017-03", now, dry_run=True)
    tried = await service.close_window(
        engine,
        "2017-03",
        now,
        dry_run=True,
        prices={"telecom": {"burn_price": "0.012"}, "retail->telecom": {"burn_price": "0.02"}},
    )
    assert nets(plain) == {"telecom": -960, "retail": 960, "house": 0}
    assert nets(tried) == {"telecom": -1_440 + 600, "retail": 1_440 - 600, "house": 0}
    assert await _counts(engine) == before
    assert await service.close_window(engine, "2017-03", MARCH_END) == plain


async def test_prices_without_dry_run_are_invalid(rows: Rows, engine: AsyncEngine) -> None:
    await rows.start(TELECOM)
    with pytest.raises(CoalitionError) as error:
        await service.close_window(engine, "2017-03", MARCH_END, prices={})
    assert error.value.code is Code.INVALID


async def test_what_is_rebuilt_from_the_ledger_is_what_was_stored(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(
        terms("telecom", burn="0.01", breakage="pool", minimum_payout=10**9),
        terms("retail", burn="0.008", issue="0.001", breakage="pool", pair_prices=(
            pair("retail", "telecom", "0.02", "0.015"),
        )),
        terms("fuel", burn="0.02", breakage="house", settles_through="retail"),
    )  # fmt: skip
    lots = {origin: await rows.lot(origin, 5_003) for origin in ("telecom", "retail", "fuel")}
    for kind in ("redemption", "expiry", "clawback", "donation"):
        for lot in lots.values():
            # Nobody redeems a point that expires or is taken back: the origin stands in.
            at = rows.lots[lot] if kind in ("expiry", "clawback") else "telecom"
            await rows.burn(at, {lot: 337}, kind=kind)
    await service.close_due(engine, MARCH_END)
    # What the terms say after the close is not what the close went by.
    async with engine.begin() as connection:
        await connection.execute(
            text(
                """insert into terms (merchant_id, effective_from, terms, recorded_at)
                select merchant_id, effective_from, terms || '{"breakage": "issuer",
                "settles_through": null, "minimum_payout": 0}', now() from terms
                where merchant_id > 1"""
            )
        )
    async with engine.connect() as connection:
        stored = await service.read_result(connection, "2017-03")
        assert await service.rebuild(connection, "2017-03") == stored
        assert await service.differs(connection, "2017-03") == []
    # One that was netted before windows kept their terms has its lines to go by.
    async with superuser(engine).begin() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        await connection.execute(text("delete from window_terms"))
    async with engine.connect() as connection:
        assert await service.differs(connection, "2017-03") == []


async def test_an_instruction_that_was_moved_to_another_window_is_named(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    await service.close_due(engine, MARCH_END)
    await service.close_due(engine, APRIL_END)
    async with superuser(engine).begin() as connection:
        assert [one async for one in _named(connection)] == []
        await connection.execute(text("set local session_replication_role = replica"))
        await connection.execute(
            text(
                "update position p set opening = p.opening + m.instructed,"
                " instructed = p.instructed + m.instructed from position m"
                " where p.window_id = 2 and m.window_id = 1"
                " and (m.party_id, m.currency) = (p.party_id, p.currency)"
            )
        )
        # April has no lines of its own: it gets a position for each that it is to pay now.
        await connection.execute(
            text(
                "insert into position select (jsonb_populate_record(m, jsonb_build_object("
                "'window_id', 2, 'receivable', 0, 'payable', 0, 'net', 0, 'closing', 0,"
                " 'opening', m.instructed))).* from position m where window_id = 1"
                " and not exists (select from position p where p.window_id = 2"
                " and (m.party_id, m.currency) = (p.party_id, p.currency))"
            )
        )
        await connection.execute(
            text(
                "update position set closing = closing + instructed, instructed = 0"
                " where window_id = 1"
            )
        )
    async with engine.connect() as connection:
        named = [one async for one in _named(connection)]
        assert {label for label in ("2017-03", "2017-04") for one in named if label in one} == {
            "2017-03"
        }
        assert any("position follows from the ledger" in one for one in named)


async def _named(connection: AsyncConnection) -> AsyncIterator[str]:
    for label in ("2017-03", "2017-04"):
        for one in await service.differs(connection, label):
            yield one


async def test_breakage_given_to_another_party_in_the_stored_lines_is_named(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(terms("telecom", burn="0.01", breakage="pool"), RETAIL)
    lot = await rows.lot("telecom", 1_000)
    await rows.burn("telecom", {lot: 100}, kind="expiry")
    await service.close_due(engine, MARCH_END)
    async with superuser(engine).begin() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        await connection.execute(text("update path set creditor_id = 0 where kind = 'expiry'"))
        for party, amount in ((1, -100), (0, 100)):
            await connection.execute(
                text(
                    "update position set receivable = receivable + :amount, net = net + :amount,"
                    " closing = closing + :amount where party_id = :party"
                ),
                {"party": party, "amount": amount},
            )
    async with engine.connect() as connection:
        named = await service.differs(connection, "2017-03")
    assert any("obligation is stored, but the ledger does not give it" in one for one in named)


async def test_a_price_recorded_after_the_close_is_not_in_the_rebuilt_window(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    await service.close_due(engine, MARCH_END)
    await rows.price("telecom", "0.5", date(2017, 3, 1), MARCH_END + timedelta(seconds=1))
    async with engine.connect() as connection:
        assert await service.differs(connection, "2017-03") == []


async def test_a_price_that_a_close_knew_is_in_the_rebuilt_window_though_its_clock_ran_ahead(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    await rows.price("telecom", "0.5", date(2017, 3, 1), MARCH_END + timedelta(hours=1))
    await service.close_due(engine, MARCH_END)
    assert nets(await _result(engine, "2017-03"))["telecom"] == -60_000 + 240
    async with engine.connect() as connection:
        assert await service.differs(connection, "2017-03") == []


async def test_a_dealer_that_nets_to_nothing_leaves_the_rebuilt_window_as_it_was(
    rows: Rows, engine: AsyncEngine
) -> None:
    await rows.start(
        TELECOM,
        terms("zed", burn="0.01", settles_through="hub"),
        terms("hub", burn="0.01", settles_through="corp"),
        terms("corp"),
        terms("dee", settles_through="epsilon"),
        terms("epsilon"),
    )
    telecom, hub = await rows.lot("telecom", 1_000), await rows.lot("hub", 1_000)
    await rows.burn("zed", {telecom: 100})
    await rows.burn("telecom", {hub: 100})
    await rows.burn("dee", {telecom: 7})
    await service.close_due(engine, MARCH_END)
    march = await _result(engine, "2017-03")
    through = [line.reason for line in march.obligations if line.path_no is None]
    assert through == ["through:dee", "through:zed"]
    async with engine.connect() as connection:
        assert await service.rebuild(connection, "2017-03") == march
        assert await service.differs(connection, "2017-03") == []


async def test_a_stored_line_that_the_ledger_does_not_give_is_named(
    rows: Rows, engine: AsyncEngine
) -> None:
    await _worked_example(rows)
    await service.close_due(engine, MARCH_END)
    async with superuser(engine).begin() as connection:
        await connection.execute(text("alter table position disable trigger all"))
        await connection.execute(
            text(
                "update position set receivable = receivable + 1, net = net + 1,"
                " closing = closing + 1 where party_id = (select merchant_id from merchant"
                " where code = 'retail')"
            )
        )
    async with engine.connect() as connection:
        stored, rebuilt = await service.differs(connection, "2017-03")
    assert "window 2017-03: position is stored" in stored
    assert "receivable=1201" in stored
    assert "receivable=1200" in rebuilt


async def test_ensuring_the_first_window_twice_makes_one(rows: Rows, engine: AsyncEngine) -> None:
    await rows.start(TELECOM)
    async with engine.begin() as connection:
        await service.ensure_first_window(connection, HOUSE)
        assert [window.label for window in await windows.list_windows(connection)] == ["2017-03"]
