"""Somebody with a right of their own does what they should not, and nobody can tell who it was.

A key of a merchant's two moves points, blocks a card or ends a window. Each posting and each change
names who did it, the change and its act are written together, and neither can be rewritten.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import EventDict
from tests.coalition.api.conftest import HOUSE, PEPPER, START, TERMS, Serve, Till, World
from tests.owner import owner

from coalition.audit import store as audit
from coalition.audit.actor import Actor
from coalition.batches.names import spelt
from coalition.batches.store import Batch
from coalition.batches.store import find as find_batch
from coalition.clearing.service import close_due
from coalition.edge.access import KEY_CACHE_S, Access
from coalition.errors import CoalitionError, Code
from coalition.jobs import void_stale
from coalition.keys import store as key_store
from coalition.keys.key import mint
from coalition.ledger.post import Ledger
from coalition.privacy.store import erase_silent, seal_anew
from coalition.sealing.encryption import Keyring
from coalition.terms.store import sync

SOMEBODY = Actor("command:test", "ann@desk")


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def key_of(till: Till) -> str:
    return "key:" + till.bearer.split("_")[2]


async def actors(world: World) -> list[tuple[str, str | None]]:
    """Kind and actor of each posting, in the order in which they were written."""
    async with world.engine.connect() as connection:
        rows = await connection.execute(
            text("select kind::text, actor from posting order by member_id, posting_no")
        )
        return [(row.kind, row.actor) for row in rows]


async def acts(engine: AsyncEngine) -> list[audit.Act]:
    async with engine.connect() as connection:
        return await audit.since(connection, datetime(2000, 1, 1, tzinfo=UTC))


async def of_kind(engine: AsyncEngine, kind: str) -> list[audit.Act]:
    return [act for act in await acts(engine) if act.action.startswith(f"{kind}.")]


async def posted(world: World, till: Till, file: bytes) -> Batch:
    """A file's batch when its rows are posted."""
    sent = await till.send("/v1/batches", file, **{"Content-Type": "application/x-ndjson"})
    assert sent.status_code == 202, sent.text
    async with asyncio.timeout(60):
        while True:
            view = (await till.get(f"/v1/batches/{sent.json()['batch_id']}")).json()
            if view["status"] != "running":
                assert (view["status"], view["posted"]) == ("done", 1), view
                break
            await asyncio.sleep(0.02)
    async with world.engine.connect() as connection:
        batch_id = await connection.scalar(text("select batch_id from batch"))
        batch = await find_batch(connection, batch_id)
    assert batch is not None
    return batch


async def test_each_posting_names_the_key_that_asked_by_whatever_door_it_came(
    world: World,
) -> None:
    first, second = world.till("telecom"), Till(world.client, await world.key("telecom", "earn"))
    card = await first.enrol()
    # By the till's lane, by the routes (a space more than the lane takes), and by a file.
    await first.earn(card, 100)
    by_route = {"Content-Encoding": "identity", "Idempotency-Key": "by-route"}
    answer = await second.send("/v1/earns", b'{"card":"%s","points":7}' % card.encode(), **by_route)
    assert answer.status_code == 201, answer.text
    row = b'{"op":"earn","key":"row","card":"%s","points":5}' % card.encode()
    assert (await posted(world, second, row)).actor == key_of(second)
    held = await first.burn(card, 10, hold=True, hold_seconds=60)
    await first.post(f"/v1/burns/{held['burn_id']}/capture", {"points": 4})
    assert await actors(world) == [
        ("earn", key_of(first)),
        ("earn", key_of(second)),
        ("earn", key_of(second)),
        ("hold", key_of(first)),
        ("capture", key_of(first)),
    ]


