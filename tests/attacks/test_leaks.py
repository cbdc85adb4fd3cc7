"""What comes back, or stays in a log, of what was sent: 60 KB of it, or a member's card.

An error said again whatever it was about, as long as it was; while the database was away the path
of each request was logged, cards and all; and a lost card's number still showed its points.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from tests.coalition.api.conftest import Till, World
from tests.coalition.api.test_codes import _away, assert_problem

from coalition import logs
from coalition.edge import problems
from coalition.errors import Code
from coalition.failures import in_a_line, in_full

LONG = "x" * 60_000
# Of what was sent, and the words around it.
SHOWN_MAX, ANSWER_MAX = 130, 1_000
ODD = {LONG: LONG}


def _bodies(card: str) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = [
        ("/v1/earns", {"card": LONG, "amount": 5}),
        ("/v1/earns", {"card": card, "amount": 5, "currency": LONG}),
        ("/v1/earns", {"card": card, "amount": 5, "reference": LONG}),
        ("/v1/earns", {"card": card, "amount": 5, "occurred_at": LONG}),
        ("/v1/earns", {"card": card, "amount": LONG}),
        ("/v1/earns", {"card": card, "items": [{"amount": 5, "category": LONG}]}),
        ("/v1/earns", {"card": card, "items": [{"amount": 5} | ODD]}),
        ("/v1/earns", {"card": card, "code": "y" * 130}),
        ("/v1/burns", {"card": card, "points": 5, "take": LONG}),
        ("/v1/burns", {"card": card, "points": 5, "take": {"only": LONG}}),
        ("/v1/burns", {"card": card, "points": 5, "take": {"only": "z" * 63}}),
        ("/v1/burns", {"card": card, "points": 5, "take": {"mix": {LONG: 5}}}),
        ("/v1/burns/" + "b" * 5_000 + "/void", {}),
        ("/v1/earns/reverse", {"card": card, "reference": "r" * 255}),
        ("/v1/members", {"phone": LONG}),
        ("/v1/members", {"birthday": LONG}),
        ("/v1/members", {"locale": LONG}),
        ("/v1/transfers", {"from_card": LONG, "to_card": LONG, "points": 5}),
        ("/v1/windows/2017-03/close", {"dry_run": True, "prices": {"p" * 130: {"q" * 130: "1"}}}),
        ("/v1/windows/2017-03/close", {"dry_run": True, "prices": {"telecom": {"q" * 130: "1"}}}),
        ("/v1/windows/2017-03/close", {"dry_run": True, "prices": {LONG: {}}}),
    ]
    paths = ("earns", "burns", "transfers", "members", "earns/reverse", "windows/2017-03/close")
    return lines + [(f"/v1/{path}", ODD) for path in paths]


async def test_an_error_says_little_of_what_was_sent_again(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    card = await telecom.enrol()
    for path, body in _bodies(card):
        till = house if path.endswith("/close") else telecom
        answer = await till.post(path, body)
        assert 400 <= answer.status_code < 500, (path, str(body)[:80], answer.text[:80])
        _assert_little_of_it(answer.text)
    # Names that stand twice, and bodies that are no JSON, are answered before the fields are read.
    for raw in (f'{{"{LONG}":1,"{LONG}":1}}', f'{{"a":{LONG}}}', LONG, f'["{LONG}"]'):
        _assert_little_of_it((await telecom.send("/v1/earns", raw.encode())).text)


def _assert_little_of_it(text: str) -> None:
    assert len(text) < ANSWER_MAX
    for one in ("x", "y", "z", "b", "r", "p", "q", "m"):
        assert one * SHOWN_MAX not in text


async def test_a_path_a_parameter_and_a_header_are_cut_too(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    some = "m" * 5_000
    for path in (
        f"/v1/cards/{some}",
        f"/v1/lots/{some}",
        f"/v1/batches/{some}",
        f"/v1/windows/{some}/positions",
        f"/v1/windows/2017-03/statements/{some}",
        f"/v1/windows/2017-03/statements/{some}.csv",
        f"/v1/windows?{some}=1",
        f"/v1/windows?limit={some}",
        f"/v1/windows?cursor={some}",
        f"/{some}",
        f"/schema/{some}",
        f"/schema/{some}.json",
    ):
        _assert_little_of_it((await house.get(path)).text)
    _assert_little_of_it((await world.client.delete(f"/v1/cards/{some}")).text)
    for name in ("Content-Encoding", "Content-Type", "Authorization", "Idempotency-Key", "Host"):
        answer = await telecom.send("/v1/batches", b"{}", **{name: some})
        assert 400 <= answer.status_code < 500
        _assert_little_of_it(answer.text)


def test_no_problem_is_longer_than_its_longest_words_whoever_made_it() -> None:
    content = problems.problem(Code.INVALID, 422, LONG).content
    assert len(content.detail) == 500


@pytest.fixture
def _left_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_left_as_it_was")
async def test_no_card_is_logged_while_the_database_is_away(
    world: World, server_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(logs, "LINE_EVERY_S", 0.0)
    telecom = world.till("telecom")
    card = await telecom.enrol()
    logs.configure()
    name = world.engine.url.database
    assert name is not None
    async with _away(server_url, name):
        await _ask_for(telecom, card)
    told = capsys.readouterr().out
    assert "database unavailable" in told
    assert card not in told
    # Where it was is told all the same, as the routes spell it.
    paths = {json.loads(line).get("path") for line in told.splitlines()}
    assert "/v1/cards/{card}" in paths


async def _ask_for(telecom: Till, card: str) -> None:
    spaced = f"{card[:4]}-{card[4:8]}-{card[8:12]}-{card[12:]}"
    for path in (f"/v1/cards/{card}", f"/v1/cards/{card}/history", f"/v1/cards/{spaced}"):
        assert (await telecom.get(path)).status_code in (422, 503)
    for path, body in (
        (f"/v1/cards/{card}/block", {}),
        (f"/v1/cards/{card}/replace", {}),
        ("/v1/earns", {"card": card, "points": 5}),
        ("/v1/transfers", {"from_card": card, "to_card": "9000000000000001", "points": 5}),
    ):
        assert_problem(await telecom.post(path, body), Code.BUSY)


@pytest.mark.usefixtures("_left_as_it_was")
def test_a_card_in_an_error_is_logged_with_its_last_four_digits_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    card = "9000000000000019"
    log = structlog.get_logger()
    try:
        raise KeyError(int(card))
    except KeyError as error:
        log.error("command_failed", exception=in_full(error), error=in_a_line(error))
        log.exception("unexpected")
        logging.getLogger("library").exception("card %s", card)
    log.error(f"card {card}", card=int(card), detail=f"no card has the number {card}.")
    told = capsys.readouterr().out
    assert card not in told
    assert told.count("************0019") >= 7
    # What is no card stays as it is.
    log.info("batch", batch_id="a" + card, size_bytes=10**15, longer=card + "1")
    assert f'"longer": "{card}1"' in capsys.readouterr().out


async def test_a_replaced_card_shows_nothing_of_its_member(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    lost = await telecom.enrol()
    await telecom.earn(lost, 500)
    await telecom.burn(lost, 100)
    new = (await telecom.post(f"/v1/cards/{lost}/replace")).json()["card"]
    for till in (telecom, house):
        assert (await till.get(f"/v1/cards/{lost}")).json() == {
            "card": lost,
            "status": "replaced",
            "available": 0,
            "held": 0,
            "tier": None,
            "origins": [],
            "expiring": [],
            "owed": [],
            "pending": 0,
            "pending_from": [],
        }
        assert_problem(await till.get(f"/v1/cards/{lost}/history"), Code.CARD_NOT_ACTIVE)
        assert (await till.get(f"/v1/cards/{new}")).json()["available"] == 400
        assert len((await till.get(f"/v1/cards/{new}/history")).json()["items"]) == 2
