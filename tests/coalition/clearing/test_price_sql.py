"""A close prices in SQL what price.py prices in Python: both come to the same, line by line."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.clearing.ledger_rows import (
    APRIL_END,
    MARCH_END,
    MAY_END,
    RETAIL,
    TELECOM,
    Rows,
    lines,
    nets,
    terms,
)
from tests.owner import superuser

from coalition.clearing import price_sql, service
from settlement.money import amount_at_price, minor_digits
from settlement.obligation import Result

WORLDS = 40
LEGS, LOTS, PRICES = 400, 60, 60
# Some parties move most points, so that many tallies are of one path.
WEIGHTS = (1, 1, 6, 6, 2, 1, 1)
CURRENCIES = ("CNY", "CNY", "EUR", "JPY", "BHD")
BREAKAGE = ("issuer", "house", "pool")
BURNS = ("redemption", "cash_out", "donation", "transfer", "expiry", "clawback", "adjustment")
TILL_BURNS = BURNS[:3]
# Small numbers at halves of a minor unit make ties; equal ones make prices that change nothing.
COSTS = (
    "0",
    "0",
    "0.005",
    "0.005",
    "0.0125",
    "0.5",
    "0.000001",
    "1.5",
    "0.333333",
    "999999.999999",
)
POINTS = (1, 1, 2, 3, 5, 7, 50, 1_001, 10**9 + 1, 2**62)


async def _found(rows: Rows, chance: random.Random) -> list[str]:
    """Merchants in several currencies, two of them indirect; windows 1 and 2 are closed."""
    codes = [f"m{number}" for number in range(5)]
    through = {"m3": "m4", "m4": "m0"}
    merchants = [
        terms(
            code,
            currency=currency,
            prices=(),
            breakage=chance.choice(BREAKAGE),
            settles_through=through.get(code),
            minimum_payout=chance.choice((0, 1_000)),
        )
        for code, currency in zip(codes, CURRENCIES, strict=True)
    ]
    await rows.start(*merchants)
    assert await service.close_due(rows.engine, APRIL_END) == ["2017-03", "2017-04"]
    return ["house", "pool", *codes]


def _day(chance: random.Random) -> date:
    return date(2017, 3, 20) + timedelta(days=chance.randrange(70))


async def _prices(rows: Rows, parties: list[str], chance: random.Random) -> None:
    """Own prices and pairs', some for one day twice; some parties never agreed on any."""
    agreed = chance.sample(parties, len(parties) - 1)
    for _ in range(PRICES):
        is_pair = chance.random() < 0.4
        async with rows.engine.begin() as connection:
            await connection.execute(
                text(
                    "insert into price (origin_id, redeemer_id, effective_from, issue_price,"
                    " burn_price, redeem_price, recorded_at)"
                    " values (:origin, :redeemer, :day, :issue, :burn, :redeem, :at)"
                ),
                {
                    "origin": rows.ids[chance.choice(agreed)],
                    "redeemer": rows.ids[chance.choice(parties)] if is_pair else None,
                    "day": _day(chance),
                    "issue": Decimal(0 if is_pair else chance.choice(COSTS[:5])),
                    "burn": Decimal(chance.choice(COSTS)),
                    "redeem": chance.choice((None, Decimal(chance.choice(COSTS)))),
                    "at": datetime(2017, 2, 1, tzinfo=UTC),
                },
            )


