"""The one reader of a movement, without a server: what a body asks for, or why it is refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coalition.errors import Code
from coalition.ledger import commands as ask
from coalition.ledger.commands import Command, Refused, Request
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import HouseTerms, Terms
from coalition.wire import ids
from coalition.wire.bodies import (
    Body,
    BurnBody,
    EarnBody,
    NothingBody,
    PartBody,
    ReverseBurnBody,
    ReverseBurnCalledBody,
    ReverseEarnBody,
    ReverseEarnCalledBody,
    TakeBody,
    TransferBody,
)
from coalition.wire.keys import body_hash, canonical, request_id
from coalition.wire.read import Asker, Operation, read

CARD, OTHER = "9000000000000001", "9000000000000019"
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=6)
ZONE = ZoneInfo("Asia/Shanghai")
HOUSE = HouseTerms("House", "CNY", "Asia/Shanghai", date(2026, 1, 1), "FREQ=MONTHLY")
MERCHANTS = {
    number: Merchant(number, Terms(code, code, "CNY", "Asia/Shanghai", date(2026, 1, 1)), ZONE)
    for number, code in ((2, "telecom"), (3, "retail"))
}
BOOK = Book(HOUSE, ZONE, MERCHANTS, {"telecom": 2, "retail": 3}, {2: "telecom", 3: "retail"}, ())
TELECOM = Asker(2, frozenset({"earn", "burn"}), BOOK, NOW)
EARN, BURN = ids.encode(ids.EARN, 7, 3), ids.encode(ids.BURN, 7, 4)

ASKED: list[tuple[Operation, Body, str, Command]] = [
    ("earn", EarnBody(CARD, amount=500), "", ask.Earn(int(CARD), NOW, amount=500)),
    ("burn", BurnBody(CARD, points=5), "", ask.Burn(int(CARD), 5, NOW)),
    ("capture", PartBody(points=2), BURN, ask.Capture(7, 4, 2)),
    ("void", NothingBody(), BURN, ask.Void(7, 4)),
    ("reverse_burn", ReverseBurnBody(), BURN, ask.ReverseBurn(7, 4)),
    ("reverse_burn", ReverseBurnBody(2, NOW), BURN, ask.ReverseBurn(7, 4, 2, NOW)),
    ("reverse_earn", ReverseEarnBody(amount=9), EARN, ask.ReverseEarn(7, 3, amount=9)),
    ("reverse_earn", ReverseEarnBody(2, None, NOW), EARN, ask.ReverseEarn(7, 3, 2, None, NOW)),
    (
        "reverse_burn",
        ReverseBurnCalledBody(CARD, "r-1", 2, NOW),
        "",
        ask.ReverseBurnCalled(int(CARD), "r-1", 2, NOW),
    ),
    (
        "reverse_earn",
        ReverseEarnCalledBody(CARD, "r-1", amount=9),
        "",
        ask.ReverseEarnCalled(int(CARD), "r-1", amount=9),
    ),
    ("transfer", TransferBody(CARD, OTHER, 5), "", ask.Transfer(int(CARD), int(OTHER), 5)),
]


@pytest.mark.parametrize(("operation", "body", "target", "command"), ASKED)
def test_a_body_asks_for_its_operation_under_its_key(
    operation: Operation, body: Body, target: str, command: Command
) -> None:
    assert read(operation, body, "k", TELECOM, target) == Request(
        command=command,
        merchant_id=2,
        now=NOW,
        request_id=request_id(2, operation, "k"),
        body_hash=body_hash(body, target),
    )


def test_the_legs_of_a_mix_stand_in_the_order_of_the_request_and_hash_alike() -> None:
    mixes = [{"telecom": 2, "retail": 3}, {"retail": 3, "telecom": 2}]
    found = [
        read("burn", BurnBody(CARD, points=5, take=TakeBody(mix=mix)), "k", TELECOM)
        for mix in mixes
    ]
    takes = []
    for one in found:
        assert isinstance(one, Request)
        assert isinstance(one.command, ask.Burn)
        takes.append(one.command.take.mix)
    assert takes == [((2, 2), (3, 3)), ((3, 3), (2, 2))]
    assert len({one.body_hash for one in found if isinstance(one, Request)}) == 1


@pytest.mark.parametrize(
    ("operation", "body", "target", "code", "words"),
    [
        ("earn", EarnBody(CARD), "", Code.INVALID, "one of amount, items, action and points"),
        ("earn", EarnBody(CARD[:-1] + "2", points=1), "", Code.INVALID, "card:"),
        ("burn", BurnBody(CARD), "", Code.INVALID, "points:"),
        ("transfer", TransferBody(CARD, CARD, 5), "", Code.INVALID, "to_card:"),
        ("reverse_earn", ReverseEarnBody(1, 1), "ern_1", Code.INVALID, "points and amount"),
        ("reverse_earn", ReverseEarnBody(), BURN, Code.NOT_FOUND, "no such earn"),
        ("reverse_burn", ReverseBurnBody(None, LATER), "brn_1", Code.INVALID, "in the future"),
        ("reverse_earn", ReverseEarnBody(None, None, LATER), "", Code.INVALID, "in the future"),
        ("reverse_earn", ReverseEarnCalledBody("12", "r"), "", Code.INVALID, "card:"),
        (
            "reverse_earn",
            ReverseEarnCalledBody(CARD, "r", 1, 1),
            "",
            Code.INVALID,
            "points and amount",
        ),
        ("capture", PartBody(), EARN, Code.NOT_FOUND, "no such burn"),
        ("void", NothingBody(), "", Code.NOT_FOUND, "no such burn"),
    ],
)
def test_what_is_wrong_with_the_fields_comes_before_an_unknown_id(
    operation: Operation, body: Body, target: str, code: Code, words: str
) -> None:
    found = read(operation, body, "k", TELECOM, target)
    assert isinstance(found, Refused)
    assert (found.code, words in found.detail) == (code, True), found


def test_fields_that_are_left_out_do_not_change_what_a_body_is_remembered_by() -> None:
    # As they were hashed before a reversal had a time.
    assert canonical(ReverseEarnBody(amount=9), EARN) == f'["{EARN}",{{"amount":9}}]'.encode()
    assert canonical(ReverseBurnBody(), BURN) == f'["{BURN}",{{}}]'.encode()
    at = ReverseBurnBody(occurred_at=NOW)
    assert body_hash(at, BURN) != body_hash(ReverseBurnBody(), BURN)


def test_the_house_has_no_references_of_its_own() -> None:
    house = Asker(0, frozenset({"house"}), BOOK, NOW)
    body = ReverseBurnCalledBody(CARD, "r-1")
    found = read("reverse_burn", body, "k", house)
    assert isinstance(found, Refused)
    assert (found.code, "use a merchant's key" in found.detail) == (Code.INVALID, True)


def test_the_house_neither_earns_nor_burns() -> None:
    house = Asker(0, frozenset({"house"}), BOOK, NOW)
    for operation, body in (("earn", EarnBody(CARD, amount=1)), ("burn", BurnBody(CARD, points=1))):
        found = read(operation, body, "k", house)  # type: ignore[arg-type]
        assert isinstance(found, Refused)
        assert "use a merchant's key" in found.detail
