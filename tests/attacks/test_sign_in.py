"""Somebody who is not that person wants in, and somebody who was wants to stay.

Passwords are guessed ten thousand times, addresses are looked for by how the answer differs, a code
is used twice, a cookie is used after its session ended, another site sends a form with the
browser's cookie, a manager makes itself the house's operator.
"""

import asyncio
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy import text
from tests.coalition.api.conftest import PEPPER, World
from tests.coalition.api.test_codes import assert_problem
from tests.coalition.people.staff import (
    PASSWORD,
    RING,
    SOMEBODY,
    Staff,
    cookie_of,
    hire,
    invite,
    sign_in,
)

from coalition.batches.standing import why_ended
from coalition.batches.store import find as find_batch
from coalition.edge import sign_in as edge
from coalition.errors import Code
from coalition.people import password as passwords
from coalition.people import secret_store, store
from coalition.people.sessions import IDLE_MAX, LASTS_MAX
from coalition.sealing.encryption import Keyring

WRONG = "not the right one"
BATCH = UUID(int=1)
UNDER_WAY = f"""
insert into batch (batch_id, merchant_id, scopes, format, place, size_bytes, created_at, actor)
select '{BATCH}', merchant_id, array['earn'], 'ndjson', '{UUID(int=2)}', 10, :now, :actor
from merchant where code = 'telecom'
"""


@pytest.fixture
async def ann(world: World) -> Staff:
    return await hire(world, "operator")


@pytest.fixture
async def proxied(serve: Any) -> World:
    """The server behind a proxy, so that a test may come from any address."""
    made: World = await serve(trusted_proxies=(ip_network("127.0.0.1"),))
    return made