async def test_what_time_does_is_nobodys_key(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    await telecom.burn(card, 10, hold=True, hold_seconds=60)
    world.clock.pass_(minutes=2)
    ledger = Ledger(world.engine)
    await ledger.start()
    assert await void_stale(ledger, world.clock.now) == 10
    assert (await actors(world))[-1] == ("void", "job:lapse")


async def test_a_merchant_reads_which_of_its_keys_it_was_and_of_no_other(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    card = await telecom.enrol()
    earned = await telecom.earn(card, 100)
    await house.post(f"/v1/earns/{earned['earn_id']}/reverse", {"points": 1})
    reversed_, made = (await telecom.get(f"/v1/cards/{card}/history")).json()["items"]
    assert made["by"] == key_of(telecom)
    assert "by" not in reversed_
    seen = (await house.get(f"/v1/cards/{card}/history")).json()["items"]
    assert [line["by"] for line in seen] == [key_of(house), key_of(telecom)]


async def test_each_change_of_a_card_names_the_key_and_the_address(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.post(f"/v1/cards/{card}/block")
    # Blocked already: nothing changes, and nothing is said.
    await telecom.post(f"/v1/cards/{card}/block")
    await telecom.post(f"/v1/cards/{card}/unblock")
    new = (await telecom.post(f"/v1/cards/{card}/replace")).json()["card"]
    found = await of_kind(world.engine, "card")
    assert [(act.action, act.object, act.before, act.after) for act in found] == [
        ("card.issue", card[-4:], None, {"status": "active"}),
        ("card.block", card[-4:], {"status": "active"}, {"status": "blocked"}),
        ("card.unblock", card[-4:], {"status": "blocked"}, {"status": "active"}),
        (
            "card.replace",
            card[-4:],
            {"status": "active"},
            {"status": "replaced", "card": new[-4:]},
        ),
    ]
    assert {(act.actor, act.place) for act in found} == {(key_of(telecom), "127.0.0.1")}
    assert all(act.at == START and act.member_id is not None for act in found)


async def test_who_set_a_pin_or_reset_it_is_told_and_no_pin(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    card = await telecom.enrol()
    path = f"/v1/cards/{card}/pin"
    await telecom.post(path, {"pin": "7306"}, key=None)
    await telecom.post(path, {"pin": "9142", "old_pin": "7306"}, key=None)
    refused = await telecom.post(path, {"pin": "8053", "old_pin": "7306"}, key=None)
    assert refused.status_code == 403
    await house.post(path, {"pin": "5829"}, key=None)
    found = await of_kind(world.engine, "pin")
    assert [(act.action, act.object, act.actor) for act in found] == [
        ("pin.set", card[-4:], key_of(telecom)),
        ("pin.set", card[-4:], key_of(telecom)),
        ("pin.reset", card[-4:], key_of(house)),
    ]
    for act in found:
        assert (act.before, act.after) == (None, None)
        assert act.member_id is not None


async def test_who_corrected_or_erased_a_member_is_told_and_not_what_stood_there(
    world: World,
) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    made = await telecom.post("/v1/members", {"external_ref": "customer-17", "locale": "zh"})
    member = made.json()["member_id"]
    correction = {"external_ref": "customer-18", "locale": None}
    headers = {"Authorization": f"Bearer {telecom.bearer}"}
    for _ in range(2):
        path = f"/v1/members/{member}"
        answer = await world.client.patch(path, json=correction, headers=headers)
        assert answer.status_code == 200, answer.text
    for _ in range(2):
        assert (await house.post(f"/v1/members/{member}/erase")).status_code == 200
    found = await of_kind(world.engine, "member")
    assert [(act.action, act.object, act.actor, act.after) for act in found] == [
        ("member.correct", member, key_of(telecom), {"fields": ["external_ref", "locale"]}),
        ("member.correct", member, key_of(telecom), {"fields": ["external_ref", "locale"]}),
        ("member.erase", member, key_of(house), None),
    ]
    assert "customer" not in str(await acts(world.engine))


async def test_whom_retention_erased_is_told_as_its_act(world: World) -> None:
    telecom = world.till("telecom")
    members = [(await telecom.post("/v1/members", {"locale": "zh"})).json() for _ in range(3)]
    late = world.clock.now + timedelta(days=400)
    retention = Actor("job:retention")
    for expected in (3, 0):
        assert await erase_silent(world.engine, late, 365, actor=retention) == expected
    found = await of_kind(world.engine, "member")
    assert {act.object for act in found} == {one["member_id"] for one in members}
    assert [(act.action, act.actor, act.at) for act in found] == [
        ("member.erase", "job:retention", late)
    ] * 3


async def test_who_cancelled_a_file_is_told_once(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    row = b'{"op":"earn","key":"row","card":"%s","points":5}' % (await telecom.enrol()).encode()
    is_over = await posted(world, telecom, row)
    # One that is over is not cancelled any more.
    await house.post(f"/v1/batches/{spelt(is_over.batch_id)}/cancel", key=None)
    assert await of_kind(world.engine, "batch") == []
    async with owner(world.engine).begin() as connection:
        again = "update batch set status = 'running', finished_at = null, place = gen_random_uuid()"
        await connection.execute(text(again))
    for till in (house, telecom):
        await till.post(f"/v1/batches/{spelt(is_over.batch_id)}/cancel", key=None)
    (act,) = await of_kind(world.engine, "batch")
    told = (act.action, act.object, act.actor, act.place)
    assert told == ("batch.cancel", spelt(is_over.batch_id), key_of(house), "127.0.0.1")


async def test_behind_a_proxy_that_is_trusted_the_act_names_whom_it_names(serve: Serve) -> None:
    world = await serve(trusted_proxies=(ip_network("127.0.0.1/32"),))
    telecom = world.till("telecom")
    card = await telecom.enrol()
    forwarded = {"X-Forwarded-For": "203.0.113.9, 2001:db8::7"}
    answer = await telecom.send(f"/v1/cards/{card}/block", b"{}", **forwarded)
    assert answer.status_code == 200, answer.text
    assert (await of_kind(world.engine, "card"))[-1].place == "2001:db8::7"


async def test_a_change_that_is_refused_leaves_no_act(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.post(f"/v1/cards/{card}/replace")
    before = len(await acts(world.engine))
    for change in ("block", "unblock", "replace"):
        assert (await telecom.post(f"/v1/cards/{card}/{change}")).status_code == 409
    assert len(await acts(world.engine)) == before


async def test_whoever_ends_a_window_is_named_early_or_not(world: World) -> None:
    house = world.till("house")
    await house.post("/v1/windows/2017-03/close", {"early": True})
    april = datetime(2017, 5, 2, tzinfo=UTC)
    await close_due(world.engine, april, actor=Actor("job:close"))
    found = [act for act in await of_kind(world.engine, "window") if act.action == "window.close"]
    assert [(act.object, act.actor) for act in found] == [
        ("2017-03", key_of(house)),
        ("2017-03-10..2017-03-31", "job:close"),
        ("2017-04", "job:close"),
    ]
    assert [act.after["early"] for act in found if act.after] == [True, False, False]
    assert found[0].place == "127.0.0.1"
    # A dry run and a second close change nothing.
    count = len(await acts(world.engine))
    for body in ({"dry_run": True}, {}):
        await house.post("/v1/windows/2017-04/close", body)
    assert len(await acts(world.engine)) == count


async def test_a_sync_says_which_terms_of_whom_became_what(world: World) -> None:
    telecom, *others = TERMS
    changed: Any = telecom.__class__(
        **{name: getattr(telecom, name) for name in telecom.__struct_fields__}
        | {"hold_seconds_max": 60}
    )
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [changed, *others], world.clock.now, SOMEBODY)
    added = [act for act in await of_kind(world.engine, "merchant") if act.before is None]
    assert {act.object for act in added} == {"house", *(one.code for one in TERMS)}
    (act,) = (act for act in await of_kind(world.engine, "merchant") if act.before is not None)
    assert (act.object, act.actor, act.place) == ("telecom", "command:test", "ann@desk")
    assert act.before == {"hold_seconds_max": 3600}
    assert act.after is not None
    assert act.after["hold_seconds_max"] == 60
    assert any("hold_seconds_max" in change for change in act.after["changes"])
    # A second run changes nothing, and says nothing.
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, [changed, *others], world.clock.now, SOMEBODY)
    assert len([a for a in await of_kind(world.engine, "merchant") if a.before is not None]) == 1


async def test_each_change_of_a_key_is_recorded_and_never_its_secret(world: World) -> None:
    (key_id,) = (await world.key("plain", "earn")).split("_")[2:3]
    now = world.clock.now
    async with world.engine.begin() as connection:
        day = (now + timedelta(days=10)).date()
        await key_store.expire(connection, key_id, day, now, actor=SOMEBODY)
        await key_store.revoke(connection, key_id, now, actor=SOMEBODY)
        await key_store.revoke(connection, key_id, now, actor=SOMEBODY)
        await key_store.rotate(connection, pepper=b"p", merchant="plain", now=now, actor=SOMEBODY)
    found = await of_kind(world.engine, "key")
    told = [(act.action, act.before, act.after) for act in found if act.object == key_id]
    assert [action for action, _, _ in told] == ["key.create", "key.expire", "key.revoke"]
    assert told[1][1:] == ({"expires_on": None}, {"expires_on": str(day)})
    assert found[-1].action == "key.rotate"
    everything = str(found)
    for key in world.keys.values():
        assert key.split("_")[3][:20] not in everything


async def test_the_audit_names_no_person_and_no_whole_card(world: World) -> None:
    telecom = world.till("telecom")
    answer = await telecom.post(
        "/v1/members",
        {"external_ref": "customer-17", "phone": "+8613800138000", "birthday": "1990-02-28"},
    )
    card = answer.json()["card"]
    new = (await telecom.post(f"/v1/cards/{card}/replace")).json()["card"]
    told = str(await acts(world.engine))
    for secret in (card, new, "customer-17", "13800138000", "1990"):
        assert secret not in told


@pytest.mark.parametrize(
    "statement", ["update audit set actor = null", "delete from audit", "truncate audit"]
)
async def test_what_was_done_cannot_be_rewritten(world: World, statement: str) -> None:
    with pytest.raises(Exception, match=r"history is appended to, never changed|permission denied"):
        async with world.engine.begin() as connection:
            await connection.execute(text(statement))
    assert await acts(world.engine)


async def test_the_house_alone_reads_the_audit_page_by_page_the_newest_first(
    world: World,
) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    cards = [await telecom.enrol() for _ in range(3)]
    refused = await telecom.get("/v1/audit")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    first = (await house.get("/v1/audit", limit=2)).json()
    assert [one["object"] for one in first["items"]] == [cards[2][-4:], cards[1][-4:]]
    then = (await house.get("/v1/audit", limit=1, cursor=first["next_cursor"])).json()
    assert then["items"][0] == {
        "at": "2017-03-10T04:00:00Z",
        "by": key_of(telecom),
        "from": "127.0.0.1",
        "action": "card.issue",
        "object": cards[0][-4:],
        "member_id": then["items"][0]["member_id"],
        "before": None,
        "after": {"status": "active"},
    }
    assert then["items"][0]["member_id"].startswith("mem_")


async def test_a_key_past_its_last_day_is_refused_like_a_revoked_one(world: World) -> None:
    now_s = 100.0
    access = Access(world.engine, PEPPER, 0, lambda: now_s, world.clock)
    authorization = f"Bearer {world.keys['telecom']}"
    async with world.engine.begin() as connection:
        # Until the end of 10 March where the merchant is, which is 16:00 UTC.
        key_id = world.keys["telecom"].split("_")[2]
        await key_store.expire(connection, key_id, START.date(), START)
    assert (await access.authenticate(authorization)).code == "telecom"
    world.clock.pass_(hours=12)
    now_s += KEY_CACHE_S
    with pytest.raises(CoalitionError, match="past its last day") as refused:
        await access.authenticate(authorization)
    assert refused.value.code is Code.UNAUTHENTICATED


async def test_refused_sign_ins_throttling_and_acts_are_counted_and_told_without_a_secret(
    serve: Serve, logged: list[EventDict]
) -> None:
    world = await serve(requests_per_second_max=2)
    telecom, house = world.till("telecom"), world.till("house")
    guessed = mint(live=True).text
    for bearer in ("", "coal_live_nonsense", guessed, guessed):
        assert (await Till(world.client, bearer).get("/v1/windows")).status_code == 401
    card = await telecom.enrol()
    await telecom.post(f"/v1/cards/{card}/block")
    for _ in range(3):
        await house.get("/v1/windows")
    told = (await world.client.get("/metrics")).text
    assert "coalition_refused_signins_total 4.0" in told
    assert "coalition_throttled_total 1.0" in told
    assert 'coalition_admin_acts_total{action="card.block"} 1.0' in told
    assert 'coalition_admin_acts_total{action="card.issue"} 1.0' in told
    lines = [line for line in logged if line["log_level"] == "warning"]
    assert [line["event"] for line in lines] == ["sign-in refused", "card.block", "throttled"]
    assert lines[1]["by"] == key_of(telecom)
    assert card not in str(logged)
    assert telecom.bearer.split("_")[3] not in str(logged)


async def test_what_is_rolled_back_is_no_act_and_is_counted_as_none(
    world: World, logged: list[EventDict]
) -> None:
    answer = await world.till("banned").post("/v1/members")
    assert (answer.status_code, answer.json()["code"]) == (409, "merchant_suspended")
    assert [act for act in await acts(world.engine) if act.action == "card.issue"] == []
    assert "card.issue" not in (await world.client.get("/metrics")).text
    somebody = await world.till("telecom").enrol()
    told: list[str] = []
    actor = Actor("command:test", on_act=lambda _, action: told.append(action))
    async with world.engine.connect() as connection:
        await audit.record(connection, actor, START, "card.block", somebody[-4:])
        await connection.rollback()
    assert told == []
    async with world.engine.begin() as connection:
        await audit.record(connection, actor, START, "card.block", somebody[-4:])
        assert told == [], "it may still be rolled back"
    assert told == ["card.block"]


async def test_who_looked_at_all_of_a_person_is_told(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    made = (await telecom.post("/v1/members", {"phone": "+8613800138000"})).json()
    member = made["member_id"]
    assert (await world.till("retail").get(f"/v1/members/{member}/export")).status_code == 404
    for till in (telecom, house):
        assert (await till.get(f"/v1/members/{member}/export")).status_code == 200
    found = await of_kind(world.engine, "member")
    assert [(act.action, act.object, act.actor) for act in found] == [
        ("member.export", member, key_of(telecom)),
        ("member.export", member, key_of(house)),
    ]
    assert "13800138000" not in str(found)


async def test_that_persons_are_sealed_anew_is_told(world: World) -> None:
    await world.till("telecom").post("/v1/members", {"phone": "+8613800138000"})
    ring = Keyring(PEPPER, {1: b"1" * 32})
    for _ in range(2):
        await seal_anew(world.engine, ring, START, actor=SOMEBODY)
    told = [(act.object, act.actor, act.after) for act in await of_kind(world.engine, "personal")]
    # The second time there was nothing to do.
    assert told == [("1", "command:test", None)]