async def _movements(rows: Rows, parties: list[str], chance: random.Random) -> None:
    """Legs of every kind and lots, of the window's own days, late, and given back."""
    legs = [
        {
            "m": rows.member, "no": number,
            "origin": rows.ids[chance.choices(parties, WEIGHTS)[0]],
            "redeemer": rows.ids[chance.choices(parties, WEIGHTS)[0]],
            "kind": chance.choice((*BURNS, *TILL_BURNS)),
            "points": chance.choice((1, 1, 1, -1)) * chance.choice(POINTS),
            "on": _day(chance), "about": chance.choice((None, None, None, 1, 2)),
        }
        for number in range(LEGS)
    ]  # fmt: skip
    for leg in legs:
        if leg["kind"] not in TILL_BURNS:
            leg["redeemer"] = leg["origin"]
    lots = [
        {
            "m": rows.member, "no": number,
            "origin": rows.ids[chance.choices(parties, WEIGHTS)[0]],
            "kind": chance.choice(("purchase", "bonus", "import", "adjustment", "transfer")),
            "points": chance.choice(POINTS), "on": _day(chance),
            "about": chance.choice((None, None, 1, 2)),
        }
        for number in range(LOTS)
    ]  # fmt: skip
    async with superuser(rows.engine).begin() as connection:
        # The rows stand for themselves here, without the postings and burns they would be of.
        await connection.execute(text("set local session_replication_role = replica"))
        await connection.execute(
            text(
                "insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id,"
                " kind, points, occurred_on, window_id, about_window_id, leg_no) values (:m, :no,"
                " 1, 1, :origin, :redeemer, cast(:kind as burn_kind), :points, :on, 3, :about, 0)"
            ),
            legs,
        )
        await connection.execute(
            text(
                "insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining,"
                " earned_at, earned_on, window_id, about_window_id) values (:m, :no, :no, :origin,"
                " cast(:kind as lot_kind), :points, 0, now(), :on, 3, :about)"
            ),
            lots,
        )


async def _obligation_view(engine: AsyncEngine, window_id: int) -> Counter[tuple[object, ...]]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "select d.code, c.code, b.amount, b.currency, b.reason, b.quantity, b.unit_price"
                " from obligation b join merchant d on d.merchant_id = b.debtor_id"
                " join merchant c on c.merchant_id = b.creditor_id where b.window_id = :window"
            ),
            {"window": window_id},
        )
        return Counter(tuple(row) for row in rows)


def _obligations(result: Result) -> Counter[tuple[object, ...]]:
    return Counter(
        (o.debtor, o.creditor, o.amount, o.currency, o.reason, o.quantity, o.unit_price)
        for o in result.obligations
    )


@pytest.mark.parametrize("seed", range(WORLDS))
async def test_a_close_in_sql_comes_to_what_the_pure_rule_says(
    engine: AsyncEngine, seed: int
) -> None:
    chance = random.Random(seed)
    rows = Rows(engine)
    parties = await _found(rows, chance)
    await _prices(rows, parties, chance)
    await _movements(rows, parties, chance)
    pure = await service.close_window(engine, "2017-05", MAY_END, dry_run=True)
    stored = await service.close_window(engine, "2017-05", MAY_END)
    assert stored.paths == pure.paths
    assert stored.tills == pure.tills
    assert stored.obligations == pure.obligations
    assert stored.positions == pure.positions
    assert await _obligation_view(engine, 3) == _obligations(stored)
    async with engine.connect() as connection:
        assert await service.differs(connection, "2017-05") == []


async def test_the_random_windows_hold_everything_a_window_can_hold(engine: AsyncEngine) -> None:
    """So that the comparison above keeps its meaning when its numbers are changed."""
    chance = random.Random(1)
    rows = Rows(engine)
    parties = await _found(rows, chance)
    await _prices(rows, parties, chance)
    await _movements(rows, parties, chance)
    result = await service.close_window(engine, "2017-05", MAY_END)
    assert {line.kind for line in result.paths} == {*BURNS, "issue"}
    assert {line.about for line in result.paths} == {None, "2017-03", "2017-04"}
    assert {line.currency for line in result.paths} == set(CURRENCIES)
    assert any(line.quantity < 0 and line.amount for line in result.paths)
    assert any(line.amount == 0 and line.price for line in result.paths)
    keys = Counter((p.origin, p.redeemer, p.kind, p.about, p.quantity < 0) for p in result.paths)
    assert max(keys.values()) > 2, "a price changes inside the window"
    reasons = {line.reason for line in result.obligations}
    assert {"burn", "redeem", "issue", "clawback", "adjustment", "breakage"} <= reasons
    assert any(reason.startswith("through:") for reason in reasons)
    pays = {(line.origin, line.redeemer): line.currency for line in result.paths}
    assert any(line.currency != pays[line.origin, line.redeemer] for line in result.tills), (
        "a redeemer is paid in its own currency"
    )
    assert any(line.currency == pays[line.origin, line.redeemer] for line in result.tills)
    assert any("pool" in (line.debtor, line.creditor) for line in result.obligations)