def _from(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_ten_thousand_tries_neither_get_in_nor_keep_the_right_one_out(
    proxied: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    right = passwords.is_password

    def counted(pepper: bytes, person_id: str | None, password: str, kept: str | None) -> bool:
        compared.append(password)
        return password != WRONG and right(pepper, person_id, password, kept)

    monkeypatch.setattr(edge, "is_password", counted)
    bo = await hire(proxied, "counter", "telecom", totp=False)
    compared.clear()
    statuses = [
        (await sign_in(proxied.client, bo.email, WRONG, None, **_from("203.0.113.7"))).status_code
        for _ in range(10_000)
    ]
    # Some refills on a slow machine; the rest is not even compared.
    assert len(compared) <= 30
    assert statuses.count(401) == len(compared)
    assert set(statuses) == {401, 429}
    answer = await sign_in(proxied.client, bo.email, PASSWORD, None, **_from("198.51.100.4"))
    assert answer.status_code == 201, answer.text
    # At the address of the tries too, with the browser that the person signed in with before.
    mark = {"Cookie": f"__Host-known={cookie_of(answer, '__Host-known')}"}
    again = await sign_in(proxied.client, bo.email, PASSWORD, None, **_from("203.0.113.7"), **mark)
    assert again.status_code == 201, again.text


async def test_a_mark_that_is_forged_or_anothers_opens_nothing(ann: Staff) -> None:
    client = ann.world.client
    answer = await ann.sign_in()
    mark = cookie_of(answer, "__Host-known")
    for _ in range(5):
        await sign_in(client, "bo@example.com", WRONG, None)
    nonce, whose, mac = mark.split(".")
    for forged in (mark, f"{nonce}x.{whose}.{mac}", f"{nonce}.{whose}.", "..", ""):
        cookie = {"Cookie": f"__Host-known={forged}"}
        assert_problem(
            await sign_in(client, "bo@example.com", WRONG, None, **cookie), Code.TOO_MANY_REQUESTS
        )


async def test_nobody_learns_whether_there_is_such_an_address_or_what_was_wrong(
    ann: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []
    right = passwords._argon2id.verify

    class Watched:
        def verify(self, kept: str, password: bytes) -> bool:
            hashes.append(kept.split("$")[3])
            return right(kept, password)

    monkeypatch.setattr(passwords, "_argon2id", Watched())
    ann.world.clock.pass_(seconds=30)
    tries = [
        (ann.email, WRONG, ann.code()),
        (ann.email, PASSWORD, "000000"),
        (ann.email, PASSWORD, None),
        ("nobody@example.com", PASSWORD, ann.code()),
        ("no address", PASSWORD, None),
    ]
    told = set()
    for email, password, code in tries:
        answer = await sign_in(ann.world.client, email, password, code)
        assert_problem(answer, Code.UNAUTHENTICATED)
        told.add((answer.text, tuple(sorted(answer.headers))))
    assert len(told) == 1
    # Each took one hash, by the same parameters.
    assert len(hashes) == len(tries)
    assert len(set(hashes)) == 1


async def test_a_code_is_good_once_and_one_who_needs_it_does_not_get_in_without(
    ann: Staff,
) -> None:
    ann.world.clock.pass_(seconds=30)
    code = ann.code()
    assert (await sign_in(ann.world.client, ann.email, PASSWORD, code)).status_code == 201
    for again in (code, None):
        answer = await sign_in(ann.world.client, ann.email, PASSWORD, again)
        assert_problem(answer, Code.UNAUTHENTICATED)
    ann.world.clock.pass_(seconds=30)
    answer = await sign_in(ann.world.client, ann.email, PASSWORD, ann.code())
    assert answer.status_code == 201


@pytest.mark.parametrize("role", ["operator", "finance", "approver"])
async def test_who_moves_money_cannot_leave_the_second_factor_out(world: World, role: str) -> None:
    setup = await invite(world, role, "house", "x@example.com", world.clock.now)
    begun = (await world.client.post("/v1/setup", json={"setup": setup})).json()
    assert begun["code_required"] is True
    body = {"setup": setup, "password": PASSWORD}
    for more in ({}, {"code": "000000"}):
        answer = await world.client.post("/v1/setup/finish", json=body | more)
        assert_problem(answer, Code.INVALID)
    assert_problem(
        await sign_in(world.client, "x@example.com", PASSWORD, None), Code.UNAUTHENTICATED
    )


async def test_a_one_time_secret_is_good_once_and_for_three_days(world: World) -> None:
    setup = await invite(world, "care", "house", "care@example.com", world.clock.now)
    world.clock.pass_(days=3)
    assert_problem(
        await world.client.post("/v1/setup", json={"setup": setup}), Code.UNAUTHENTICATED
    )
    world.clock.pass_(days=-1)
    body = {"setup": setup, "password": PASSWORD}
    assert (await world.client.post("/v1/setup/finish", json=body)).status_code == 200
    for path in ("/v1/setup", "/v1/setup/finish"):
        sent = body if path.endswith("finish") else {"setup": setup}
        assert_problem(await world.client.post(path, json=sent), Code.UNAUTHENTICATED)


async def test_a_stolen_cookie_is_worth_nothing_after_sign_out(ann: Staff) -> None:
    out = await ann.ask("DELETE", "/v1/session")
    assert out.status_code == 204
    assert_problem(await ann.get("/v1/audit"), Code.UNAUTHENTICATED)
    assert_problem(await ann.get("/v1/session"), Code.UNAUTHENTICATED)


async def test_the_cookie_is_for_this_host_over_tls_and_no_script(ann: Staff) -> None:
    answer = await ann.sign_in()
    for line in answer.headers.get_list("set-cookie"):
        said = {part.strip().lower() for part in line.split(";")}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= said
        assert line.startswith("__Host-")
        assert not any(part.startswith("domain") for part in said)


async def test_another_site_signs_nobody_in_and_sends_nothing_with_the_cookie(ann: Staff) -> None:
    ann.world.clock.pass_(seconds=30)
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}
        answer = await sign_in(ann.world.client, ann.email, PASSWORD, ann.code(), **headers)
        assert_problem(answer, Code.UNAUTHENTICATED)
        sent = await ann.ask("POST", "/v1/members", content="{}", headers=headers)
        assert_problem(sent, Code.UNAUTHENTICATED)
    own = {"Sec-Fetch-Site": "same-origin"}
    answer = await sign_in(ann.world.client, ann.email, PASSWORD, ann.code(), **own)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("change", ["reset", "disable"])
async def test_no_session_begins_with_a_password_that_was_taken_away_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    bo = await hire(world, "counter", "telecom", totp=False)
    compare = edge.SignIn._is_right

    async def slowly(self: edge.SignIn, proof: Any, password: str) -> bool:
        is_right = await compare(self, proof, password)
        async with world.engine.begin() as connection:
            person = await store.find(connection, RING, bo.person_id)
            assert person is not None
            await getattr(store, change)(connection, person, world.clock.now, SOMEBODY)
        return is_right

    monkeypatch.setattr(edge.SignIn, "_is_right", slowly)
    assert_problem(await bo.sign_in(), Code.UNAUTHENTICATED)
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from session")) == 0


async def test_a_session_ends_idle_and_at_its_longest(ann: Staff) -> None:
    clock = ann.world.clock
    begun = clock.now
    while clock.now + timedelta(minutes=29) < begun + LASTS_MAX:
        clock.pass_(minutes=29)
        assert (await ann.get("/v1/session")).status_code == 200
    clock.now = begun + LASTS_MAX
    assert_problem(await ann.get("/v1/session"), Code.UNAUTHENTICATED)
    await ann.sign_in()
    clock.now += IDLE_MAX
    assert_problem(await ann.get("/v1/session"), Code.UNAUTHENTICATED)


async def test_who_is_disabled_while_signed_in_is_out_at_once(ann: Staff) -> None:
    cleo = await hire(ann.world, "counter", "telecom", totp=False)
    assert (await cleo.post("/v1/members")).status_code == 201
    assert (await ann.post(f"/v1/people/{cleo.person_id}/disable")).status_code == 200
    assert_problem(await cleo.post("/v1/members"), Code.UNAUTHENTICATED)
    assert_problem(await cleo.sign_in(), Code.UNAUTHENTICATED)


async def test_another_password_ends_every_session_and_so_does_the_command(ann: Staff) -> None:
    path, new = "/v1/session/password", "battery staple horse"
    wrong = await ann.post(path, {"old_password": WRONG, "password": new})
    assert_problem(wrong, Code.INVALID)
    done = await ann.post(path, {"old_password": PASSWORD, "password": new})
    assert done.status_code == 204, done.text
    assert_problem(await ann.get("/v1/session"), Code.UNAUTHENTICATED)
    assert_problem(await ann.sign_in(), Code.UNAUTHENTICATED)
    assert (await ann.sign_in(new)).status_code == 201
    async with ann.world.engine.begin() as connection:
        assert await store.end_sessions(connection, None, ann.world.clock.now, SOMEBODY) == 1
    assert_problem(await ann.get("/v1/session"), Code.UNAUTHENTICATED)


async def test_who_was_reset_gets_in_with_the_new_secret_alone(ann: Staff) -> None:
    cleo = await hire(ann.world, "counter", "telecom")
    answer = await ann.post(f"/v1/people/{cleo.person_id}/reset")
    assert answer.status_code == 200, answer.text
    assert_problem(await cleo.get("/v1/session"), Code.UNAUTHENTICATED)
    assert_problem(await cleo.sign_in(), Code.UNAUTHENTICATED)
    body = {"setup": answer.json()["setup"], "password": "battery staple horse"}
    assert (await ann.world.client.post("/v1/setup/finish", json=body)).status_code == 200
    cleo.secret = None
    assert (await cleo.sign_in("battery staple horse")).status_code == 201


async def test_a_manager_makes_nobody_of_the_house_and_an_operator_no_second_approver(
    ann: Staff,
) -> None:
    mia = await hire(ann.world, "manager", "telecom")
    body = {"email": "mia2@example.com", "name": "Mia", "role": "operator"}
    assert_problem(await mia.post("/v1/people", body), Code.INVALID)
    assert_problem(await mia.post("/v1/people", body | {"merchant": "house"}), Code.NOT_FOUND)
    paula = await hire(ann.world, "approver")
    body |= {"role": "approver"}
    assert_problem(await ann.post("/v1/people", body), Code.APPROVAL_NEEDED)
    path = f"/v1/people/{paula.person_id}"
    assert_problem(await ann.post(f"{path}/reset"), Code.APPROVAL_NEEDED)
    # Without the only approver two persons are still needed.
    assert (await ann.post(f"{path}/disable")).status_code == 200
    proposed = await ann.world.till("house").post("/v1/windows/2017-03/close", {"early": True})
    assert proposed.status_code == 202


async def test_the_database_logs_and_audit_name_no_person_and_hold_no_secret(
    world: World,
) -> None:
    with structlog.testing.capture_logs() as lines:
        ann = await hire(world, "operator", email="zelda.quint@example.com")
        await sign_in(world.client, ann.email, WRONG, None)
        async with world.engine.connect() as connection:
            rows = [
                str(tuple(row))
                for table in ("person", "session", "audit", "approval")
                for row in await connection.execute(text(f"table {table}"))
            ]
    said = "\n".join([*rows, *map(str, lines)])
    for secret in ("zelda", "quint", "operator of house", PASSWORD, WRONG, ann.cookie, ann.token):
        assert secret not in said
    assert ann.secret is not None
    assert ann.secret not in said
    assert "sign-in refused" in said


async def test_personal_data_of_staff_is_sealed_with_a_newer_key_and_found_again(
    ann: Staff,
) -> None:

    newer = Keyring(PEPPER, {1: b"x" * 32})
    assert await store.seal_anew(ann.world.engine, newer) == 1
    await secret_store.seal_anew(ann.world.engine, newer)
    assert await store.seal_anew(ann.world.engine, newer) == 0
    async with ann.world.engine.connect() as connection:
        found = await store.find_named(connection, newer, ann.email)
        proof = await secret_store.find_by_email(connection, newer, ann.email)
    assert (found.email, found.name) == (ann.email, "operator of house")
    assert proof is not None
    assert proof.secret == ann.secret
    assert RING.newest == 0


async def test_a_persons_file_stops_when_the_person_is_disabled(ann: Staff) -> None:
    mia = await hire(ann.world, "manager", "telecom")
    now = ann.world.clock.now
    async with ann.world.engine.begin() as connection:
        # Of another place, so that nobody here posts it.
        await connection.execute(text(UNDER_WAY), {"now": now, "actor": mia.actor})
        batch = await find_batch(connection, BATCH)
        assert batch is not None
        assert batch.person_id == mia.person_id
        assert await why_ended(connection, batch, now) is None
        person = await store.find(connection, RING, mia.person_id)
        assert person is not None
        await store.disable(connection, person, now, SOMEBODY)
        why = await why_ended(connection, batch, now)
    assert why is not None
    assert why.startswith("the person who sent it was disabled")


async def test_a_persons_file_names_the_person_on_each_posting(ann: Staff) -> None:
    mia = await hire(ann.world, "manager", "telecom")
    card = (await mia.post("/v1/members")).json()["card"]
    row = f'{{"op":"earn","key":"r","card":"{card}","points":5}}'
    headers = {"Content-Type": "application/x-ndjson"}
    sent = await mia.ask("POST", "/v1/batches", content=row, headers=headers)
    assert sent.status_code == 202, sent.text
    path = f"/v1/batches/{sent.json()['batch_id']}"
    async with asyncio.timeout(60):
        while True:
            if (await mia.get(path)).json()["status"] == "done":
                break
            await asyncio.sleep(0.02)
    async with ann.world.engine.connect() as connection:
        assert await connection.scalar(text("select actor from posting")) == mia.actor
