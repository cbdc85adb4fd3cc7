"""A body, or a row, that is all names, blank lines or length: the event loop stood still.

Before anybody was asked for a key, 8,500 names in one object were compared with each other, for two
seconds. What is counted here are comparisons, lines and turns, never seconds.
"""

import asyncio
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from tests import world as small
from tests.coalition.api.conftest import World
from tests.coalition.api.test_codes import assert_problem

from coalition import turns
from coalition.batches.cells import read_header
from coalition.batches.lines import ROW_BYTES_MAX, LineReader
from coalition.batches.reading import GROUP_BYTES_MAX, RowReader
from coalition.batches.store import Batch
from coalition.errors import CoalitionError, Code
from coalition.ledger.commands import Done, Earn, Take
from coalition.ledger.state import Lot
from coalition.ledger.take import take_lots
from coalition.terms.book import Book
from coalition.toml.document import parse_document
from coalition.toml.syntax import slip_in
from coalition.wire import syntax

NAMES = 8_500


class Name(str):
    """A name that counts how often it is compared."""

    compared = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)


def test_a_name_that_stands_twice_is_found_in_one_pass() -> None:
    pairs: list[tuple[str, object]] = [(Name(f"n{number}"), 1) for number in range(NAMES)]
    Name.compared = 0
    with pytest.raises(ValueError, match=f"'n{NAMES - 1}' stands twice"):
        syntax._refuse_twice([*pairs, (Name(f"n{NAMES - 1}"), 2)])
    assert Name.compared <= 2 * NAMES


async def test_a_body_of_many_names_is_malformed_for_anybody(world: World) -> None:
    names = ",".join(f'"{number}":1' for number in range(NAMES))
    body = f'{{{names},"{NAMES - 1}":1}}'[:65_536].encode()
    for path in ("/v1/earns", "/v1/members"):
        answer = await world.client.post(path, content=body)
        assert_problem(answer, Code.MALFORMED)


def test_millions_of_blank_lines_before_a_header_are_not_read() -> None:
    reader = LineReader(io.BytesIO(b"\n" * 100_000 + b"op,key\n"))
    with pytest.raises(CoalitionError, match="blank"):
        read_header(reader)
    assert reader.number <= 100


class Lots(list[Lot]):
    """Lots that count how often somebody goes through all of them."""

    passes = 0

    def __iter__(self) -> Iterator[Lot]:
        self.passes += 1
        return super().__iter__()


def test_a_mix_of_a_hundred_origins_goes_through_the_lots_once() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lots = Lots(
        Lot(1, n, n, n % 100, "purchase", 5, 5, at, at.date(), date(2030, 1, 1), 1)
        for n in range(1_000)
    )
    taken = take_lots(lots, 100, Take("mix", mix=tuple((n, 1) for n in range(100))), 1)
    assert isinstance(taken, list)
    assert (len(taken), lots.passes) == (100, 1)


class Ticks:
    """How often others had their turn, by a clock that moves a millisecond each time it is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._now_s = 0.0
        monkeypatch.setattr(turns, "monotonic_s", self._read)

    def _read(self) -> float:
        self._now_s += 0.001
        return self._now_s

    async def __aenter__(self) -> "Ticks":
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


def reader_of(content: bytes, book: Book) -> RowReader:
    batch = Batch(
        batch_id=uuid4(), merchant_id=book.ids["telecom"], scopes=frozenset({"earn"}),
        format="ndjson", size_bytes=len(content), status="running", row_count=0, posted=0,
        replayed=0, refused=0, read_to_bytes=0, line_count=0, reason=None,
    )  # fmt: skip
    return RowReader(batch, io.BytesIO(content), lambda: book, lambda: small.noon(small.FIRST_DAY))


@pytest.fixture
async def telecom(engine: Any) -> small.World:
    made = small.World(engine)
    await made.sync([small.merchant("telecom")])
    return made


async def test_reading_rows_gives_way_by_time_however_few_they_are(
    telecom: small.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = json.dumps({"op": "earn", "key": "k", "card": "9", "points": 1}).encode()
    reader = reader_of((row + b"\n") * 60, telecom.ledger.book)
    async with Ticks(monkeypatch) as others:
        group = await reader.next_group(2_000)
    assert group is not None
    assert len(group.rows) == 60
    # 60 readings of the clock, 4 ms a turn.
    assert others.count >= 60 // 6


async def test_deciding_gives_way_by_time_however_few_the_requests_are(
    telecom: small.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await telecom.enrol("ann")
    asked = [telecom.request(Earn(person.card, telecom.now, points=1), "telecom") for _ in range(3)]
    await telecom.ledger.post(asked)
    monkeypatch.setattr(turns, "TURN_S", 0.0)
    gave_way = 0

    async def counted(self: turns.Turn) -> None:
        nonlocal gave_way
        gave_way += 1

    monkeypatch.setattr(turns.Turn, "give_way", counted)
    asked = [telecom.request(Earn(person.card, telecom.now, points=1), "telecom") for _ in range(3)]
    outcomes = await telecom.ledger.post(asked)
    assert [isinstance(one, Done) for one in outcomes] == [True] * 3
    assert gave_way == 3
    assert await telecom.breaches() == []


async def test_a_group_of_long_rows_is_bounded_by_its_bytes(telecom: small.World) -> None:
    row = b'{"op":"earn","pad":"' + b"x" * (ROW_BYTES_MAX - 100) + b'"}\n'
    reader = reader_of(row * 200, telecom.ledger.book)
    rows = offset = 0
    while group := await reader.next_group(2_000):
        assert group.read_to_bytes - offset <= GROUP_BYTES_MAX + 4 * ROW_BYTES_MAX
        rows, offset = rows + len(group.rows), group.read_to_bytes
    assert rows == 200


def test_a_line_that_nobody_wrote_by_hand_is_not_searched_for_slips() -> None:
    long = "key = " + " " * 3_000 + "\u201cvalue\u201d"
    assert (
        "curly" in slip_in(long.replace(" " * 3_000, ""), "Invalid value (at line 1, column 7)")[1]
    )
    assert "curly" not in slip_in(long, "Invalid value (at line 1, column 7)")[1]


def test_a_key_of_thousands_of_parts_is_a_mistake() -> None:
    document = parse_document("house.toml", ".".join(["a"] * 200).encode() + b" = 1\n")
    assert [one.message for one in document.mistakes] == [
        "a number is too long, or tables stand too deep inside each other; write less"
    ]
