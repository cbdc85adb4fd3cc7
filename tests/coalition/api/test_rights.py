"""Every route as every role, held against one table of who may what.

The table is written out here on purpose: people/rights.py says which rights a role has, this says
which doors that opens.
"""

from typing import Any

from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem
from tests.coalition.api.test_isolation import OPEN, PERSONS, SCOPES
from tests.coalition.people.staff import hire

from coalition.errors import Code
from coalition.people.rights import HOUSE_ROLES, MERCHANT_ROLES, RIGHTS

EARN = {"POST /v1/earns", "POST /v1/earns/ern_1/reverse", "POST /v1/earns/reverse"}
BURN = {
    "POST /v1/burns",
    "POST /v1/burns/brn_1/capture",
    "POST /v1/burns/brn_1/void",
    "POST /v1/burns/brn_1/reverse",
    "POST /v1/burns/reverse",
    "GET /v1/rewards",
    "GET /v1/vouchers/X",
    "POST /v1/vouchers/X/use",
    "POST /v1/vouchers/X/cancel",
}
FILES = {
    "POST /v1/batches",
    "POST /v1/batches/bat_1/cancel",
    "GET /v1/batches/bat_1",
    "GET /v1/batches/bat_1/results",
}
PATHS = {"GET /v1/burns/brn_1", "GET /v1/lots/lot_1"}
FIND = {"GET /v1/members", "GET /v1/cards/1", "GET /v1/cards/1/history"}
CARE = {
    "POST /v1/members",
    "PATCH /v1/members/mem_1",
    "POST /v1/cards/1/replace",
    "POST /v1/cards/1/block",
    "POST /v1/cards/1/unblock",
    "POST /v1/cards/1/pin",
}
EXPORT, ERASE = {"GET /v1/members/mem_1/export"}, {"POST /v1/members/mem_1/erase"}
STATEMENTS = {
    "GET /v1/windows",
    "GET /v1/windows/2017-03/paths",
    "GET /v1/windows/2017-03/positions",
    "GET /v1/windows/2017-03/statements/plain",
}
CLOSE, AUDIT = {"POST /v1/windows/2017-03/close"}, {"GET /v1/audit"}
WHO = {"GET /v1/people"}
HIRE = {"POST /v1/people", "POST /v1/people/per_1/disable", "POST /v1/people/per_1/reset"}
PROPOSALS = {"GET /v1/approvals"}
DECIDE = {"POST /v1/approvals/apr_1/approve", "POST /v1/approvals/apr_1/reject"}
# Whoever is signed in.
SELF = {"GET /v1/session", "DELETE /v1/session", "POST /v1/session/password"}

MAY: dict[tuple[str, str], set[str]] = {
    ("house", "operator"): FIND | CARE | EXPORT | ERASE | PATHS | WHO | HIRE | AUDIT | PROPOSALS,
    ("house", "finance"): STATEMENTS | CLOSE | PATHS | PROPOSALS,
    ("house", "approver"): STATEMENTS | CLOSE | PATHS | AUDIT | PROPOSALS | DECIDE,
    ("house", "auditor"): STATEMENTS | PATHS | AUDIT | WHO | PROPOSALS,
    ("house", "care"): FIND | CARE | PATHS,
    ("telecom", "manager"): (
        EARN
        | BURN
        | {"POST /v1/transfers"}
        | FILES
        | PATHS
        | FIND
        | CARE
        | EXPORT
        | STATEMENTS
        | WHO
        | HIRE
    ),
    ("telecom", "finance"): STATEMENTS | PATHS,
    ("telecom", "counter"): EARN | BURN | PATHS | FIND | CARE,
    ("telecom", "auditor"): STATEMENTS | PATHS,
}
ROUTES = sorted({route for routes in SCOPES.values() for route in routes} | set(PERSONS))


def _opens(route: str) -> str:
    """What is asked at a route: a body that is read, and refused for what it holds."""
    return "{}" if route.split()[0] in ("POST", "PATCH") else ""


async def test_every_route_opens_to_the_roles_that_the_table_names_and_to_no_other(
    world: World,
) -> None:
    for (merchant, role), may in MAY.items():
        person = await hire(world, role, merchant)
        for route in ROUTES:
            if route == "DELETE /v1/session":
                continue
            method, path = route.split()
            headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
            answer = await person.ask(method, path, content=_opens(route), headers=headers)
            is_shut = answer.status_code == 403 and answer.json()["code"] == "scope_missing"
            where = (merchant, role, route, answer.text)
            assert is_shut != (route in may | SELF), where
            assert answer.status_code not in (401, 500), where
        assert (await person.ask("DELETE", "/v1/session")).status_code == 204


