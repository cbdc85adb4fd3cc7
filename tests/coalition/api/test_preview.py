"""POST /v1/earns?preview=true: the answer that the earn would get, and nothing written."""

from decimal import Decimal
from typing import Any

import pytest
from tests.coalition.api.conftest import HOUSE, MERCHANT_SCOPES, START, TERMS, Till, World, terms
from tests.coalition.api.test_codes import assert_problem

from coalition.earning.conditions import Conditions
from coalition.earning.rules.rate import RateRule
from coalition.errors import Code
from coalition.members.card import make_card
from coalition.terms.store import sync

RULES = (
    RateRule(
        name="data services",
        points=Decimal(2),
        per=100,
        paid_by=(("telecom", Decimal("0.5")), ("ruled", Decimal("0.5"))),
        when=Conditions(category=("data",)),
    ),
)
PURCHASE = {"amount": 12_000, "items": [{"category": "data", "amount": 8_050}]}
# What only a posting has, and when it came.
_OF_ITS_OWN = ("earn_id", "recorded_at", "occurred_at", "reckoning")


@pytest.fixture
async def ruled(world: World) -> Till:
    """The till of a merchant with a rule that telecom pays one half of."""
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [*TERMS, terms("ruled", "0.005", rules=RULES)], START)
    world.keys["ruled"] = await world.key("ruled", *MERCHANT_SCOPES)
    return world.till("ruled")


async def test_a_preview_is_answered_as_the_earn_is_and_writes_nothing(
    world: World, ruled: Till
) -> None:
    card = await ruled.enrol()
    before = await world.rows()
    seen = await ruled.post("/v1/earns?preview=true", {"card": card, **PURCHASE}, key=None)
    assert seen.status_code == 200, seen.text
    assert await world.rows() == before
    posted = await ruled.post("/v1/earns", {"card": card, **PURCHASE})
    assert posted.status_code == 201

    def shown(answer: dict[str, Any]) -> dict[str, Any]:
        lots = [lot | {"lot_id": None} for lot in answer["lots"]]
        kept = {name: value for name, value in answer.items() if name not in _OF_ITS_OWN}
        return kept | {"lots": lots}

    assert shown(seen.json()) == shown(posted.json())
    assert seen.json()["earn_id"] is None
    assert {lot["lot_id"] for lot in seen.json()["lots"]} == {None}
    assert "reckoning" not in posted.json()


async def test_a_preview_says_rule_by_rule_who_pays_and_why_not(ruled: Till) -> None:
    card = await ruled.enrol()
    seen = await ruled.post("/v1/earns?preview=true", {"card": card, **PURCHASE}, key=None)
    assert seen.json()["reckoning"] == [
        {
            "rule": "purchase",
            "points": 120,
            "paid_by": [{"origin": "ruled", "points": 120}],
            "why": "",
        },
        {
            "rule": "data services",
            "points": 161,
            "paid_by": [{"origin": "telecom", "points": 81}, {"origin": "ruled", "points": 80}],
            "why": "",
        },
    ]
    seen = await ruled.post("/v1/earns?preview=true", {"card": card, "amount": 500}, key=None)
    assert seen.json()["reckoning"][1] == {
        "rule": "data services",
        "points": 0,
        "paid_by": [],
        "why": "no item of category data",
    }


async def test_an_answer_says_of_each_lot_whose_it_is_and_which_rule_gave_it(
    world: World, ruled: Till
) -> None:
    posted = await ruled.post("/v1/earns", {"card": await ruled.enrol(), **PURCHASE})
    lots = [(lot["origin"], lot["rule"], lot["points"]) for lot in posted.json()["lots"]]
    assert lots == [
        ("ruled", "purchase", 120),
        ("telecom", "data services", 81),
        ("ruled", "data services", 80),
    ]
    outright = await world.till("telecom").earn(await ruled.enrol(), 5)
    assert [(lot["origin"], lot["rule"]) for lot in outright["lots"]] == [("telecom", None)]


async def test_who_pays_sees_its_lot_and_not_the_purchase(world: World, ruled: Till) -> None:
    card = await ruled.enrol()
    posted = await ruled.post("/v1/earns", {"card": card, "reference": "r-1", **PURCHASE})
    lot_id = posted.json()["lots"][1]["lot_id"]
    lot = (await world.till("telecom").get(f"/v1/lots/{lot_id}")).json()
    assert (lot["rule"], lot["earn_id"], lot["points"]) == ("data services", None, 81)
    burn = await world.till("telecom").burn(card, 81, take={"only": "telecom"})
    legs = (await world.till("telecom").get(f"/v1/burns/{burn['burn_id']}")).json()["legs"]
    assert legs == [{"lot_id": lot_id, "origin": "telecom", "points": 81}]


async def test_a_preview_is_refused_as_the_earn_would_be(world: World, ruled: Till) -> None:
    card = await ruled.enrol()
    nobody = str(make_card(5))
    for till, body, code in (
        (ruled, {"card": card}, Code.INVALID),
        (ruled, {"card": nobody, "amount": 9}, Code.UNKNOWN_CARD),
        (ruled, {"card": card, "amount": 9}, Code.NOTHING_EARNED),
        (world.till("banned"), {"card": card, "amount": 900}, Code.MERCHANT_SUSPENDED),
    ):
        assert_problem(await till.post("/v1/earns?preview=true", body, key=None), code)


@pytest.mark.parametrize("query", ["preview=false", "preview=1", "other=true"])
async def test_any_other_query_is_no_preview_and_needs_a_key(ruled: Till, query: str) -> None:
    answer = await ruled.post(f"/v1/earns?{query}", {"card": "1", "amount": 900}, key=None)
    assert_problem(answer, Code.IDEMPOTENCY_KEY_MISSING)


@pytest.mark.parametrize("path", ["/v1/burns", "/v1/transfers", "/v1/earns/ern_1/reverse"])
async def test_nothing_but_an_earn_is_previewed(ruled: Till, path: str) -> None:
    answer = await ruled.post(f"{path}?preview=true", {}, key=None)
    assert_problem(answer, Code.IDEMPOTENCY_KEY_MISSING)


async def test_a_burn_that_asks_for_a_look_is_not_done(ruled: Till) -> None:
    card = await ruled.enrol()
    assert (await ruled.post("/v1/earns", {"card": card, "amount": 900})).status_code == 201
    answer = await ruled.post("/v1/burns?preview=true", {"card": card, "points": 5})
    assert_problem(answer, Code.INVALID)
    assert (await ruled.post("/v1/burns", {"card": card, "points": 9})).status_code == 201


async def test_preview_is_true_or_false(ruled: Till) -> None:
    body = {"card": await ruled.enrol(), "amount": 900}
    assert_problem(await ruled.post("/v1/earns?preview=1", body), Code.INVALID)
    posted = await ruled.post("/v1/earns?preview=false", body)
    assert posted.status_code == 201


async def test_an_action_that_the_terms_do_not_know_is_invalid(ruled: Till) -> None:
    answer = await ruled.post("/v1/earns", {"card": await ruled.enrol(), "action": "survey"})
    assert_problem(answer, Code.INVALID)
    assert "define no actions yet" in answer.json()["detail"]
