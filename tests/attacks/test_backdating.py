"""Attack: choose the price. A redeemer is paid the price of the day on which a burn is said to have
been, so that one dated back to before a price fell was paid ten times as much: for points earned
later, with a card issued later, at any day since the merchant joined. So were earns, for their rate
and issue price. Through HTTP and through a file of rows.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from tests.coalition.api.conftest import HOUSE, START, TERMS, Till, World
from tests.coalition.api.test_batches import done, ndjson
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.wire import ids

SHANGHAI = ZoneInfo("Asia/Shanghai")
DOORS = ("http", "file")
# What a till may date: operation, path, and the body but for its card and time.
MOVEMENTS: list[tuple[str, dict[str, Any]]] = [
    ("earn", {"points": 10}),
    ("burn", {"points": 10}),
    ("burn", {"points": 10, "hold": True}),
]
ROWS = [(door, op, body) for door in DOORS for op, body in MOVEMENTS]


def ago(**span: float) -> str:
    return (START - timedelta(**span)).isoformat()


async def asked(till: Till, door: str, op: str, body: dict[str, Any], key: str) -> str:
    """The code that a movement is refused with; "done" or "replayed" where it is not."""
    if door == "file":
        (row,) = await done(till, ndjson({"op": op, "key": key, **body}))
        return "done" if row["status"] == "posted" else str(row.get("code", row["status"]))
    answer = await till.post(f"/v1/{op}s", body, key=key)
    if answer.status_code != 201:
        return str(answer.json()["code"])
    return "replayed" if "idempotent-replayed" in answer.headers else "done"


async def around(
    midnight: datetime, till: Till, door: str, op: str, body: dict[str, Any]
) -> list[str]:
    """What becomes of a movement dated a second before a midnight, and of one dated on it."""
    times = [(midnight - timedelta(seconds=one)).isoformat() for one in (1, 0)]
    return [await asked(till, door, op, body | {"occurred_at": at}, at) for at in times]


async def fall(world: World) -> None:
    """A point of telecom costs a tenth from today on."""
    cheap = Price("telecom", None, date(2017, 3, 10), burn_price=Decimal("0.001"))
    telecom = replace(TERMS[0], prices=(*TERMS[0].prices, cheap))
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [telecom, *TERMS[1:]], START - timedelta(days=1))


async def line(world: World) -> tuple[int, str]:
    """Points and price of what telecom's points came to at retail's till, once March is closed."""
    world.clock.pass_(days=30)
    assert (await world.till("house").post("/v1/windows/2017-03/close")).is_success
    answer = await world.till("retail").get("/v1/windows/2017-03/paths")
    (found,) = [one for one in answer.json()["items"] if one["kind"] == "redemption"]
    return found["points"], found["price"]


@pytest.mark.parametrize("door", DOORS)
async def test_points_are_not_paid_at_a_price_from_before_they_were_earned(
    world: World, door: str
) -> None:
    await fall(world)
    card, retail = await world.old_card(days=20), world.till("retail")
    await world.till("telecom").earn(card, 100)
    world.clock.pass_(hours=1)
    dear = {"card": card, "points": 100, "occurred_at": ago(days=1)}
    before = await world.rows()
    assert await asked(retail, door, "burn", dear, "k") == Code.INVALID
    assert await world.rows() == before
    assert await asked(retail, door, "burn", {"card": card, "points": 100}, "k") == "done"
    assert await line(world) == (100, "0.001")


@pytest.mark.parametrize(("door", "op", "body"), ROWS)
async def test_nothing_is_dated_before_its_card_was_issued(
    world: World, door: str, op: str, body: dict[str, Any]
) -> None:
    card, till = await world.old_card(days=10), world.till("telecom")
    await till.earn(card, 100, occurred_at=ago(days=10))
    body = {"card": card} | body
    early = body | {"occurred_at": ago(days=10, minutes=6)}
    assert await asked(till, door, op, early, "early") == Code.INVALID
    # That long a till's clock may be slow while its customer's card is issued.
    if op == "earn":
        slow = body | {"occurred_at": ago(days=10, minutes=4)}
        assert await asked(till, door, op, slow, "slow") == "done"
    else:
        assert await asked(till, door, op, body | {"occurred_at": ago(days=10)}, "on") == "done"


@pytest.mark.parametrize(("door", "op", "body"), ROWS)
async def test_nothing_is_dated_before_the_merchants_limit_of_lateness(
    world: World, door: str, op: str, body: dict[str, Any]
) -> None:
    card, till = await world.old_card(days=60), world.till("telecom")
    world.clock.pass_(days=-31)
    await till.earn(card, 100, occurred_at="2017-02-06T12:00:00+08:00")
    world.clock.pass_(days=31)
    # 31 days by the merchant's own calendar, from whose midnight on.
    midnight = datetime(2017, 2, 7, tzinfo=SHANGHAI)
    assert await around(midnight, till, door, op, {"card": card} | body) == [Code.INVALID, "done"]


@pytest.mark.parametrize(("door", "op", "body"), ROWS)
async def test_nothing_is_dated_before_its_merchant_joined(
    world: World, door: str, op: str, body: dict[str, Any]
) -> None:
    card, till = await world.old_card(days=60), world.till("telecom")
    await till.earn(card, 100, occurred_at=ago(days=9))
    joined = replace(TERMS[0], joined_on=date(2017, 3, 5))
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [joined, *TERMS[1:]], START)
    midnight = datetime(2017, 3, 5, tzinfo=SHANGHAI)
    assert await around(midnight, till, door, op, {"card": card} | body) == [Code.INVALID, "done"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("take", ["oldest", "own_first"])
@pytest.mark.parametrize("hold", [False, True])
async def test_a_burn_takes_no_lot_that_was_earned_after_it(
    world: World, door: str, take: str, hold: bool
) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await world.old_card(days=25)
    # The later points are those that a burn takes first.
    await telecom.earn(card, 60, occurred_at=ago(days=20))
    world.clock.pass_(days=-25)
    short = replace(TERMS[1], validity=replace(TERMS[1].validity, months=1))
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [TERMS[0], short, *TERMS[2:]], world.clock.now)
    world.clock.pass_(days=25)
    await retail.earn(card, 60, occurred_at=ago(days=5))
    body = {"card": card, "occurred_at": ago(days=10), "take": take, "hold": hold}
    assert await asked(retail, door, "burn", body | {"points": 61}, "61") == Code.INVALID
    assert await asked(retail, door, "burn", body | {"points": 121}, "121") == "insufficient_points"
    assert await asked(retail, door, "burn", body | {"points": 60}, "60") == "done"
    left = (await telecom.get(f"/v1/cards/{card}")).json()["origins"]
    assert left == [{"origin": "retail", "points": 60}]


async def test_a_till_whose_clock_is_fast_burns_what_it_has_just_issued(world: World) -> None:
    card, till = await world.old_card(days=5), world.till("telecom")
    await till.earn(card, 100, occurred_at=ago(seconds=-3))
    await till.burn(card, 60)
    at = ago(seconds=-3)
    await till.burn(card, 40, occurred_at=at)


async def test_a_clock_of_ours_that_is_set_back_stops_no_till(world: World) -> None:
    card, till = await world.till("telecom").enrol(), world.till("telecom")
    await till.earn(card, 100)
    world.clock.pass_(days=-1)
    await till.earn(card, 5)
    await till.burn(card, 105)


@pytest.mark.parametrize("door", DOORS)
async def test_what_was_posted_is_answered_however_late_it_is_asked_again(
    world: World, door: str
) -> None:
    card, till = await world.old_card(days=20), world.till("telecom")
    await till.earn(card, 100, occurred_at=ago(days=15))
    for number, (op, body) in enumerate(MOVEMENTS):
        dated = {"card": card, "occurred_at": ago(days=12)} | body
        assert await asked(till, door, op, dated, f"k{number}") == "done"
    world.clock.pass_(days=100)
    for number, (op, body) in enumerate(MOVEMENTS):
        dated = {"card": card, "occurred_at": ago(days=12)} | body
        assert await asked(till, door, op, dated, f"k{number}") == "replayed"
        assert await asked(till, door, op, dated, f"new{number}") == Code.INVALID


@pytest.mark.parametrize("door", DOORS)
async def test_the_terms_are_asked_before_the_card_and_the_cards_age_after_it(
    world: World, door: str
) -> None:
    till, card = world.till("telecom"), await world.old_card(days=10)
    earned = await till.earn(card, 100)
    nobody, late = "9000000000000001", ago(days=40)
    for op in ("earn", "burn"):
        dated = {"card": nobody, "points": 5, "occurred_at": late}
        assert await asked(till, door, op, dated, "a") == Code.INVALID
    await till.post(f"/v1/cards/{card}/block")
    for op in ("earn", "burn"):
        dated = {"card": card, "points": 5, "occurred_at": ago(days=12)}
        assert await asked(till, door, op, dated, "b") == Code.CARD_NOT_ACTIVE
        assert await asked(till, door, op, dated | {"occurred_at": late}, "c") == Code.INVALID
    for earn_id in (earned["earn_id"], ids.encode(ids.EARN, 10**6, 1)):
        answer = await till.post(f"/v1/earns/{earn_id}/reverse", {"occurred_at": late})
        assert_problem(answer, Code.INVALID)


@pytest.mark.parametrize("door", DOORS)
async def test_a_return_is_no_more_late_than_a_sale_and_moves_no_price_or_day(
    world: World, door: str
) -> None:
    card, till = await world.old_card(days=5), world.till("telecom")
    await till.earn(card, 100, reference="e")
    burned = await till.burn(card, 50, reference="b")
    until = (await till.get(f"/v1/cards/{card}")).json()["expiring"]
    world.clock.pass_(days=40)
    assert (await world.till("house").post("/v1/windows/2017-03/close")).is_success
    for number, op in enumerate(("reverse_earn", "reverse_burn")):
        body: dict[str, Any] = {"card": card, "reference": "eb"[number], "points": 20}
        by_then = [(START.isoformat(), False), ((START + timedelta(days=10)).isoformat(), True)]
        for at, is_right in by_then:
            dated = body | {"occurred_at": at}
            if door == "file":
                (row,) = await done(till, ndjson({"op": op, "key": f"{number}{at}", **dated}))
                assert (row["status"], row.get("code")) == (
                    ("posted", None) if is_right else ("refused", Code.INVALID)
                )
            else:
                path = f"/v1/{op.removeprefix('reverse_')}s/reverse"
                assert (await till.post(path, dated)).is_success == is_right
    history = (await till.get(f"/v1/burns/{burned['burn_id']}")).json()["history"]
    assert {leg["business_date"] for leg in history} == {"2017-03-10"}
    assert [leg["window"] for leg in history] == ["2017-03", "2017-04"]
    assert [one["on"] for one in (await till.get(f"/v1/cards/{card}")).json()["expiring"]] == [
        one["on"] for one in until
    ]


async def test_a_hold_that_is_dated_back_is_paid_at_the_price_of_its_capture(world: World) -> None:
    await fall(world)
    card, retail = await world.old_card(days=20), world.till("retail")
    await world.till("telecom").earn(card, 100, occurred_at=ago(days=15))
    held = await retail.burn(card, 100, hold=True, occurred_at=ago(days=10))
    assert (await retail.post(f"/v1/burns/{held['burn_id']}/capture", {"points": 70})).is_success
    assert await line(world) == (70, "0.001")


async def test_a_merchant_may_take_more_or_less_than_a_month(world: World) -> None:
    card, till = await world.old_card(days=60), world.till("plain")
    for days_max, at, code in (
        (2, datetime(2017, 3, 7, 15, 59, tzinfo=UTC), 422),
        (2, datetime(2017, 3, 7, 16, tzinfo=UTC), 201),
        (50, START - timedelta(days=50), 201),
    ):
        plain = replace(TERMS[2], lateness_days_max=days_max)
        async with world.engine.begin() as connection:
            # In force from the day after, which is the till's today.
            await sync(connection, HOUSE, [*TERMS[:2], plain, TERMS[3]], START - timedelta(days=1))
        body = {"card": card, "amount": 500, "occurred_at": at.isoformat()}
        answer = await till.post("/v1/earns", body)
        assert answer.status_code == code, answer.text
