"""Whatever a till sends wrong, it is told what, and the ledger is as before."""

import asyncio
from typing import Any

import pytest
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.members.card import make_card

NOBODY = str(make_card(5))
FIVE = {"card": "CARD", "points": 5}
INVALID, SHORT = Code.INVALID, Code.INSUFFICIENT_POINTS

# CARD stands for a card with 1,000 telecom points, OTHER for another member's, HELD for a hold of
# 300, BURNED for a burn of 200, EARNED for the earn: all made by telecom, who asks.
BAD: list[tuple[str, Any, Code]] = [
    ("/v1/earns", {"card": "9000000000000000", "points": 5}, INVALID),
    ("/v1/earns", {"card": "900000000000000", "points": 5}, INVALID),
    ("/v1/earns", FIVE | {"bonus": 1}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": 0}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": -5}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": 1.5}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": 1.0}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": 10**30}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": "100"}, INVALID),
    ("/v1/earns", {"card": "CARD", "points": True}, INVALID),
    ("/v1/earns", {"card": "CARD"}, INVALID),
    ("/v1/earns", {"card": "CARD", "items": []}, INVALID),
    ("/v1/earns", FIVE | {"amount": 500}, INVALID),
    ("/v1/earns", {"card": "CARD", "amount": 500, "currency": "EUR"}, INVALID),
    ("/v1/earns", FIVE | {"currency": "EUR"}, INVALID),
    ("/v1/earns", {"card": "CARD", "amount": 500, "items": [{"amount": 501}]}, INVALID),
    ("/v1/earns", {"card": "CARD", "action": "visit"}, INVALID),
    ("/v1/earns", {"card": "CARD", "code": "SPRING"}, INVALID),
    ("/v1/earns", FIVE | {"reference": "a\0b"}, INVALID),
    ("/v1/earns", FIVE | {"occurred_at": "2017-03-10T04:06:00Z"}, INVALID),
    ("/v1/earns", FIVE | {"occurred_at": "9999-12-31T23:59:59Z"}, INVALID),
    ("/v1/earns", FIVE | {"occurred_at": "2016-12-31T15:59:59Z"}, INVALID),
    ("/v1/earns", FIVE | {"occurred_at": "0001-01-01T00:00:00+14:00"}, INVALID),
    ("/v1/earns", {"card": NOBODY, "points": 5}, Code.UNKNOWN_CARD),
    ("/v1/earns/EARNED/reverse", {"points": 1_001}, Code.ALREADY_REVERSED),
    ("/v1/earns/EARNED/reverse", {"amount": 5}, INVALID),
    ("/v1/earns/EARNED/reverse", {"points": 5, "amount": 5}, INVALID),
    ("/v1/earns/BURNED/reverse", {}, Code.NOT_FOUND),
    ("/v1/earns/EARNED/reverse", {"occurred_at": "2017-03-10T03:59:59Z"}, INVALID),
    ("/v1/earns/EARNED/reverse", {"occurred_at": "2017-03-10T04:06:00Z"}, INVALID),
    ("/v1/earns/EARNED/reverse", {"occurred_at": "2017-03-10 04:00:00Z"}, INVALID),
    ("/v1/earns/reverse", {"card": "CARD"}, INVALID),
    ("/v1/earns/reverse", {"card": "CARD", "reference": ""}, INVALID),
    ("/v1/earns/reverse", {"card": "CARD", "reference": "burned"}, Code.NOT_FOUND),
    ("/v1/earns/reverse", {"card": "OTHER", "reference": "earned"}, Code.NOT_FOUND),
    ("/v1/earns/reverse", {"card": NOBODY, "reference": "earned"}, Code.UNKNOWN_CARD),
    (
        "/v1/earns/reverse",
        {"card": "CARD", "reference": "earned", "occurred_at": "2017-03-10T03:59:59Z"},
        INVALID,
    ),
    ("/v1/burns", {"card": "CARD"}, INVALID),
    ("/v1/burns", {"card": "CARD", "reward": "mug"}, INVALID),
    ("/v1/burns", {"card": "CARD", "points": 501}, SHORT),
    ("/v1/burns", FIVE | {"take": "newest"}, INVALID),
    ("/v1/burns", FIVE | {"take": {}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"only": "nobody"}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"only": "house"}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"mix": {"telecom": 4}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"mix": {"telecom": 6}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"mix": {"nobody": 5}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"mix": {}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"mix": {"telecom": 5, "retail": 0}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"only": "retail", "mix": {"telecom": 5}}}, INVALID),
    ("/v1/burns", FIVE | {"take": {"only": "retail"}}, SHORT),
    ("/v1/burns", FIVE | {"take": {"mix": {"telecom": 4, "retail": 1}}}, SHORT),
    ("/v1/burns", FIVE | {"hold_seconds": 60}, INVALID),
    ("/v1/burns", FIVE | {"hold": True, "hold_seconds": 3_601}, INVALID),
    ("/v1/burns", FIVE | {"hold": True, "hold_seconds": 0}, INVALID),
    ("/v1/burns", FIVE | {"hold": 1}, INVALID),
    ("/v1/burns/HELD/capture", {"points": 301}, INVALID),
    ("/v1/burns/HELD/capture", {"points": 0}, INVALID),
    ("/v1/burns/HELD/void", {"points": 5}, INVALID),
    ("/v1/burns/BURNED/capture", {}, Code.NOT_HELD),
    ("/v1/burns/BURNED/void", {}, Code.NOT_HELD),
    ("/v1/burns/BURNED/reverse", {"points": 201}, Code.ALREADY_REVERSED),
    ("/v1/burns/BURNED/reverse", {"occurred_at": "2017-03-10T03:59:59Z"}, INVALID),
    ("/v1/burns/BURNED/reverse", {"occurred_at": "2017-03-10T04:06:00Z"}, INVALID),
    ("/v1/burns/HELD/capture", {"occurred_at": "2017-03-10T04:00:00Z"}, INVALID),
    ("/v1/burns/reverse", {"reference": "burned"}, INVALID),
    ("/v1/burns/reverse", {"card": "CARD", "reference": "burned", "amount": 1}, INVALID),
    ("/v1/burns/reverse", {"card": "CARD", "reference": "earned"}, Code.NOT_FOUND),
    (
        "/v1/burns/reverse",
        {"card": "CARD", "reference": "burned", "points": 201},
        Code.ALREADY_REVERSED,
    ),
    ("/v1/burns/EARNED/reverse", {}, Code.NOT_FOUND),
    ("/v1/burns/%00/void", {}, Code.NOT_FOUND),
    ("/v1/transfers", {"from_card": "CARD", "to_card": "CARD", "points": 5}, INVALID),
    ("/v1/transfers", {"from_card": "CARD", "to_card": "OTHER", "points": 501}, SHORT),
    ("/v1/transfers", {"from_card": "CARD", "to_card": NOBODY, "points": 5}, Code.UNKNOWN_CARD),
    ("/v1/transfers", {"from_card": "CARD", "to_card": "OTHER"}, INVALID),
    ("/v1/members", {"name": "Ann"}, INVALID),
    ("/v1/members", {"birthday": "1990-02-30"}, INVALID),
    ("/v1/members", {"phone": "\0"}, INVALID),
    ("/v1/members", {"locale": "not a tag"}, INVALID),
    ("/v1/cards/9000000000000000/block", {}, INVALID),
    (f"/v1/cards/{NOBODY}/block", {}, Code.UNKNOWN_CARD),
    (f"/v1/cards/{NOBODY}/replace", {}, Code.UNKNOWN_CARD),
    ("/v1/cards/CARD/replace", {"reason": "lost"}, INVALID),
]  # fmt: skip


