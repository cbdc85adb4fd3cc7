"""The attack: a copy of the database, a leaked backup, tells who the members are; what they asked
to be forgotten comes back; a merchant looks for people that are not its own.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.api.conftest import PEPPER, Serve, World

from coalition.members.store import find_by
from coalition.privacy.store import erase_silent, find, seal_anew, seal_rest
from coalition.sealing.encryption import Keyring
from coalition.verify import verify

PHONE, REF, BIRTHDAY = "+8613800138000", "customer-17-of-main-street", "1990-02-28"
KNOWN = {"phone": "+86 138 0013 8000", "external_ref": REF, "birthday": BIRTHDAY, "locale": "zh"}
KEYS = {1: b"1" * 32, 2: b"2" * 32}


async def enrolled(world: World) -> tuple[str, str]:
    """The id and the card of a member of telecom's of whom everything is known."""
    answer = await world.till("telecom").post("/v1/members", KNOWN)
    assert answer.status_code == 201, answer.text
    return answer.json()["member_id"], answer.json()["card"]


async def everything(engine: AsyncEngine) -> str:
    """Every row of every table, as a dump would have it."""
    async with engine.connect() as connection:
        tables = await connection.scalars(
            text("select tablename from pg_tables where schemaname = 'public'")
        )
        rows: list[Any] = []
        for table in tables.all():
            rows += await connection.execute(text(f'select t::text from "{table}" t'))
    return "\n".join(row[0] for row in rows)


async def test_a_dump_of_the_database_names_nobody(world: World) -> None:
    _, card = await enrolled(world)
    await world.till("telecom").earn(card, 100)
    dump = await everything(world.engine)
    assert card in dump, "what is looked through is the whole database"
    for secret in (PHONE, PHONE[1:], REF, BIRTHDAY, REF.encode().hex(), PHONE.encode().hex()):
        assert secret not in dump


async def test_a_merchant_finds_whom_it_enrolled_or_served_and_nobody_else(world: World) -> None:
    member, card = await enrolled(world)
    telecom, retail, house = (world.till(one) for one in ("telecom", "retail", "house"))
    by_phone, by_ref = {"phone": "0086 13800138000"}, {"external_ref": REF}
    for asked in (by_phone, by_ref):
        assert (await telecom.get("/v1/members", **asked)).json() == {
            "member_id": member,
            "card": card,
        }
        assert (await house.get("/v1/members", **asked)).status_code == 200
        assert (await retail.get("/v1/members", **asked)).status_code == 404
    await retail.earn(card, 5)
    assert (await retail.get("/v1/members", **by_phone)).status_code == 200
    assert (await retail.get("/v1/members", **by_ref)).status_code == 404, "telecom's own word"
    assert (await telecom.get("/v1/members", phone="+8613800138001")).status_code == 404
    assert (await telecom.get("/v1/members")).status_code == 422
    assert (await telecom.get("/v1/members", **by_phone, **by_ref)).status_code == 422


async def test_a_phone_of_two_members_finds_neither(world: World) -> None:
    await enrolled(world)
    await world.till("telecom").post("/v1/members", {"phone": PHONE})
    assert (await world.till("telecom").get("/v1/members", phone=PHONE)).status_code == 404


async def test_whoever_tries_many_phones_is_slowed(world: World) -> None:
    telecom = world.till("telecom")
    answers = [
        (await telecom.get("/v1/members", phone=f"+861390000{n:04d}")).status_code
        for n in range(60)
    ]
    assert answers[0] == 404
    assert answers[-1] == 429


async def test_an_export_says_all_that_is_kept_to_the_enroller_and_the_house_only(
    world: World,
) -> None:
    member, card = await enrolled(world)
    await world.till("telecom").earn(card, 100, reference="bill-7")
    await world.till("retail").burn(card, 30)
    path = f"/v1/members/{member}/export"
    told = (await world.till("telecom").get(path)).json()
    assert (await world.till("house").get(path)).json() == told
    assert (await world.till("retail").get(path)).status_code == 404
    assert {name: told[name] for name in ("phone", "external_ref", "birthday", "locale")} == {
        **KNOWN,
        "phone": PHONE,
    }
    assert [(one["type"], one["points"], one["reference"]) for one in told["movements"]] == [
        ("earn", 100, "bill-7"),
        ("burn", -30, None),
    ]
    assert [one["card"] for one in told["cards"]] == [card]
    assert (told["available"], told["lots"][0]["remaining"]) == (70, 70)


