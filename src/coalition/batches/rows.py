"""One row of a file to a ledger request, or to the refusal that the same body over HTTP would meet.

Pure, exact, and the reference for quick.py, which reads plain rows the same way in less time. Where
rows come from is lines.py; what the fields mean is wire/movements.py, the same for both doors.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from coalition.errors import CoalitionError, Code
from coalition.ledger.commands import Command, Refused, Request, ReverseBurn, ReverseEarn
from coalition.terms.book import Book
from coalition.wire import ids
from coalition.wire.bodies import Body, BurnBody, EarnBody, PartBody, ReverseEarnBody
from coalition.wire.explain import in_words
from coalition.wire.keys import body_hash, is_key, request_id
from coalition.wire.movements import read_burn, read_earn
from coalition.wire.syntax import check_syntax
from coalition.wire.times import exact, with_exact_time

# What the results keep of a refusal, so that wrong rows cost little more than right ones.
DETAIL_CHARACTERS_MAX = 200
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,29})")
_INTEGER_COLUMNS = ("amount", "points")
_SCOPES = {"earn": "earn", "reverse_earn": "earn", "burn": "burn", "reverse_burn": "burn"}


class EarnRow(EarnBody, frozen=True, kw_only=True, tag_field="op", tag="earn"):
    key: str


class BurnRow(BurnBody, frozen=True, kw_only=True, tag_field="op", tag="burn"):
    key: str


class ReverseEarnRow(
    ReverseEarnBody, frozen=True, kw_only=True, tag_field="op", tag="reverse_earn"
):
    key: str
    earn_id: str


class ReverseBurnRow(PartBody, frozen=True, kw_only=True, tag_field="op", tag="reverse_burn"):
    key: str
    burn_id: str


Row = EarnRow | BurnRow | ReverseEarnRow | ReverseBurnRow


class _Head(msgspec.Struct, frozen=True):
    op: object = None
    key: object = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose file it is, what its key may do, and what a row is read against. now is the clock."""

    merchant_id: int
    scopes: frozenset[str]
    book: Book
    now: datetime

    def may(self, op: str) -> bool:
        return _SCOPES[op] in self.scopes or "house" in self.scopes


_row = msgspec.json.Decoder(Row)
_head = msgspec.json.Decoder(_Head)


def read_json_row(line: bytes, asker: Asker) -> Request | Refused:
    """The request that a line of NDJSON asks for, or why it is refused."""
    try:
        check_syntax(line)
        return _read(_head.decode(line), lambda: with_exact_time(_row.decode(line), line), asker)
    except CoalitionError as error:
        # The words are those for a request's body.
        return refusal(error.code, error.detail.replace("the body", "the row", 1))


def read_csv_row(cells: dict[str, str], asker: Asker) -> Request | Refused:
    """The request that a CSV record asks for; `cells` are its cells that are not empty, by name."""
    fields: dict[str, Any] = dict(cells)
    for name in _INTEGER_COLUMNS:
        if name in cells and _INTEGER.fullmatch(cells[name]):
            fields[name] = int(cells[name])
    head = _Head(cells.get("op"), cells.get("key"))
    try:
        return _read(head, lambda: _from_cells(fields), asker)
    except CoalitionError as error:
        return refusal(error.code, error.detail)


def _from_cells(fields: dict[str, Any]) -> Row:
    at = fields.get("occurred_at")
    spelt = {} if at is None else {"occurred_at": exact(at)}
    row: Row = msgspec.convert(fields | spelt, Row)
    return row


def refusal(code: Code, detail: str) -> Refused:
    """A refusal whose words are no longer than results keep."""
    return Refused(code, detail[:DETAIL_CHARACTERS_MAX])


def _read(head: _Head, decode: Callable[[], Row], asker: Asker) -> Request:
    # In the order of the API's errors: scope, then key, then fields.
    op = head.op
    if isinstance(op, str) and op in _SCOPES and not asker.may(op):
        raise CoalitionError(Code.SCOPE_MISSING, f"this key lacks the scope {_SCOPES[op]}")
    if not isinstance(head.key, str) or not is_key(head.key):
        raise CoalitionError(
            Code.IDEMPOTENCY_KEY_MISSING,
            "key: 1 to 255 visible ASCII characters, a new one a row",
        )
    try:
        row = decode()
    except msgspec.ValidationError as error:
        raise CoalitionError(Code.INVALID, in_words(error)) from None
    return _request(row, asker)


def _request(row: Row, asker: Asker) -> Request:
    merchant_id, target = asker.merchant_id, ""
    body: Body
    command: Command
    match row:
        case EarnRow():
            op, body = "earn", _as_body(row, EarnBody)
            command = read_earn(row, asker.book, merchant_id, asker.now)
        case BurnRow():
            op, body = "burn", _as_body(row, BurnBody)
            command = read_burn(row, asker.book, merchant_id, asker.now)
        case ReverseEarnRow():
            op, body, target = "reverse_earn", _as_body(row, ReverseEarnBody), row.earn_id
            if row.points is not None and row.amount is not None:
                detail = "points and amount: one of the two, or none for all of it"
                raise CoalitionError(Code.INVALID, detail)
            command = ReverseEarn(*_target(ids.EARN, target), row.points, row.amount)
        case ReverseBurnRow():
            op, body, target = "reverse_burn", _as_body(row, PartBody), row.burn_id
            command = ReverseBurn(*_target(ids.BURN, target), row.points)
    return Request(
        command=command,
        merchant_id=merchant_id,
        now=asker.now,
        request_id=request_id(merchant_id, op, row.key),
        body_hash=body_hash(body, target),
    )


def _as_body(row: Row, wanted: type[Body]) -> Body:
    """The row without its op, key and id: the body whose hash a request over HTTP would have."""
    return wanted(*(getattr(row, name) for name in wanted.__struct_fields__))


def _target(prefix: str, text: str) -> tuple[int, int]:
    found = ids.decode(prefix, text)
    if found is None:
        name = "earn" if prefix == ids.EARN else "burn"
        raise CoalitionError(Code.NOT_FOUND, f"There is no such {name}.")
    return found