@pytest.fixture
async def names(world: World) -> dict[str, str]:
    telecom = world.till("telecom")
    card, other = await telecom.enrol(), await telecom.enrol()
    earned = await telecom.earn(card, 1_000, reference="earned")
    burned = await telecom.burn(card, 200, reference="burned")
    held = await telecom.burn(card, 300, hold=True)
    return {
        "CARD": card,
        "OTHER": other,
        "EARNED": earned["earn_id"],
        "BURNED": burned["burn_id"],
        "HELD": held["burn_id"],
    }


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _named(part, names) for key, part in value.items()}
    return names.get(value, value) if isinstance(value, str) else value


async def test_bad_input_is_refused_and_changes_nothing(
    world: World, names: dict[str, str]
) -> None:
    telecom, before = world.till("telecom"), await world.rows()
    for path, body, code in BAD:
        for word, name in names.items():
            path = path.replace(word, name)  # noqa: PLW2901
        answer = await telecom.post(path, _named(body, names))
        found = (answer.status_code, answer.json().get("code"))
        assert found[1] == code, (path, body, answer.text)
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"card":"9000000000000001","card":"9000000000000001","points":5}', Code.MALFORMED),
        (b'{"card":"9000000000000001","take":{"mix":{"a":1,"a":2}}}', Code.MALFORMED),
        (b'{"card":"9000000000000001","points":NaN}', Code.MALFORMED),
        (b"", Code.MALFORMED),
        (b"points=5", Code.MALFORMED),
        (b"{" + b" " * 20_000_000 + b"}", Code.TOO_LARGE),
    ],
    ids=["twice", "twice deeper", "NaN", "empty", "a form", "20 MB"],
)
async def test_a_body_that_cannot_be_read_changes_nothing(
    world: World, content: bytes, code: Code
) -> None:
    before = await world.rows()
    for path in ("/v1/earns", "/v1/burns"):
        assert_problem(await world.till("telecom").send(path, content), code)
    assert await world.rows() == before


