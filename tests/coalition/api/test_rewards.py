"""Rewards through HTTP: the catalogue, a burn that takes exactly a mix, vouchers' states."""

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.api.conftest import HOUSE, START, TERMS, World
from tests.coalition.api.test_batches import finished, results, send
from tests.coalition.api.test_codes import assert_problem

from coalition.clearing.service import ensure_first_window
from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.terms.rewards import Alternative, Limits, Reward, VoucherTerms
from coalition.terms.store import sync
from coalition.verify import verify

AIRTIME = Reward(
    code="airtime",
    name="Airtime",
    kind="voucher",
    price=(
        Alternative((("telecom", 500), ("retail", 500))),
        Alternative((("any", 1200),), money=2_000),
    ),
    stock=5,
    limits=Limits(per_burn=3),
    voucher=VoucherTerms(Validity(months=3), part_use=True, value=5_000),
)
MUG = Reward(
    "mug", "A mug", "goods", (Alternative((("any", 100),)),), limits=Limits(per_member_per_day=2)
)
CASH = Reward("cash", "Cash", "cash_out", (Alternative((("any", 1),)),), quantity_min=200, pays=100)


TIN = Reward("tin", "A tin", "goods", (Alternative((("any", 50),)),), stores=("north", "south"))


@pytest.fixture
async def prepared(engine: AsyncEngine) -> AsyncEngine:
    telecom = replace(TERMS[0], rewards=(AIRTIME, MUG, CASH, TIN))
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [telecom, *TERMS[1:]], START)
        await ensure_first_window(connection, HOUSE)
    return engine


async def _card(world: World, telecom: int = 0, retail: int = 0) -> str:
    card = await world.till("telecom").enrol()
    for code, points in (("telecom", telecom), ("retail", retail)):
        if points:
            await world.till(code).earn(card, points)
    return card