async def test_sql_rounds_as_money_does(engine: AsyncEngine) -> None:
    chance = random.Random(2)
    cases = [
        (sign * points, Decimal(price), currency)
        for points in (0, 1, 2, 3, 5, 99, 10**15 + 1, 2**63 - 1, 10**26 + 1)
        for price in ("0.5", "0.05", "0.005", "0.0005", "0.000001", "0.015", "999999.999999")
        for currency in ("CNY", "JPY", "BHD", "CLF")
        for sign in (1, -1)
    ] + [
        (chance.randrange(-(10**7), 10**7), Decimal(chance.randrange(10**7)).scaleb(-6), "CNY")
        for _ in range(2_000)
    ]
    rounded = price_sql.half_even("exact")
    async with engine.connect() as connection:
        found = await connection.scalars(
            text(
                f"select {rounded} from (select p * price * per_unit as exact, no from"
                " unnest(cast(:points as numeric[]), cast(:prices as numeric[]),"
                " cast(:units as numeric[])) with ordinality as c (p, price, per_unit, no)"
                " offset 0) cases order by no"
            ),
            {
                "points": [Decimal(points) for points, _, _ in cases],
                "prices": [price for _, price, _ in cases],
                "units": [Decimal(10 ** minor_digits(currency)) for _, _, currency in cases],
            },
        )
        assert [int(amount) for amount in found] == [amount_at_price(*case) for case in cases]


async def test_an_origin_whose_points_came_to_nothing_has_a_position_all_the_same(
    engine: AsyncEngine,
) -> None:
    rows = Rows(engine)
    await rows.start(
        TELECOM,
        terms("own", burn="0.01"),
        terms("tiny", burn="0.000001", redeem="0"),
        # Prefunded, and not its own any more: the house owes the pool, and nobody owes "lapsed".
        terms("lapsed", issue="0.5", breakage="pool"),
        terms("idle", burn="0.01"),
    )
    for origin in ("own", "tiny", "lapsed"):
        lot = await rows.lot(origin, 10, kind="transfer")
        redeemer = {"own": "own", "tiny": "own", "lapsed": "lapsed"}[origin]
        await rows.burn(redeemer, {lot: 10}, kind="expiry" if origin == "lapsed" else "redemption")
    pure = await service.close_window(engine, "2017-03", MARCH_END, dry_run=True)
    march = await service.close_window(engine, "2017-03", MARCH_END)
    assert nets(march) == {"house": -500, "pool": 500, "own": 0, "tiny": 0, "lapsed": 0}
    assert march == pure


async def test_a_price_of_nothing_and_no_price_yet_are_one_line(engine: AsyncEngine) -> None:
    rows = Rows(engine)
    await rows.start(TELECOM, RETAIL)
    lot = await rows.lot("telecom", 100, on=date(2017, 2, 1))
    await rows.lot("telecom", 50, on=date(2017, 3, 2))
    await rows.burn("telecom", {lot: 10}, on=date(2017, 2, 1), kind="clawback")
    await rows.burn("telecom", {lot: 20}, on=date(2017, 3, 2), kind="clawback")
    march = await service.close_window(engine, "2017-03", MARCH_END)
    assert [line.quantity for line in march.paths if line.kind == "issue"] == [150]
    assert lines(march) == {("telecom", "telecom", "clawback", 30, 0, None)}