def test_the_table_names_every_role_and_every_route() -> None:
    house = {role for merchant, role in MAY if merchant == "house"}
    assert (house, {role for merchant, role in MAY if merchant != "house"}) == (
        set(HOUSE_ROLES),
        set(MERCHANT_ROLES),
    )
    assert set.union(*MAY.values()) | SELF == set(ROUTES)


async def test_every_route_says_a_right_that_some_role_has(world: World) -> None:
    document: dict[str, Any] = (await world.client.get("/schema/openapi.json")).json()
    named = {
        right
        for path, item in document["paths"].items()
        if path.startswith("/v1/")
        for method, operation in item.items()
        if f"{method.upper()} {path}" not in OPEN
        for right in next(way["session"] for way in operation["security"] if "session" in way)
    }
    assert named == RIGHTS
    assert named == frozenset().union(*HOUSE_ROLES.values(), *MERCHANT_ROLES.values())


async def test_a_merchants_person_reaches_its_own_merchant_alone(world: World) -> None:
    house = world.till("house")
    await house.post("/v1/windows/2017-03/close", {"early": True})
    mia = await hire(world, "manager", "telecom")
    own, other = (f"/v1/windows/2017-03/statements/{code}" for code in ("telecom", "retail"))
    assert (await mia.get(own)).status_code == 200
    assert_problem(await mia.get(other), Code.NOT_FOUND)
    parties = {
        at["party"] for at in (await mia.get("/v1/windows/2017-03/positions")).json()["items"]
    }
    assert parties <= {"telecom"}
    card = await world.till("retail").enrol()
    earned = await world.till("retail").earn(card, 10)
    assert_problem(await mia.get(f"/v1/lots/{earned['lots'][0]['lot_id']}"), Code.NOT_FOUND)


async def test_finance_of_the_house_reads_every_statement_and_changes_nothing(
    world: World,
) -> None:
    await world.till("house").post("/v1/windows/2017-03/close", {"early": True})
    fay = await hire(world, "finance")
    for party in ("telecom", "retail", "house"):
        answer = await fay.get(f"/v1/windows/2017-03/statements/{party}.csv")
        assert answer.status_code == 200, answer.text
    assert_problem(await fay.post("/v1/members"), Code.SCOPE_MISSING)


async def test_a_manager_makes_and_disables_its_own_people_and_finds_no_others(
    world: World,
) -> None:
    mia, rob = await hire(world, "manager", "telecom"), await hire(world, "manager", "retail")
    new = {"email": "cleo@telecom.example", "name": "Cleo", "role": "counter"}
    made = await mia.post("/v1/people", new)
    assert made.status_code == 201, made.text
    cleo = made.json()["person"]
    for path in (f"/v1/people/{cleo}/disable", f"/v1/people/{cleo}/reset"):
        assert_problem(await rob.post(path), Code.NOT_FOUND)
    assert_problem(await rob.post("/v1/people", new | {"merchant": "telecom"}), Code.NOT_FOUND)
    assert_problem(await mia.post("/v1/people", new | {"role": "operator"}), Code.INVALID)
    assert_problem(await mia.post("/v1/people", new), Code.LIMIT_REACHED)
    seen = [(one["role"], one["status"]) for one in (await mia.get("/v1/people")).json()["items"]]
    assert seen == [("manager", "active"), ("counter", "invited")]
    assert (await mia.post(f"/v1/people/{cleo}/disable")).json()["status"] == "disabled"
    # The address is free again, for another person.
    assert (await mia.post("/v1/people", new)).status_code == 201


async def test_the_house_makes_people_of_any_party_and_lists_them_page_by_page(
    world: World,
) -> None:
    ann = await hire(world, "operator")
    for number in range(3):
        body = {"email": f"p{number}@example.com", "name": f"P {number}", "role": "counter"}
        assert (await ann.post("/v1/people", body | {"merchant": "retail"})).status_code == 201
    body = {"email": "x@example.com", "name": "X", "role": "counter", "merchant": "pool"}
    assert_problem(await ann.post("/v1/people", body), Code.NOT_FOUND)
    first = (await ann.get("/v1/people?limit=2")).json()
    second = (await ann.get(f"/v1/people?limit=2&cursor={first['next_cursor']}")).json()
    assert [one["name"] for one in first["items"] + second["items"]] == [
        "operator of house",
        "P 0",
        "P 1",
        "P 2",
    ]
    assert second["next_cursor"] is None