async def test_a_body_without_a_length_is_bounded_too(world: World) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    answer = await world.client.post(
        "/v1/earns", content=endless(), headers={"Authorization": f"Bearer {world.keys['telecom']}"}
    )
    assert_problem(answer, Code.TOO_LARGE)


async def test_a_header_that_tells_who_asks_or_what_stands_once(world: World) -> None:
    before = await world.rows()
    right = [
        ("Authorization", f"Bearer {world.keys['telecom']}"),
        ("Idempotency-Key", "once"),
        ("Content-Encoding", "identity"),
    ]
    for twice in right:
        for path in ("/v1/earns", "/v1/members", "/v1/batches"):
            answer = await world.client.post(path, headers=[*right, twice], content=b"{}")
            assert twice[0] in assert_problem(answer, Code.MALFORMED)["detail"]
    answer = await world.client.get("/v1/windows", headers=[right[0], right[0]])
    assert_problem(answer, Code.MALFORMED)
    assert await world.rows() == before


async def test_a_packed_body_is_told_that_it_is(world: World) -> None:
    for path in ("/v1/earns", "/v1/members", "/v1/batches"):
        answer = await world.till("telecom").send(path, b"\x1f\x8b", **{"Content-Encoding": "gzip"})
        assert "Content-Encoding" in assert_problem(answer, Code.MALFORMED)["detail"]


async def test_a_form_that_curl_would_say_it_is_may_be_json(world: World) -> None:
    telecom = world.till("telecom")
    body = b'{"card": "%b", "points": 5}' % (await telecom.enrol()).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await telecom.send("/v1/earns", body, **form)).status_code == 201
    assert (await telecom.send("/v1/earns", body)).headers["idempotent-replayed"] == "true"


async def test_points_outright_need_terms_that_allow_them(world: World) -> None:
    plain = world.till("plain")
    card = await plain.enrol()
    answer = await plain.post("/v1/earns", {"card": card, "points": 5})
    assert "points" in assert_problem(answer, Code.INVALID)["detail"]
    assert (await plain.post("/v1/earns", {"card": card, "amount": 500})).status_code == 201


async def test_the_house_neither_earns_nor_burns(world: World) -> None:
    house = world.till("house")
    card = await house.enrol()
    assert_problem(await house.post("/v1/earns", {"card": card, "points": 5}), Code.INVALID)
    assert_problem(await house.post("/v1/burns", {"card": card, "points": 5}), Code.INVALID)


async def test_a_till_clock_may_run_ahead_by_five_minutes(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    earned = await telecom.earn(card, 5, occurred_at="2017-03-10T12:05:00+08:00")
    assert earned["occurred_at"] == "2017-03-10T04:05:00Z"
    assert earned["recorded_at"] == "2017-03-10T04:00:00Z"


async def test_a_gift_between_two_cards_of_one_member_moves_nothing(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    new = (await telecom.post(f"/v1/cards/{card}/replace")).json()["card"]
    answer = await telecom.post("/v1/transfers", {"from_card": new, "to_card": card, "points": 5})
    assert_problem(answer, Code.CARD_NOT_ACTIVE)


async def test_of_two_captures_at_once_one_wins(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    held = await telecom.burn(card, 100, hold=True)
    path = f"/v1/burns/{held['burn_id']}/capture"
    answers = await asyncio.gather(telecom.post(path), telecom.post(path))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    loser = max(answers, key=lambda answer: answer.status_code)
    assert_problem(loser, Code.NOT_HELD)


async def test_a_window_closes_before_its_end_only_when_that_is_said(world: World) -> None:
    house = world.till("house")
    assert_problem(await house.post("/v1/windows/2017-03/close"), Code.INVALID)
    for unknown in ("2031-01", "%00"):
        answer = await house.post(f"/v1/windows/{unknown}/close")
        assert "the open one is 2017-03" in assert_problem(answer, Code.NOT_FOUND)["detail"].lower()
    body = {"prices": {"telecom": {"burn_price": "1"}}}
    assert_problem(await house.post("/v1/windows/2017-03/close", body), Code.INVALID)
    answers = await asyncio.gather(
        *(house.post("/v1/windows/2017-03/close", {"early": True}) for _ in range(3))
    )
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    windows = (await house.get("/v1/windows")).json()["items"]
    assert [window["status"] for window in windows] == ["open", "closed"]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 501}, {"limit": "ten"}, {"limit": "+5"}, {"limit": " 5"},
     {"limit": "5.0"}, {"limit": "true"}, {"limit": ""}, {"limit": ["5", "6"]}, {"limit": "\u0665"},
     {"page": "2"}, {"cursor": "x"}, {"cursor": "bm86MDc"}, {"cursor": "\0"},
     {"cursor": "bm86OTk5OTk5OTk5OQ"}],
)  # fmt: skip
async def test_a_bad_page_is_invalid(world: World, query: dict[str, Any]) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    for path in (f"/v1/cards/{card}/history", "/v1/windows"):
        assert_problem(await telecom.get(path, **query), Code.INVALID)