async def test_what_is_wrong_is_corrected_and_only_that(world: World) -> None:
    member, _ = await enrolled(world)
    path = f"/v1/members/{member}"
    telecom = world.till("telecom")

    async def patch(body: dict[str, Any], code: str = "telecom") -> Any:
        headers = {"Authorization": f"Bearer {world.keys[code]}"}
        return await world.client.patch(path, json=body, headers=headers)

    changed = await patch({"phone": "+86 139 0013 9000", "birthday": None})
    assert changed.json() == {
        "member_id": member, "external_ref": REF, "phone": "+8613900139000", "birthday": None,
        "locale": "zh",
    }  # fmt: skip
    assert (await telecom.get("/v1/members", phone="+8613900139000")).status_code == 200
    assert (await telecom.get("/v1/members", phone=PHONE)).status_code == 404
    assert (await patch({"locale": "en"}, "retail")).status_code == 404
    assert (await patch({"phone": "110"})).status_code == 422
    await telecom.post("/v1/members", {"external_ref": "c-2"})
    assert (await patch({"external_ref": "c-2"})).status_code == 409


async def test_what_is_erased_is_gone_for_good_and_the_ledger_stays(world: World) -> None:
    member, card = await enrolled(world)
    telecom, house = world.till("telecom"), world.till("house")
    await telecom.earn(card, 100)
    path = f"/v1/members/{member}/erase"
    assert (await telecom.post(path)).status_code == 403, "the house alone"
    first = await house.post(path)
    assert (await house.post(path)).json() == first.json(), "twice is once"
    told = (await house.get(f"/v1/members/{member}/export")).json()
    assert [told[one] for one in ("phone", "external_ref", "birthday", "locale")] == [None] * 4
    assert told["available"] == 100
    assert (await telecom.get("/v1/members", phone=PHONE)).status_code == 404
    assert (await telecom.burn(card, 40))["available"] == 60
    async with world.engine.connect() as connection:
        assert await verify(connection) == []
    with pytest.raises(DBAPIError, match="is erased"):
        async with world.engine.begin() as connection:
            await connection.execute(text("update member set phone = '+8613800138000'"))


async def test_an_erased_members_reference_is_free_again(world: World) -> None:
    member, card = await enrolled(world)
    await world.till("house").post(f"/v1/members/{member}/erase")
    assert (await enrolled(world))[1] != card


async def test_who_was_not_seen_for_long_is_erased_where_the_house_says_so(world: World) -> None:
    silent, _ = await enrolled(world)
    other = await world.till("telecom").post("/v1/members", {"external_ref": "c-2"})
    world.clock.pass_(days=300)
    await world.till("telecom").earn(other.json()["card"], 5)
    assert await erase_silent(world.engine, world.clock.now + timedelta(days=100), 365) == 1
    assert await erase_silent(world.engine, world.clock.now + timedelta(days=100), 365) == 0
    house = world.till("house")
    export = f"/v1/members/{silent}/export"
    assert (await house.get(export)).json()["erased_at"] is not None
    kept = await house.get(f"/v1/members/{other.json()['member_id']}/export")
    assert kept.json()["external_ref"] == "c-2"


async def test_keys_are_changed_while_members_are_found(serve: Serve) -> None:
    before: World = await serve(personal_keys={1: KEYS[1]})
    member, card = await enrolled(before)
    found = {"member_id": member, "card": card}
    world: World = await serve(personal_keys=KEYS)
    telecom = world.till("telecom")
    assert (await telecom.get("/v1/members", phone=PHONE)).json() == found
    again = await telecom.post("/v1/members", KNOWN)
    assert (again.status_code, again.json()) == (200, found), "its reference, under the older key"
    assert await seal_anew(world.engine, Keyring(PEPPER, KEYS), world.clock.now) == 1
    assert await seal_anew(world.engine, Keyring(PEPPER, KEYS), world.clock.now) == 0
    # Now the older key may go: the newest alone finds and opens all of it.
    alone = Keyring(PEPPER, {2: KEYS[2]})
    async with world.engine.connect() as connection:
        by_ref = await find_by(connection, alone, None, external_ref=REF)
        assert [row[1] for row in by_ref] == [int(card)]
        person = await find(connection, by_ref[0][0], alone)
    assert person is not None
    assert person.known.phone == PHONE


async def test_what_an_older_version_left_open_is_sealed(world: World) -> None:
    member, card = await enrolled(world)
    async with world.engine.begin() as connection:
        await connection.execute(
            text(
                "update member set phone = :phone, external_ref = :ref, birthday = :birthday,"
                " external_ref_sealed = null, external_ref_digest = null, phone_sealed = null,"
                " phone_digest = null, birthday_sealed = null, birth_month = null"
            ),
            {"phone": PHONE, "ref": REF, "birthday": datetime(1990, 2, 28, tzinfo=UTC).date()},
        )
    ring = Keyring(PEPPER)
    assert await seal_rest(world.engine, ring) == 1
    assert await seal_rest(world.engine, ring) == 0
    assert REF not in await everything(world.engine)
    found = await world.till("telecom").get("/v1/members", external_ref=REF)
    assert found.json() == {"member_id": member, "card": card}
