"""What belongs to another merchant is not there: 404, never 403, over every route."""

from typing import Any

import pytest
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code


@pytest.fixture
async def telecoms(world: World) -> dict[str, str]:
    """An earn, its lot, a burn and a hold of telecom's, and its statement."""
    telecom = world.till("telecom")
    card = await telecom.enrol()
    earned = await telecom.earn(card, 1_000, reference="receipt-1")
    burned = await telecom.burn(card, 200, reference="receipt-1")
    held = await telecom.burn(card, 300, hold=True)
    await world.till("house").post("/v1/windows/2017-03/close", {"early": True})
    return {
        "card": card,
        "earn": earned["earn_id"],
        "lot": earned["lots"][0]["lot_id"],
        "burn": burned["burn_id"],
        "hold": held["burn_id"],
    }


POSTS = [
    "/v1/earns/{earn}/reverse",
    "/v1/burns/{burn}/reverse",
    "/v1/burns/{hold}/capture",
    "/v1/burns/{hold}/void",
    "/v1/earns/reverse",
    "/v1/burns/reverse",
]
GETS = [
    "/v1/burns/{burn}",
    "/v1/burns/{hold}",
    "/v1/lots/{lot}",
    "/v1/windows/2017-03/statements/telecom",
    "/v1/windows/2017-03/statements/telecom.csv",
    "/v1/windows/2017-03/statements/house",
    "/v1/windows/2017-03/statements/nobody",
]


async def test_another_merchant_finds_nothing_and_moves_nothing(
    world: World, telecoms: dict[str, str]
) -> None:
    retail, before = world.till("retail"), await world.rows()
    details: set[str] = set()
    for path in POSTS:
        called = {"card": telecoms["card"], "reference": "receipt-1"}
        body = called if path.endswith("s/reverse") else {}
        answer = await retail.post(path.format_map(telecoms), body)
        assert_problem(answer, Code.NOT_FOUND)
    for path in GETS:
        assert_problem(await retail.get(path.format_map(telecoms)), Code.NOT_FOUND)
    # The answer does not tell what is another's from what never was.
    for thing, missing in (("burn", "/v1/burns/brn_1"), ("lot", "/v1/lots/lot_1")):
        for path in (f"/v1/{thing}s/{telecoms[thing]}", missing):
            details.add((await retail.get(path)).text)
    assert len(details) == 2
    assert await world.rows() == before


async def test_the_merchant_itself_and_the_house_find_it(
    world: World, telecoms: dict[str, str]
) -> None:
    for path in GETS[:-2]:
        for code in ("telecom", "house"):
            answer = await world.till(code).get(path.format_map(telecoms))
            assert answer.status_code == 200, (code, path, answer.text)
    assert (await world.till("house").get(GETS[-2])).status_code == 200


async def test_the_house_may_reverse_whatever_anybody_made(
    world: World, telecoms: dict[str, str]
) -> None:
    house = world.till("house")
    for path in (POSTS[1], POSTS[0]):
        answer = await house.post(path.format_map(telecoms))
        assert answer.status_code == 201, answer.text


async def test_everybody_sees_the_balance_and_only_its_own_history(
    world: World, telecoms: dict[str, str]
) -> None:
    retail, telecom, house = (world.till(code) for code in ("retail", "telecom", "house"))
    card = telecoms["card"]
    await retail.earn(card, 70)
    assert (await retail.get(f"/v1/cards/{card}")).json()["available"] == 570
    types: dict[str, list[str]] = {}
    for code, till in (("retail", retail), ("telecom", telecom), ("house", house)):
        lines = (await till.get(f"/v1/cards/{card}/history")).json()["items"]
        types[code] = [line["type"] for line in lines]
    assert types["retail"] == ["earn"]
    assert types["telecom"] == ["hold", "burn", "earn"]
    assert types["house"] == ["earn", "hold", "burn", "earn"]


async def test_where_a_member_earned_is_shown_to_that_origin_only(world: World) -> None:
    telecom, retail, house = (world.till(code) for code in ("telecom", "retail", "house"))
    card = await telecom.enrol()
    await telecom.earn(card, 100, reference="telecom's receipt")
    await retail.earn(card, 100, reference="retail's receipt")
    burned = await retail.burn(card, 200)
    path = f"/v1/burns/{burned['burn_id']}"
    seen = {leg["origin"]: leg for leg in (await retail.get(path)).json()["legs"]}
    assert seen["retail"]["earn_reference"] == "retail's receipt"
    assert seen["retail"]["earned_at"] == "2017-03-10T04:00:00Z"
    assert set(seen["telecom"]) == {"lot_id", "origin", "points"}
    everything = (await house.get(path)).json()["legs"]
    assert all("earn_reference" in leg for leg in everything)
    assert_problem(await telecom.get(path), Code.NOT_FOUND)


