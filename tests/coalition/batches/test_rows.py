"""How lines become rows, and that the quick way reads exactly what the exact way reads."""

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coalition.batches.cells import COLUMNS
from coalition.batches.lines import ROW_BYTES_MAX, Line, LineReader
from coalition.batches.posting import lanes_of
from coalition.batches.quick import QuickReader
from coalition.batches.results import RowResult, count, pack, unpack
from coalition.batches.rows import read_csv_row, read_json_row
from coalition.earning.rates import Rate
from coalition.errors import Code
from coalition.ledger.commands import (
    Burn,
    Done,
    Earn,
    EarnAnswer,
    Refused,
    Request,
    ReverseBurnCalled,
    ReverseEarnCalled,
)
from coalition.members.card import make_card
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import HouseTerms, Terms
from coalition.wire import ids
from coalition.wire.bodies import ReverseBurnCalledBody, ReverseEarnCalledBody
from coalition.wire.read import Asker
from coalition.wire.read import read as read_movement

CARD = str(make_card(4711))
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_TERMS = Terms(
    code="telecom",
    name="Telecom",
    currency="CNY",
    time_zone="Asia/Shanghai",
    joined_on=date(2026, 1, 1),
    rates=(Rate("*", Decimal(1), 100),),
    points_outright=True,
)
_HOUSE = HouseTerms("House", "CNY", "Asia/Shanghai", date(2026, 1, 1), "FREQ=MONTHLY")
_ZONE = ZoneInfo("Asia/Shanghai")
BOOK = Book(_HOUSE, _ZONE, {2: Merchant(2, _TERMS, _ZONE)}, {"telecom": 2}, {2: "telecom"}, ())
ASKER = Asker(2, frozenset({"earn", "burn"}), BOOK, NOW)

