"""What is well-formed, and what a field may hold, without a server."""

import msgspec
import pytest

from coalition.errors import CoalitionError, Code
from coalition.wire.bodies import (
    Body,
    BurnBody,
    CloseBody,
    EarnBody,
    EnrolBody,
    NothingBody,
    PartBody,
)
from coalition.wire.keys import body_hash, request_id
from coalition.wire.syntax import check_syntax, decode, may_be_empty

MALFORMED = [
    b"",
    b"[]",
    b"7",
    b'"text"',
    b"null",
    b"{",
    b"{} {}",
    b'{"a":01}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1,"a":2}',
    b'{"a":{"b":1,"b":1}}',
    b'{"a":[{"b":1,"\\u0062":1}]}',
    b'{"a":"\xff"}',
    b'{"a":"\\ud800"}',
    b'{"\\udfff":1}',
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    b'{"a":"line\nbreak"}',
    b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
def test_what_is_not_one_well_formed_object_is_malformed(body: bytes) -> None:
    with pytest.raises(CoalitionError) as refused:
        check_syntax(body)
    assert refused.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' {"a": [1, 2.5e3, true, null, "\\u0000", "\\ud83d\\ude00"], "b": {"a": 1}} ',
        b'{"a":1' + b"0" * 20_000 + b"}",
        '{"a":"长城"}'.encode(),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_well_formed_is_not_yet_valid_but_passes(body: bytes) -> None:
    check_syntax(body)


@pytest.mark.parametrize(
    "points",
    [b'"100"', b"1.5", b"1.0", b"0", b"-1", b"1e3", b"1" + b"0" * 30, b"1" + b"0" * 5_000,
     b"1000000000001", b"true", b"[1]", b"{}"],
    ids=lambda points: repr(points[:10]),
)  # fmt: skip
def test_points_are_whole_numbers_within_bounds(points: bytes) -> None:
    with pytest.raises(CoalitionError) as refused:
        decode(b'{"card":"x","points":' + points + b"}", EarnBody)
    assert refused.value.code is Code.INVALID
    assert "$.points" in refused.value.detail


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"card":"x","bonus":1}', "bonus"),
        ('{"points":5}', "card"),
        ('{"card":9000000000000001,"points":5}', "$.card"),
        ('{"card":"x","reference":"a\\u0000b"}', "$.reference"),
        ('{"card":"x","reference":""}', "$.reference"),
        ('{"card":"x","reference":"' + "r" * 256 + '"}', "$.reference"),
        ('{"card":"x","currency":"cny"}', "$.currency"),
        ('{"card":"x","amount":-1}', "$.amount"),
        ('{"card":"x","amount":"5.00"}', "$.amount"),
        ('{"card":"x","items":[{"amount":1,"price":2}]}', "price"),
        ('{"card":"x","items":[{"amount":1,"quantity":0}]}', "$.items[0].quantity"),
        ('{"card":"x","occurred_at":"2017-03-01T00:00:00"}', "$.occurred_at"),
        ('{"card":"x","occurred_at":"2017-02-30T00:00:00Z"}', "$.occurred_at"),
        ('{"card":"x","occurred_at":1488326400}', "$.occurred_at"),
    ],
)
def test_what_a_field_may_not_hold_is_invalid_and_named(body: str, field: str) -> None:
    with pytest.raises(CoalitionError) as refused:
        decode(body.encode(), EarnBody)
    assert refused.value.code is Code.INVALID
    assert field in refused.value.detail


@pytest.mark.parametrize(
    ("wanted", "body", "words"),
    [
        (EarnBody, '{"card":"x","currency":"cny"}', "$.currency: expected three capital letters"),
        (
            EarnBody,
            '{"card":"x","reference":"\\u0000"}',
            "$.reference: expected text without a NUL",
        ),
        (EarnBody, '{"card":"x","bonus":1}', "bonus is no field here"),
        (EarnBody, '{"card":"x","items":[{}]}', "$.items[0]: amount is missing"),
        (
            EarnBody,
            '{"card":"x","points":"1"}',
            "$.points: expected a whole number or null, got a text",
        ),
        (EarnBody, '{"card":"x","occurred_at":"2017"}', "it reads like 2026-03-01T09:30:00+08:00"),
        (BurnBody, '{"card":"x","take":{"only":"A"}}', "$.take.only: expected a merchant's code"),
        (BurnBody, '{"card":"x","take":{"mix":{"A":1}}}', "a name in $.take.mix: expected a mer"),
        (BurnBody, '{"card":"x","take":"newest"}', '$.take: expected "oldest", "own_first", {'),
        (EnrolBody, '{"locale":"no tag"}', "$.locale: expected a language tag, such as zh-CN"),
        (EnrolBody, '{"phone":"x"}', "$.phone: expected 3 to 64 digits"),
    ],
)
def test_what_would_be_right_is_said_in_plain_words(
    wanted: type[Body], body: str, words: str
) -> None:
    with pytest.raises(CoalitionError) as refused:
        decode(body.encode(), wanted)
    assert words in refused.value.detail
    assert "regex" not in refused.value.detail
    assert "`" not in refused.value.detail


def test_a_body_may_be_absent_only_where_no_field_is_required() -> None:
    assert may_be_empty(PartBody)
    assert may_be_empty(NothingBody)
    assert may_be_empty(CloseBody)
    assert not may_be_empty(EarnBody)
    assert not may_be_empty(BurnBody)


def test_white_space_and_key_order_make_no_other_body() -> None:
    one = decode(b'{"card":"x","points":5,"take":{"mix":{"a":2,"b":3}}}', BurnBody)
    same = decode(b'{ "take": {"mix":{"b":3,"a":2}}, "points":5, "card":"x" }', BurnBody)
    absent = decode(b'{"card":"x","points":5,"hold":false,"reference":null}', BurnBody)
    assert body_hash(one) == body_hash(same)
    assert body_hash(absent) == body_hash(decode(b'{"card":"x","points":5}', BurnBody))


def test_another_value_or_another_target_is_another_body() -> None:
    one, other = PartBody(points=5), PartBody(points=6)
    hashes = {body_hash(one), body_hash(other), body_hash(one, "brn_1"), body_hash(one, "brn_2")}
    assert len(hashes) == 4
    assert all(-(2**63) <= number < 2**63 for number in hashes)


def test_a_body_hash_stays_what_it_was_for_ever() -> None:
    # The ledger keeps these numbers: a change here would refuse the replay of every older request.
    body = msgspec.convert(
        {"card": "9000000000000001", "amount": 12_500, "occurred_at": "2026-03-01T09:30:00+08:00"},
        EarnBody,
    )
    assert body_hash(body) == EARN_HASH
    assert str(request_id(2, "earn", "key-1")) == EARN_REQUEST


EARN_HASH = 6_103_387_440_835_734_909
EARN_REQUEST = "7077a4ee-5f55-5706-af7f-672ae6f363d8"


def test_keys_of_two_merchants_or_two_operations_never_meet() -> None:
    names = [
        (1, "earn", "1"),
        (11, "earn", ""),
        (1, "earn1", ""),
        (1, "burn", "1"),
        (2, "earn", "1"),
    ]
    assert len({request_id(*name) for name in names}) == len(names)
