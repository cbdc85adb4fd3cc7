"""Night files: a chain sends its day's earns and burns at once, over HTTP or to the ledger itself.

The files are made here, posted through POST /v1/batches, and, for comparison, through Ledger.post
in this process, in groups, without HTTP in between.
"""

import http.client
import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.place import Place
from benchmarks.seed import FIRST_MERCHANT_ID, Town, card_of
from benchmarks.servers import ApiServer
from coalition.database import create_engine
from coalition.ledger.commands import Command, Done, Request
from coalition.ledger.post import Ledger
from coalition.terms.book import Book
from coalition.wire.bodies import BurnBody, EarnBody
from coalition.wire.keys import body_hash, request_id
from coalition.wire.movements import read_burn, read_earn

GROUP_ROWS = 2_000
POLL_S = 0.1
# An upload may wait for the server to read on, but not for ever.
REQUEST_TIMEOUT_S = 900


class Row(msgspec.Struct):
    """A row of a file, as POST /v1/batches documents it."""

    op: str
    key: str
    card: str
    amount: int | None = None
    points: int | None = None
    currency: str | None = None
    reference: str | None = None


class FileError(Exception):
    """A file was not taken as it should be; says what the server answered."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a file's rows, and how long it took from the first byte to the last commit."""

    rows: int
    posted: int
    refused: int
    seconds: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


def make_file(place: Place, town: Town, name: str, rows: int, *, burns_of_4: int) -> Path:
    """An NDJSON file; burns_of_4 of every four rows burn, the rest earn. name begins every key."""
    draw = random.Random(name)
    path = place.folder / f"{name}.ndjson"
    with path.open("w") as file:
        for number in range(rows):
            card = card_of(draw.randrange(town.members) + 1)
            if number % 4 < burns_of_4:
                row = f'"op":"burn","points":{draw.randrange(50, 250)}'
            else:
                row = f'"op":"earn","currency":"CNY","amount":{draw.randrange(1_000, 30_000)}'
            file.write(
                f'{{{row},"key":"{name}-{number}","card":"{card}","reference":"n-{number}"}}\n'
            )
    return path


def post_over_http(town: Town, server: ApiServer, path: Path, rows: int) -> Posted | None:
    """Send the file of so many rows and wait until it is done; None where no such route is served.

    Raises FileError where the file is not accepted (404 aside), fails, or comes to other rows.
    """
    key = town.keys.read_text().split()[0]
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": path.stem,
        "Content-Length": str(path.stat().st_size),
    }
    started = time.perf_counter()
    try:
        with path.open("rb") as body:
            status, answer = _ask(server, "POST", "/v1/batches", headers, body)
    except (BrokenPipeError, ConnectionResetError):
        # It was refused before it was read; a small one is answered with the reason.
        status, answer = _ask(server, "POST", "/v1/batches", {**headers, "Content-Length": "0"})
    if status == 404:
        return None
    if status != 202:
        raise FileError(f"POST /v1/batches answered {status}: {answer}")
    where = f"/v1/batches/{answer['batch_id']}"
    while True:
        status, answer = _ask(server, "GET", where, {"Authorization": f"Bearer {key}"})
        if status != 200 or answer["status"] == "failed":
            raise FileError(f"GET {where} answered {status}: {answer}")
        if answer["status"] == "done":
            seconds = time.perf_counter() - started
            if answer["rows"] != rows or answer["posted"] + answer["refused"] != rows:
                raise FileError(f"{path.name} has {rows} rows, all of them new, but: {answer}")
            return Posted(rows, answer["posted"], answer["refused"], seconds)
        time.sleep(POLL_S)


def _ask(
    server: ApiServer, method: str, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request(method, path, body=body, headers=headers)  # type: ignore[arg-type]
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


async def post_in_process(place: Place, town: Town, path: Path) -> Posted:
    """Post the file through the ledger's door, a group after the other, as the first merchant."""
    engine = create_engine(place.url(town.database), place.seal_key)
    ledger = Ledger(engine)
    rows = done = 0
    try:
        await ledger.start()
        started = time.perf_counter()
        with path.open("rb") as file:
            for group in _groups(file, ledger.book):
                outcomes = await ledger.post(group)
                rows += len(outcomes)
                done += sum(isinstance(outcome, Done) for outcome in outcomes)
        seconds = time.perf_counter() - started
    finally:
        await engine.dispose()
    return Posted(rows, done, rows - done, seconds)


def _groups(lines: Iterator[bytes], book: Book) -> Iterator[list[Request]]:
    decoder = msgspec.json.Decoder(Row)
    while group := [decoder.decode(line) for line in itertools.islice(lines, GROUP_ROWS)]:
        now = datetime.now(UTC)
        yield [_request(row, book, now) for row in group]


def _request(row: Row, book: Book, now: datetime) -> Request:
    merchant_id = FIRST_MERCHANT_ID
    body: EarnBody | BurnBody
    command: Command
    if row.op == "earn":
        body = EarnBody(
            card=row.card, amount=row.amount, currency=row.currency, reference=row.reference
        )
        command = read_earn(body, book, merchant_id, now)
    else:
        body = BurnBody(card=row.card, points=row.points, reference=row.reference)
        command = read_burn(body, book, merchant_id, now)
    key = request_id(merchant_id, row.op, row.key)
    return Request(command, merchant_id, now, key, body_hash(body))
