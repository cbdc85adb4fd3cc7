"""A person signs in, does by its cookie what its role says, and is out when the session ends."""

from sqlalchemy import text
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem
from tests.coalition.people.staff import hire

from coalition.errors import Code


async def test_an_operator_signs_in_and_reads_the_audit_which_names_it(world: World) -> None:
    ann = await hire(world, "operator")
    me = (await ann.get("/v1/session")).json()
    assert (me["person"], me["role"], me["merchant"]) == (ann.person_id, "operator", "house")
    audit = (await ann.get("/v1/audit")).json()["items"]
    assert [(act["action"], act["object"], act["by"]) for act in audit[:3]] == [
        ("session.begin", ann.person_id, ann.actor),
        ("person.setup", ann.person_id, ann.actor),
        ("person.create", ann.person_id, "command:test"),
    ]


async def test_a_counters_earn_names_the_person_on_its_posting(world: World) -> None:
    cleo = await hire(world, "counter", "telecom")
    card = (await cleo.post("/v1/members")).json()["card"]
    earned = await cleo.post("/v1/earns", {"card": card, "points": 40}, **{"Idempotency-Key": "k"})
    assert earned.status_code == 201, earned.text
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select actor from posting")) == cleo.actor


async def test_whatever_changes_something_needs_the_token_beside_the_cookie(world: World) -> None:
    cleo = await hire(world, "counter", "telecom")
    for token in ("", "another"):
        cleo.token, kept = token, cleo.token
        assert_problem(await cleo.post("/v1/members"), Code.UNAUTHENTICATED)
        assert_problem(await cleo.ask("DELETE", "/v1/session"), Code.UNAUTHENTICATED)
        assert (await cleo.get("/v1/session")).status_code == 200
        cleo.token = kept
    assert (await cleo.post("/v1/members")).status_code == 201