async def _take(world: World, card: str, reward: str = "airtime", **more: Any) -> dict[str, Any]:
    body = {"card": card, "reward": reward, **more}
    answer = await world.till("telecom").post("/v1/burns", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _origins(world: World, card: str) -> dict[str, int]:
    found = (await world.till("telecom").get(f"/v1/cards/{card}")).json()["origins"]
    return {one["origin"]: one["points"] for one in found if one["points"]}


async def _status(world: World, code: str) -> str:
    answer = await world.till("telecom").get(f"/v1/vouchers/{code}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


async def _stock(world: World) -> int | None:
    items = (await world.till("retail").get("/v1/rewards")).json()["items"]
    stock: dict[str, int | None] = {one["reward"]: one["stock"] for one in items}
    return stock["airtime"]


async def _is_right(world: World) -> None:
    async with world.engine.connect() as connection:
        assert await verify(connection) == []


async def test_a_reward_takes_exactly_its_mix_and_gives_a_voucher(world: World) -> None:
    card = await _card(world, telecom=700, retail=600)
    done = await _take(world, card)
    assert done["points"] == 1_000
    taken = {leg["origin"]: leg["points"] for leg in done["legs"]}
    assert taken == {"telecom": 500, "retail": 500}
    assert (done["reward"], done["quantity"], done["price"]) == ("airtime", 1, 0)
    (voucher,) = done["vouchers"]
    assert voucher["status"] == "issued"
    assert voucher["expires_on"] == "2017-06-10"
    assert voucher["value"] == {"amount": 5_000, "currency": "CNY"}
    seen = (await world.till("telecom").get(f"/v1/vouchers/{voucher['code']}")).json()
    assert (seen["status"], seen["remaining"], seen["reward"]) == ("issued", 5_000, "airtime")
    assert seen["burn_id"] == done["burn_id"]
    await _is_right(world)


async def test_a_replay_answers_the_same_code(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    body = {"card": card, "reward": "airtime"}
    first = await world.till("telecom").post("/v1/burns", body, key="k")
    again = await world.till("telecom").post("/v1/burns", body, key="k")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await _stock(world) == 4


async def test_without_a_price_the_first_that_the_member_can_pay_is_taken(world: World) -> None:
    done = await _take(world, await _card(world, telecom=1_300, retail=400))
    assert (done["price"], done["points"]) == (1, 1_200)
    assert done["money"] == {"amount": 2_000, "currency": "CNY"}


async def test_the_price_that_is_asked_for_takes_no_other_origin(world: World) -> None:
    card = await _card(world, telecom=5_000, retail=499)
    body = {"card": card, "reward": "airtime", "price": 0}
    answer = await world.till("telecom").post("/v1/burns", body)
    assert_problem(answer, Code.INSUFFICIENT_POINTS)
    assert "retail" in answer.json()["detail"]
    assert await _origins(world, card) == {"telecom": 5_000, "retail": 499}


async def test_a_card_is_told_what_it_can_pay(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    items = (await world.till("telecom").get("/v1/rewards", card=card)).json()["items"]
    airtime = next(one for one in items if one["reward"] == "airtime")
    assert airtime["affordable"]
    assert [one["affordable"] for one in airtime["price"]] == [True, False]
    assert airtime["price"][0]["points"] == [
        {"origin": "telecom", "points": 500},
        {"origin": "retail", "points": 500},
    ]
    assert (await world.till("telecom").get("/v1/rewards")).json()["items"][0]["stock"] == 5


async def test_the_stock_is_never_exceeded_by_those_who_ask_at_once(world: World) -> None:
    cards = [await _card(world, telecom=500, retail=500) for _ in range(9)]
    bodies = [{"card": card, "reward": "airtime"} for card in cards]
    answers = await asyncio.gather(
        *(world.till("telecom").post("/v1/burns", body) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 4
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, Code.OUT_OF_STOCK)
    assert await _stock(world) == 0
    await _is_right(world)


async def test_limits_at_once_and_on_one_day_are_kept(world: World) -> None:
    card = await _card(world, telecom=9_000, retail=9_000)
    telecom = world.till("telecom")
    answer = await telecom.post("/v1/burns", {"card": card, "reward": "airtime", "quantity": 4})
    assert_problem(answer, Code.LIMIT_REACHED)
    first = await _take(world, card, "mug", quantity=2)
    mug = {"card": card, "reward": "mug"}
    assert_problem(await telecom.post("/v1/burns", mug), Code.LIMIT_REACHED)
    # What was given back counts no more.
    assert (await telecom.post(f"/v1/burns/{first['burn_id']}/reverse")).status_code == 201
    await _take(world, card, "mug")
    world.clock.pass_(days=1)
    await _take(world, card, "mug", quantity=2)
    await _is_right(world)


async def test_a_hold_reserves_the_voucher_until_it_is_captured_or_voided(world: World) -> None:
    card = await _card(world, telecom=1_000, retail=1_000)
    telecom = world.till("telecom")
    held = await _take(world, card, hold=True)
    code = held["vouchers"][0]["code"]
    assert held["vouchers"][0]["status"] == await _status(world, code) == "reserved"
    assert_problem(await telecom.post(f"/v1/vouchers/{code}/use"), Code.NOT_USABLE)
    part = await telecom.post(f"/v1/burns/{held['burn_id']}/capture", {"points": 500})
    assert_problem(part, Code.INVALID)
    posted = await telecom.post(f"/v1/burns/{held['burn_id']}/capture")
    assert posted.json()["vouchers"] == [held["vouchers"][0] | {"status": "issued"}]
    assert await _status(world, code) == "issued"
    other = await _take(world, card, hold=True)
    void = await telecom.post(f"/v1/burns/{other['burn_id']}/void")
    assert void.json()["vouchers"][0]["status"] == "cancelled"
    assert await _status(world, other["vouchers"][0]["code"]) == "cancelled"
    assert await _stock(world) == 4
    await _is_right(world)


async def test_a_hold_that_lapses_gives_its_piece_back(world: World) -> None:
    card = await _card(world, telecom=1_000, retail=1_000)
    held = await _take(world, card, hold=True, hold_seconds=60)
    world.clock.pass_(minutes=2)
    assert await _status(world, held["vouchers"][0]["code"]) == "cancelled"
    await world.till("telecom").earn(card, 1)
    assert await _stock(world) == 5
    await _is_right(world)


async def test_a_voucher_is_used_in_parts_and_each_is_answered_again(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    telecom = world.till("telecom")
    code = (await _take(world, card))["vouchers"][0]["code"]
    path = f"/v1/vouchers/{code}"
    first = await telecom.post(f"{path}/use", {"amount": 1_500}, key="u1")
    assert (first.status_code, first.json()["status"]) == (200, "part_used")
    assert first.json()["remaining"] == 3_500
    assert_problem(await telecom.post(f"{path}/use", {"amount": 3_501}), Code.NOT_USABLE)
    assert_problem(await telecom.post(f"{path}/cancel"), Code.NOT_USABLE)
    rest = await telecom.post(f"{path}/use")
    assert (rest.json()["amount"], rest.json()["status"]) == (3_500, "used")
    again = await telecom.post(f"{path}/use", {"amount": 1_500}, key="u1")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    reused = await telecom.post(f"{path}/use", {"amount": 1_501}, key="u1")
    assert_problem(reused, Code.NOT_USABLE)
    seen = (await telecom.get(path)).json()
    assert [(one["kind"], one["amount"]) for one in seen["history"]] == [
        ("used", 1_500),
        ("used", 3_500),
    ]
    await _is_right(world)


async def test_one_of_several_vouchers_is_cancelled_and_its_mix_comes_back(world: World) -> None:
    card = await _card(world, telecom=1_100, retail=1_000)
    done = await _take(world, card, quantity=2)
    first, second = (one["code"] for one in done["vouchers"])
    telecom = world.till("telecom")
    back = await telecom.post(f"/v1/vouchers/{first}/cancel", key="c")
    assert (back.json()["status"], back.json()["points"]) == ("cancelled", 1_000)
    assert await _origins(world, card) == {"telecom": 600, "retail": 500}
    assert (await telecom.post(f"/v1/vouchers/{first}/cancel", key="c")).json() == back.json()
    assert await _stock(world) == 4
    assert await _status(world, second) == "issued"
    burn = f"/v1/burns/{done['burn_id']}/reverse"
    assert_problem(await telecom.post(burn, {"points": 500}), Code.INVALID)
    assert (await telecom.post(burn)).json()["points"] == 1_000
    assert await _status(world, second) == "cancelled"
    assert await _origins(world, card) == {"telecom": 1_100, "retail": 1_000}
    assert await _stock(world) == 5
    await _is_right(world)


async def test_a_reward_of_which_a_voucher_was_used_is_not_given_back(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    done = await _take(world, card)
    telecom = world.till("telecom")
    await telecom.post(f"/v1/vouchers/{done['vouchers'][0]['code']}/use")
    answer = await telecom.post(f"/v1/burns/{done['burn_id']}/reverse")
    assert_problem(answer, Code.NOT_USABLE)


async def test_a_voucher_is_dead_after_its_last_day_whether_jobs_ran_or_not(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    code = (await _take(world, card))["vouchers"][0]["code"]
    world.clock.pass_(days=92)
    assert await _status(world, code) == "issued"
    world.clock.pass_(days=1)
    assert await _status(world, code) == "expired"
    telecom = world.till("telecom")
    for act in ("use", "cancel"):
        assert_problem(await telecom.post(f"/v1/vouchers/{code}/{act}"), Code.NOT_USABLE)


async def test_another_merchants_voucher_is_not_there(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    code = (await _take(world, card))["vouchers"][0]["code"]
    retail = world.till("retail")
    assert_problem(await retail.get(f"/v1/vouchers/{code}"), Code.NOT_FOUND)
    for act in ("use", "cancel"):
        assert_problem(await retail.post(f"/v1/vouchers/{code}/{act}"), Code.NOT_FOUND)
    spelled = code.replace("-", "").lower()
    assert (await world.till("house").get(f"/v1/vouchers/{spelled}")).status_code == 200


async def test_cash_out_needs_its_minimum_and_says_what_the_member_gets(world: World) -> None:
    card = await _card(world, telecom=500)
    telecom = world.till("telecom")
    body = {"card": card, "reward": "cash", "quantity": 199}
    assert_problem(await telecom.post("/v1/burns", body), Code.INVALID)
    done = await _take(world, card, "cash", quantity=250)
    assert (done["points"], done["vouchers"]) == (250, [])
    assert done["money"] == {"amount": -25_000, "currency": "CNY"}
    seen = (await telecom.get(f"/v1/burns/{done['burn_id']}")).json()
    assert seen["kind"] == "cash_out"
    await _is_right(world)


@pytest.mark.parametrize(
    "body",
    [
        {"reward": "no-such"},
        {"reward": "airtime", "points": 5},
        {"reward": "airtime", "take": "own_first"},
        {"reward": "airtime", "price": 2},
        {"reward": "mug", "quantity": 10**12},
        {"points": 5, "quantity": 2},
    ],
)
async def test_what_no_reward_is_asked_like_is_invalid(world: World, body: dict[str, Any]) -> None:
    card = await _card(world, telecom=500)
    answer = await world.till("telecom").post("/v1/burns", {"card": card, **body})
    assert_problem(answer, Code.INVALID)


async def test_out_of_stock_comes_before_a_blocked_card_and_that_before_a_limit(
    world: World,
) -> None:
    card = await _card(world, telecom=9_000, retail=9_000)
    telecom = world.till("telecom")
    await telecom.post(f"/v1/cards/{card}/block")
    body = {"card": card, "reward": "airtime"}
    for quantity, code in ((6, Code.OUT_OF_STOCK), (4, Code.CARD_NOT_ACTIVE)):
        answer = await telecom.post("/v1/burns", body | {"quantity": quantity})
        assert_problem(answer, code)


async def test_a_reward_is_collected_at_the_store_that_is_named(world: World) -> None:
    card = await _card(world, telecom=500)
    telecom = world.till("telecom")
    done = await _take(world, card, "tin", collect={"store": "south"})
    assert done["collect"] == {"store": "south"}
    seen = (await telecom.get(f"/v1/burns/{done['burn_id']}")).json()
    assert (seen["reward"], seen["quantity"]) == ("tin", 1)
    assert seen["collect"] == {"store": "south"}
    for reward, more in (("tin", {}), ("tin", {"store": "east"}), ("mug", {"store": "south"})):
        body = {"card": card, "reward": reward} | ({"collect": more} if more else {})
        assert_problem(await telecom.post("/v1/burns", body), Code.INVALID)
    await _is_right(world)


async def test_a_file_of_rows_takes_goods_and_no_vouchers(world: World) -> None:
    """Whose code would be shown to nobody."""
    card = await _card(world, telecom=500, retail=500)
    rows = "".join(
        json.dumps({"op": "burn", "key": reward, "card": card, "reward": reward}) + "\n"
        for reward in ("mug", "airtime")
    )
    telecom = world.till("telecom")
    batch_id = await send(telecom, rows.encode())
    await finished(telecom, batch_id)
    found = await results(telecom, batch_id)
    assert [one["status"] for one in found] == ["posted", "refused"]
    assert found[1]["code"] == "invalid"


async def test_two_tills_use_one_voucher_once(world: World) -> None:
    card = await _card(world, telecom=500, retail=500)
    code = (await _take(world, card))["vouchers"][0]["code"]
    telecom = world.till("telecom")
    answers = await asyncio.gather(
        *(telecom.post(f"/v1/vouchers/{code}/use", {"amount": 3_000}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    await _is_right(world)