async def test_the_origin_follows_its_points_to_another_till(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await telecom.enrol()
    earned = await telecom.earn(card, 100)
    burned = await retail.burn(card, 60)
    await retail.post(f"/v1/burns/{burned['burn_id']}/reverse", {"points": 10})
    lot: dict[str, Any] = (await telecom.get(f"/v1/lots/{earned['lots'][0]['lot_id']}")).json()
    assert (lot["points"], lot["remaining"], lot["earn_id"]) == (100, 50, earned["earn_id"])
    assert [
        (leg["burn_id"], leg["redeemer"], leg["points"], leg["window"]) for leg in lot["legs"]
    ] == [
        (burned["burn_id"], "retail", 60, "2017-03"),
        (burned["burn_id"], "retail", -10, "2017-03"),
    ]


BULK = [
    "POST /v1/batches",
    "POST /v1/batches/bat_1/cancel",
    "GET /v1/batches/bat_1",
    "GET /v1/batches/bat_1/results",
]
SCOPES = {
    "earn": [
        "POST /v1/earns",
        "POST /v1/earns/ern_1/reverse",
        "POST /v1/earns/reverse",
        "GET /v1/lots/lot_1",
        *BULK,
    ],
    "burn": [
        *BULK,
        "POST /v1/burns",
        "POST /v1/burns/brn_1/capture",
        "POST /v1/burns/brn_1/void",
        "POST /v1/burns/brn_1/reverse",
        "POST /v1/burns/reverse",
        "GET /v1/burns/brn_1",
        "GET /v1/lots/lot_1",
        "GET /v1/rewards",
        "GET /v1/vouchers/X",
        "POST /v1/vouchers/X/use",
        "POST /v1/vouchers/X/cancel",
    ],
    "transfer": ["POST /v1/transfers"],
    "members": [
        "POST /v1/members",
        "GET /v1/members",
        "PATCH /v1/members/mem_1",
        "GET /v1/members/mem_1/export",
        "GET /v1/cards/1",
        "GET /v1/cards/1/history",
        "POST /v1/cards/1/replace",
        "POST /v1/cards/1/block",
        "POST /v1/cards/1/unblock",
        "POST /v1/cards/1/pin",
    ],
    "statements": [
        "GET /v1/windows",
        "GET /v1/windows/2017-03/paths",
        "GET /v1/windows/2017-03/positions",
        "GET /v1/windows/2017-03/statements/plain",
    ],
    "house": [
        "POST /v1/windows/2017-03/close",
        "POST /v1/members/mem_1/erase",
        "GET /v1/audit",
        "GET /v1/people",
        "GET /v1/approvals",
    ],
}
# What a person does who is signed in, and no key: tests/coalition/api/test_rights.py.
PERSONS = [
    "GET /v1/session",
    "DELETE /v1/session",
    "POST /v1/session/password",
    "POST /v1/people",
    "POST /v1/people/per_1/disable",
    "POST /v1/people/per_1/reset",
    "POST /v1/approvals/apr_1/approve",
    "POST /v1/approvals/apr_1/reject",
]
# Where somebody says who it is.
OPEN = ["POST /v1/session", "POST /v1/setup", "POST /v1/setup/finish"]


async def test_a_key_opens_what_its_scope_says_and_nothing_else(world: World) -> None:
    for scope in SCOPES:
        bearer = world.keys["house"] if scope == "house" else await _narrow(world, scope)
        for routes in SCOPES.values():
            for route in routes:
                method, path = route.split()
                answer = await world.client.request(
                    method,
                    path,
                    headers={"Authorization": f"Bearer {bearer}", "Idempotency-Key": "k"},
                    content=b"{}" if method == "POST" else None,
                )
                opens = scope == "house" or route in SCOPES[scope]
                assert (answer.status_code != 403) == opens, (scope, route, answer.text)
        for route in PERSONS:
            method, path = route.split()
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = await world.client.request(method, path, headers=headers, content=b"{}")
            assert_problem(answer, Code.SCOPE_MISSING)


async def _narrow(world: World, scope: str) -> str:
    """A key of a merchant that has a free slot for it."""
    code = {"earn": "telecom", "burn": "retail", "members": "plain", "statements": "banned"}
    return await world.key(code.get(scope, "house"), scope)


async def test_every_route_needs_a_key(world: World) -> None:
    for routes in (*SCOPES.values(), PERSONS):
        for route in routes:
            method, path = route.split()
            content = b"{}" if method == "POST" else None
            answer = await world.client.request(method, path, content=content)
            assert_problem(answer, Code.UNAUTHENTICATED)


async def test_the_table_of_scopes_names_every_route(world: World) -> None:
    document = (await world.client.get("/schema/openapi.json")).json()
    served = {
        (method.upper(), path.count("/"), path.split("/")[2])
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/v1/")
    }
    listed = {
        (route.split()[0], route.count("/"), route.split("/")[2])
        for routes in (*SCOPES.values(), PERSONS, OPEN)
        for route in routes
    }
    assert served == listed
