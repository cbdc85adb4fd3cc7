"""Another merchant's card: block, unblock or replace it by any members key, suspended or not.

telecom enrols the member; retail serves it, plain is a stranger. banned is suspended.
"""

import pytest
from msgspec.structs import replace as changed
from sqlalchemy import text
from tests.coalition.api.conftest import HOUSE, TERMS, Till, World
from tests.coalition.api.test_codes import NOBODY, assert_problem

from coalition.errors import Code
from coalition.members.card import make_card
from coalition.terms.store import sync

ACTS = ("block", "unblock", "replace")


@pytest.fixture
async def card(world: World) -> str:
    """Of a member that telecom enrolled and retail served."""
    number = await world.till("telecom").enrol()
    await world.till("telecom").earn(number, 100)
    await world.till("retail").earn(number, 50)
    return number


async def _status(world: World, card: str) -> str:
    answer = await world.till("house").get(f"/v1/cards/{card}")
    return str(answer.json()["status"])


async def _does(till: Till, card: str, act: str) -> str:
    """The status that it answers, the new number, or the code of what refuses it."""
    answer = await till.post(f"/v1/cards/{card}/{act}")
    body = answer.json()
    return str(body["code"] if answer.is_error else body.get("status", body["card"]))


@pytest.mark.parametrize("act", ACTS)
async def test_a_stranger_changes_no_card_and_is_told_that_there_is_none(
    world: World, card: str, act: str
) -> None:
    plain, before = world.till("plain"), await world.rows()
    answers = [await plain.post(f"/v1/cards/{number}/{act}") for number in (card, NOBODY)]
    for answer in answers:
        assert_problem(answer, Code.UNKNOWN_CARD)
    # In the same words, but for the number.
    assert answers[0].text.replace(card, NOBODY) == answers[1].text
    assert await world.rows() == before


async def test_a_stranger_finds_no_replaced_card_either(world: World, card: str) -> None:
    assert len(await _does(world.till("telecom"), card, "replace")) == 16
    for act in ACTS:
        assert await _does(world.till("plain"), card, act) == Code.UNKNOWN_CARD
        # Whoever may know it is told what became of it.
        assert await _does(world.till("telecom"), card, act) == Code.CARD_NOT_ACTIVE


@pytest.mark.parametrize("code", ["telecom", "retail", "house"])
async def test_who_enrolled_or_served_the_member_blocks_its_card_and_unblocks_it_again(
    world: World, card: str, code: str
) -> None:
    till = world.till(code)
    assert [await _does(till, card, act) for act in ("block", "block", "unblock", "unblock")] == [
        "blocked", "blocked", "active", "active",
    ]  # fmt: skip


async def test_only_who_blocked_it_or_the_house_unblocks_a_card(world: World, card: str) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    assert await _does(retail, card, "block") == "blocked"
    assert await _does(telecom, card, "unblock") == Code.UNKNOWN_CARD
    # Blocking it too does not make it the other one's to unblock.
    assert await _does(telecom, card, "block") == "blocked"
    assert await _does(telecom, card, "unblock") == Code.UNKNOWN_CARD
    assert await _status(world, card) == "blocked"
    assert await _does(world.till("house"), card, "unblock") == "active"
    assert await _does(telecom, card, "block") == "blocked"
    assert await _does(retail, card, "unblock") == Code.UNKNOWN_CARD


async def test_what_the_house_blocked_the_house_alone_unblocks_and_replaces(
    world: World, card: str
) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    assert await _does(telecom, card, "block") == "blocked"
    assert await _does(house, card, "block") == "blocked"
    assert await _does(telecom, card, "unblock") == Code.UNKNOWN_CARD
    # A new number would be a way around it.
    assert await _does(telecom, card, "replace") == Code.CARD_NOT_ACTIVE
    assert await _status(world, card) == "blocked"
    assert len(await _does(house, card, "replace")) == 16


async def test_only_the_enroller_the_issuer_and_the_house_replace_a_card(
    world: World, card: str
) -> None:
    telecom, retail, house = (world.till(code) for code in ("telecom", "retail", "house"))
    assert await _does(retail, card, "replace") == Code.UNKNOWN_CARD
    second = await _does(telecom, card, "replace")
    third = await _does(house, second, "replace")
    # The house issued it; the enroller may go on.
    assert await _does(retail, third, "replace") == Code.UNKNOWN_CARD
    assert await _does(retail, third, "block") == "blocked"
    assert len(await _does(telecom, third, "replace")) == 16


async def test_a_suspended_merchant_changes_no_card_and_enrols_nobody(world: World) -> None:
    retail = world.till("retail")
    own = await retail.enrol()
    await retail.earn(own, 50)
    blocked = await retail.enrol()
    assert await _does(retail, blocked, "block") == "blocked"
    await _suspend(world, "retail")
    before = await world.rows()
    for act in ACTS:
        assert await _does(retail, own, act) == Code.MERCHANT_SUSPENDED
        assert await _does(retail, blocked, act) == Code.MERCHANT_SUSPENDED
        assert await _does(retail, NOBODY, act) == Code.UNKNOWN_CARD
    for body in ({}, {"external_ref": "r-1"}):
        assert_problem(await retail.post("/v1/members", body), Code.MERCHANT_SUSPENDED)
    assert await world.rows() == before