TIMES = [
    "2026-10-09T10:11:12+08:00", "2026-10-09T10:11:12Z", "2026-10-09T10:11:12.5Z",
    "2026-10-09T10:11:12+0800", "2026-10-09T10:11:12+0000", "2026-10-09T10:11:12+00:00",
    "2026-10-09 10:11:12-03:30", "2026-10-09T10:11:12", "2026-01-01T00:00:00+08:00",
    "2025-12-31T23:59:59+08:00", "2026-11-01T12:04:00Z", "2026-11-01T12:06:00Z",
    "2026-10-31T23:59:59.9999999+08:00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
]  # fmt: skip
_TEXT = st.text(max_size=12) | st.sampled_from(["a:b", "12:30", "\\", '"', "\u2028", "::"])
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "op": st.sampled_from(["earn", "burn"]),
    "key": st.from_regex(r"\A[!-~]{1,20}\Z") | _TEXT,
    "card": st.sampled_from([CARD, CARD[:-1] + "0", "9", int(CARD)]),
    "amount": st.integers(-1, 10**6) | st.just(10**16),
    "points": st.integers(-1, 10**6) | st.just(1.0) | st.none(),
    "currency": st.sampled_from(["CNY", "USD", "cny"]),
    "reference": _TEXT | st.just("r" * 256),
    "occurred_at": st.sampled_from(TIMES),
    "hold": st.booleans(),
    "take": st.sampled_from(["oldest", "own_first", {"only": "telecom"}]),
}


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_row_at_the_last_moment_of_a_day_stays_in_it_in_every_reader(kind: str) -> None:
    fields = {
        "op": "earn",
        "key": "k",
        "card": CARD,
        "occurred_at": "2026-10-31T23:59:59.9999999+08:00",
    }
    if kind == "csv":
        rows: list[Request | Refused | None] = [read_csv_row(fields | {"amount": "1"}, ASKER)]
    else:
        line = json.dumps(fields | {"amount": 1}).encode()
        rows = [read_json_row(line, ASKER), QuickReader(ASKER).read(line)]
    for row in rows:
        assert isinstance(row, Request)
        assert isinstance(row.command, Earn)
        assert row.command.occurred_at == datetime(2026, 10, 31, 15, 59, 59, 999_999, UTC)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A row as a client might write it: fields in any order, some twice, white space anywhere."""
    likely = ["op", "key", "card", draw(st.sampled_from(["amount", "points"]))]
    optional = st.lists(st.sampled_from(sorted(_FIELDS)), max_size=2)
    names = draw(st.permutations(likely + draw(optional)))
    gap = draw(st.sampled_from(["", " "]))
    is_ascii = draw(st.booleans())
    pairs = [
        f"{json.dumps(name)}{gap}:{gap}{json.dumps(draw(_FIELDS[name]), ensure_ascii=is_ascii)}"
        for name in names
    ]
    return ("{" + ",".join(pairs) + "}").encode("utf-8", "surrogatepass")


@given(lines())
@example(b'{"op":"earn","key":"k","card":"%b","points":1,"points":2}' % CARD.encode())
@example(
    b'{"op":"earn","key":"k","card":"%b","points":1,"points":2,'
    b'"occurred_at":"2026-10-09T10:11:12+0800"}' % CARD.encode()
)
@example(b'{"op":"earn","key":"k","card":"%b","points":1,"reference":"\\u0000"}' % CARD.encode())
@example(b'{"op":"earn","op":"earn","key":"k","card":"%b","points":1}' % CARD.encode())
@example(b'{"op":"burn","key":"a:b","key":"k","card":"%b","points":1}' % CARD.encode())
def test_what_the_quick_way_reads_is_what_the_exact_way_reads(line: bytes) -> None:
    quick = QuickReader(ASKER).read(line)
    if quick is not None:
        assert quick == read_json_row(line, ASKER)


@pytest.mark.parametrize("time", [None, *TIMES[:2]])
@pytest.mark.parametrize("op", ["earn", "burn"])
def test_a_plain_row_is_read_the_quick_way(op: str, time: str | None) -> None:
    row = {"op": op, "key": "a:1", "card": CARD, "points": 5, "reference": "ü 12:30"}
    line = json.dumps(row | ({"occurred_at": time} if time else {}), ensure_ascii=False).encode()
    quick = QuickReader(ASKER).read(line)
    assert isinstance(quick, Request)
    assert quick == read_json_row(line, ASKER)


@pytest.mark.parametrize(
    "changes", [{"points_outright": False}, {"joined_on": date(2026, 10, 31)}, {"suspended": True}]
)
def test_terms_that_may_change_are_the_ledgers_so_that_old_rows_replay(
    changes: dict[str, Any],
) -> None:
    terms = msgspec.structs.replace(_TERMS, **changes)
    book = Book(_HOUSE, _ZONE, {2: Merchant(2, terms, _ZONE)}, {"telecom": 2}, {2: "telecom"}, ())
    asker = Asker(2, ASKER.scopes, book, NOW)
    row = {"op": "earn", "key": "k", "card": CARD, "points": 5, "occurred_at": TIMES[0]}
    line = json.dumps(row).encode()
    assert QuickReader(asker).read(line) == read_json_row(line, asker) == read_json_row(line, ASKER)


def test_a_hold_may_be_as_long_as_the_ledger_lets_it() -> None:
    for seconds, held in ((None, 0), (31_536_000, 31_536_000)):
        row = {"op": "burn", "key": "k", "card": CARD, "points": 5, "hold": True}
        line = json.dumps(row | ({"hold_seconds": seconds} if seconds else {})).encode()
        found = read_json_row(line, ASKER)
        assert isinstance(found, Request)
        assert isinstance(found.command, Burn)
        assert found.command.hold_seconds == held


def test_a_row_that_the_key_may_not_ask_for_is_not_read_the_quick_way() -> None:
    for op, scope in (("earn", "burn"), ("burn", "earn")):
        line = json.dumps({"op": op, "key": "k", "card": CARD, "points": 5}).encode()
        asker = Asker(2, frozenset({scope}), BOOK, NOW)
        assert QuickReader(asker).read(line) is None
        refused = read_json_row(line, asker)
        assert isinstance(refused, Refused)
        assert refused.code is Code.SCOPE_MISSING


def test_the_first_error_in_the_order_of_the_api_is_the_one_that_is_told() -> None:
    rows: list[tuple[dict[str, Any], Code]] = [
        ({"op": "burn", "key": "", "points": "1"}, Code.SCOPE_MISSING),
        ({"op": "earn", "key": "", "points": "1"}, Code.IDEMPOTENCY_KEY_MISSING),
        ({"op": "earn", "key": "k", "card": CARD, "points": "1"}, Code.INVALID),
        ({"op": "reverse_earn", "key": "k", "earn_id": "ern_1", "points": 0}, Code.INVALID),
        ({"op": "reverse_earn", "key": "k", "earn_id": "ern_1"}, Code.NOT_FOUND),
        ({"op": "reverse_earn", "key": "k"}, Code.INVALID),
        ({"op": "reverse_earn", "key": "k", "card": CARD}, Code.INVALID),
        ({"op": "reverse_earn", "key": "k", "reference": "r", "earn_id": "ern_1"}, Code.INVALID),
    ]
    asker = Asker(2, frozenset({"earn"}), BOOK, NOW)
    for row, code in rows:
        refused = read_json_row(json.dumps(row).encode(), asker)
        assert isinstance(refused, Refused)
        assert refused.code is code, (row, refused)


@pytest.mark.parametrize("op", ["reverse_earn", "reverse_burn"])
def test_a_reversal_names_its_movement_by_card_and_reference_too(op: str) -> None:
    fields = {"op": op, "key": "k", "card": CARD, "reference": "r-1", "points": 5}
    fields |= {"occurred_at": "2026-10-31T12:00:00+08:00"}
    found = read_json_row(json.dumps(fields).encode(), ASKER)
    assert isinstance(found, Request)
    at = datetime(2026, 10, 31, 4, tzinfo=UTC)
    wanted = ReverseEarnCalled if op == "reverse_earn" else ReverseBurnCalled
    assert found.command == wanted(int(CARD), "r-1", points=5, occurred_at=at)
    # Over HTTP, under the same key, it is the same request.
    by_reference = ReverseEarnCalledBody if op == "reverse_earn" else ReverseBurnCalledBody
    body = by_reference(CARD, "r-1", points=5, occurred_at=at.astimezone(_ZONE))
    assert found == read_movement(op, body, "k", ASKER)  # type: ignore[arg-type]
    assert read_csv_row({name: str(cell) for name, cell in fields.items()}, ASKER) == found


def test_a_csv_row_asks_for_what_the_same_json_asks_for() -> None:
    cells = {"op": "earn", "key": "k", "card": CARD, "amount": "500", "occurred_at": TIMES[0]}
    line = json.dumps({**cells, "amount": 500}).encode()
    assert read_csv_row(cells, ASKER) == read_json_row(line, ASKER)


_LINE = '[{"amount": 100, "category": "food"}, {"amount": 50}]'


@pytest.mark.parametrize(
    ("op", "column", "cell"),
    [
        ("earn", "items", _LINE),
        ("burn", "take", "own_first"),
        ("burn", "take", "oldest"),
        ("burn", "take", '{"only": "telecom"}'),
        ("burn", "take", ' {"mix": {"telecom": 5}}'),
        ("burn", "hold", "true"),
        ("burn", "hold", "FALSE"),
    ],
)
def test_a_cell_holds_what_the_same_field_of_json_holds(op: str, column: str, cell: str) -> None:
    cells = {"op": op, "key": "k", "card": CARD}
    cells |= {"points": "5"} if op == "burn" else {}
    is_text = cell in ("own_first", "oldest")
    value = cell if is_text else json.loads(cell.lower())
    fields = cells | {column: value} | ({"points": 5} if op == "burn" else {})
    found = read_csv_row(cells | {column: cell}, ASKER)
    assert isinstance(found, Request), found
    assert found == read_json_row(json.dumps(fields).encode(), ASKER)


def test_a_hold_in_cells_lasts_as_long_as_they_say() -> None:
    cells = {"op": "burn", "key": "k", "card": CARD, "points": "5", "hold": "TRUE"}
    found = read_csv_row(cells | {"hold_seconds": "900"}, ASKER)
    assert isinstance(found, Request)
    assert isinstance(found.command, Burn)
    assert found.command.hold_seconds == 900


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("items", "[{", "items: no well-formed JSON"),
        ("items", '[{"amount":1,"amount":2}]', "stands twice"),
        ("items", '[{"amount":1.0}]', "$.items[0].amount"),
        ("items", "3 apples", "$.items: expected a list"),
        ("take", "newest", '$.take: expected "oldest"'),
        ("take", '{"only":"telecom"', "take: no well-formed JSON"),
        ("hold", "yes", "$.hold: expected true or false"),
        ("hold_seconds", "1e3", "$.hold_seconds: expected a whole number"),
    ],
)
def test_a_cell_that_is_wrong_says_what_would_be_right(column: str, cell: str, words: str) -> None:
    op = "earn" if column == "items" else "burn"
    cells = {"op": op, "key": "k", "card": CARD, "points": "5", column: cell}
    found = read_csv_row(cells, ASKER)
    assert isinstance(found, Refused)
    assert (found.code, words in found.detail) == (Code.INVALID, True), found


def read_all(content: bytes, pieces: int = 1) -> list[Line]:
    reader, found = LineReader(io.BytesIO(content)), []
    while not reader.at_end:
        found += reader.take(pieces)
    return found


def test_a_line_is_a_row_up_to_64_kib_and_none_beyond() -> None:
    longest = b"x" * ROW_BYTES_MAX
    for end in (b"\n", b"\r\n", b""):
        assert read_all(longest + end) == [(1, longest)]
        assert read_all(b"x" + longest + end) == [(1, None)]
    for length in range(ROW_BYTES_MAX - 1, ROW_BYTES_MAX + 5):
        content = b"x" * length + b"\nnext\n"
        is_short = length <= ROW_BYTES_MAX
        assert read_all(content) == [(1, b"x" * length if is_short else None), (2, b"next")]


@given(st.lists(st.sampled_from([b"", b"a", b"b" * 7, b"c" * 140_000]), max_size=8), st.booleans())
def test_a_file_is_read_on_from_wherever_a_line_ends(parts: list[bytes], ends: bool) -> None:
    content = b"\n".join(parts) + (b"\n" if ends else b"")
    whole = read_all(content, 100)
    reader, found = LineReader(io.BytesIO(content)), []
    while not reader.at_end:
        found += reader.take(1)
        if reader.is_between_lines and not reader.at_end:
            reader = LineReader(io.BytesIO(content), reader.offset, reader.number)
    assert found == whole
    shown = [None if len(part) > ROW_BYTES_MAX else part for part in parts if part]
    assert [line for _, line in found] == shown


def test_results_come_back_as_they_were_packed() -> None:
    answer = EarnAnswer(7, 3, int(CARD), 2, 50, (), 50, NOW, NOW, "2026-11")
    outcomes: list[Done | Refused] = [
        Done(answer),
        Done(answer, replayed=True),
        Refused(Code.UNKNOWN_CARD, "none"),
    ]
    found = list(unpack(11, pack(outcomes, ["a", "b", None])))
    assert found[0] == RowResult(11, "posted", id=found[1].id, points=50, key="a")
    assert found[1].status == "replayed"
    assert found[2] == RowResult(13, "refused", code="unknown_card", detail="none")
    assert found[1].key == "b"
    counts = count(outcomes)
    assert (counts.posted, counts.replayed, counts.refused) == (1, 1, 1)


def test_results_that_were_packed_without_keys_are_still_read() -> None:
    packed = msgspec.msgpack.encode([(False, ids.EARN, 7, 3, 50), ("unknown_card", "none")])
    name = ids.encode(ids.EARN, 7, 3)
    assert list(unpack(1, packed)) == [
        RowResult(1, "posted", id=name, points=50),
        RowResult(2, "refused", code="unknown_card", detail="none"),
    ]


def read(number: int, key: str, op: str = "earn") -> Request:
    row = {"op": op, "key": key, "card": str(make_card(number)), "points": 5}
    found = read_json_row(json.dumps(row).encode(), ASKER)
    assert isinstance(found, Request)
    return found


def test_rows_of_one_card_are_in_one_lane_in_the_order_of_the_file() -> None:
    rows = [read(place % 7, str(place), "burn" if place % 3 else "earn") for place in range(50)]
    lanes = lanes_of([Refused(Code.INVALID, ""), *rows])
    assert len(lanes) > 1
    assert sorted(place for lane in lanes for place in lane) == list(range(1, 51))
    for number in range(7):
        homes = [n for n, lane in enumerate(lanes) if number + 1 in lane]
        assert set(range(number + 1, 51, 7)) <= set(lanes[homes[0]])
    assert all(lane == sorted(lane) for lane in lanes)


def test_a_reversal_or_a_key_that_stands_twice_puts_all_rows_in_one_lane() -> None:
    earn_id = ids.encode(ids.EARN, 7, 1)
    line = json.dumps({"op": "reverse_earn", "key": "r", "earn_id": earn_id}).encode()
    reversal = read_json_row(line, ASKER)
    rows = [read(number, str(number)) for number in range(10)]
    assert len(lanes_of([*rows])) > 1
    assert lanes_of([*rows, reversal]) == [list(range(11))]
    assert lanes_of([*rows, read(99, "3")]) == [list(range(11))]
    assert lanes_of([]) == []


def test_a_csv_row_says_of_an_earn_all_that_a_body_does() -> None:
    cells = {"op": "earn", "key": "k", "card": CARD, "amount": "900", "action": "survey"}
    cells |= {"channel": "web", "region": "north", "store": "s-1"}
    cells |= {"tax": "90", "delivery": "5", "paid_with_points": "7"}
    found = read_csv_row(cells, ASKER)
    assert isinstance(found, Request)
    body = json.dumps({**cells, "amount": 900, "tax": 90, "delivery": 5, "paid_with_points": 7})
    assert found == read_json_row(body.encode(), ASKER)
    assert found.command == Earn(
        int(CARD),
        NOW,
        amount=900,
        action="survey",
        channel="web",
        region="north",
        store="s-1",
        tax=90,
        delivery=5,
        paid_with_points=7,
    )
    assert set(cells) <= set(COLUMNS)