async def test_a_suspended_merchant_reverses_and_voids_and_reads_and_nothing_else(
    world: World,
) -> None:
    retail = world.till("retail")
    made, other = (await retail.post("/v1/members")).json(), await retail.enrol()
    member, card = made["member_id"], made["card"]
    earned = await retail.earn(card, 500)
    burned = await retail.burn(card, 10)
    held = [await retail.burn(card, 20, hold=True) for _ in range(2)]
    await _suspend(world, "retail")
    refused = [
        ("/v1/earns", {"card": card, "points": 5}),
        ("/v1/burns", {"card": card, "points": 5}),
        ("/v1/burns", {"card": card, "points": 5, "hold": True}),
        ("/v1/transfers", {"from_card": card, "to_card": other, "points": 5}),
        (f"/v1/burns/{held[0]['burn_id']}/capture", {}),
    ]
    for path, body in refused:
        assert_problem(await retail.post(path, body), Code.MERCHANT_SUSPENDED)
    rows = b'{"op": "earn", "key": "1", "card": "%s", "points": 5}\n' % card.encode()
    file = await retail.send("/v1/batches", rows, **{"Content-Type": "application/x-ndjson"})
    assert_problem(file, Code.MERCHANT_SUSPENDED)
    assert_problem(await retail.get(f"/v1/cards/{card}"), Code.MERCHANT_SUSPENDED)
    assert_problem(await retail.get(f"/v1/members/{member}/export"), Code.MERCHANT_SUSPENDED)
    # What it has done is its own to read and to undo.
    for path in (
        "/v1/windows",
        f"/v1/cards/{card}/history",
        f"/v1/burns/{burned['burn_id']}",
        f"/v1/lots/{earned['lots'][0]['lot_id']}",
    ):
        assert (await retail.get(path)).status_code == 200, path
    for path in (
        f"/v1/burns/{held[0]['burn_id']}/void",
        f"/v1/burns/{burned['burn_id']}/reverse",
        f"/v1/earns/{earned['earn_id']}/reverse",
    ):
        assert (await retail.post(path)).is_success, path
    # A hold whose goods are handed out the house captures.
    capture = f"/v1/burns/{held[1]['burn_id']}/capture"
    assert (await world.till("house").post(capture)).status_code == 200


async def test_what_was_done_before_a_suspension_is_answered_again_after_it(world: World) -> None:
    retail = world.till("retail")
    enrolled = await retail.post("/v1/members", key="e")
    card = enrolled.json()["card"]
    new = await retail.post(f"/v1/cards/{card}/replace", key="r")
    card = new.json()["card"]
    await retail.earn(card, 50)
    held = await retail.burn(card, 20, hold=True)
    capture = f"/v1/burns/{held['burn_id']}/capture"
    captured = await retail.post(capture, key="c")
    await _suspend(world, "retail")
    for path, key, first in (
        ("/v1/members", "e", enrolled),
        (f"/v1/cards/{enrolled.json()['card']}/replace", "r", new),
        (capture, "c", captured),
    ):
        again = await retail.post(path, key=key)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotent-replayed"] == "true"


async def test_a_replacement_repeated_under_its_key_is_the_same_number_for_ever(
    world: World, card: str
) -> None:
    telecom = world.till("telecom")
    path = f"/v1/cards/{card}/replace"
    first = await telecom.post(path, key="lost")
    assert "idempotent-replayed" not in first.headers
    new = first.json()["card"]
    # Whatever becomes of that card.
    for act in ("block", "replace"):
        again = await telecom.post(path, key="lost")
        assert (again.status_code, again.json()) == (201, {"card": new})
        assert again.headers["idempotent-replayed"] == "true"
        await telecom.post(f"/v1/cards/{new}/{act}")
    assert (await telecom.post(path, key="lost")).json() == {"card": new}
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from card")) == 3


async def test_a_replacements_key_is_good_for_one_card(world: World, card: str) -> None:
    telecom = world.till("telecom")
    await telecom.post(f"/v1/cards/{card}/replace", key="lost")
    other = await telecom.enrol()
    assert_problem(
        await telecom.post(f"/v1/cards/{other}/replace", key="lost"), Code.IDEMPOTENCY_KEY_REUSED
    )
    # What is wrong with the card comes first, and another merchant's key is its own.
    unknown = str(make_card(7))
    assert_problem(
        await telecom.post(f"/v1/cards/{unknown}/replace", key="lost"), Code.UNKNOWN_CARD
    )
    dead = await telecom.enrol()
    await telecom.post(f"/v1/cards/{dead}/replace")
    assert_problem(
        await telecom.post(f"/v1/cards/{dead}/replace", key="lost"), Code.CARD_NOT_ACTIVE
    )
    answer = await world.till("house").post(f"/v1/cards/{other}/replace", key="lost")
    assert answer.status_code == 201


async def test_any_merchant_with_the_card_in_hand_reads_its_balance(
    world: World, card: str
) -> None:
    assert (await world.till("plain").get(f"/v1/cards/{card}")).json()["available"] == 150


async def _suspend(world: World, code: str) -> None:
    terms = [changed(one, suspended=True) if one.code == code else one for one in TERMS]
    world.clock.pass_(seconds=1)
    async with world.engine.begin() as connection:
        await sync(connection, HOUSE, terms, world.clock.now)
