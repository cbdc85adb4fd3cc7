"""One row of a file to a ledger request, or to the refusal that the same body over HTTP would meet.

Pure, exact, and the reference for quick.py, which reads plain rows the same way in less time. Where
rows come from is lines.py; what its body asks for is wire/read.py, the same for all doors.
"""

from collections.abc import Callable

import msgspec

from coalition.batches.cells import fields_of
from coalition.errors import CoalitionError, Code
from coalition.ledger.commands import Refused, Request
from coalition.wire.bodies import (
    Body,
    BurnBody,
    CardText,
    EarnBody,
    Reference,
    ReverseBurnBody,
    ReverseBurnCalledBody,
    ReverseEarnBody,
    ReverseEarnCalledBody,
)
from coalition.wire.explain import in_words
from coalition.wire.keys import is_key
from coalition.wire.read import SCOPES, Asker, Operation, read, refusal
from coalition.wire.syntax import check_syntax
from coalition.wire.times import exact, with_exact_time

# What a row may ask for.
_OPS: tuple[Operation, ...] = ("earn", "burn", "reverse_earn", "reverse_burn")


class EarnRow(EarnBody, frozen=True, kw_only=True, tag_field="op", tag="earn"):
    key: str


class BurnRow(BurnBody, frozen=True, kw_only=True, tag_field="op", tag="burn"):
    key: str


class ReverseEarnRow(
    ReverseEarnBody, frozen=True, kw_only=True, tag_field="op", tag="reverse_earn"
):
    key: str
    earn_id: str | None = None
    card: CardText | None = None
    reference: Reference | None = None


class ReverseBurnRow(
    ReverseBurnBody, frozen=True, kw_only=True, tag_field="op", tag="reverse_burn"
):
    key: str
    burn_id: str | None = None
    card: CardText | None = None
    reference: Reference | None = None


Row = EarnRow | BurnRow | ReverseEarnRow | ReverseBurnRow


class _Head(msgspec.Struct, frozen=True):
    op: object = None
    key: object = None


_row = msgspec.json.Decoder(Row)
_head = msgspec.json.Decoder(_Head)


def read_json_row(line: bytes, asker: Asker) -> Request | Refused:
    """The request that a line of NDJSON asks for, or why it is refused."""
    try:
        check_syntax(line)
        return _read(_head.decode(line), lambda: with_exact_time(_row.decode(line), line), asker)
    except CoalitionError as error:
        # The words are those for a request's body.
        return refusal(CoalitionError(error.code, error.detail.replace("the body", "the row", 1)))


def read_csv_row(cells: dict[str, str], asker: Asker) -> Request | Refused:
    """The request that a CSV record asks for; `cells` are its cells that are not empty, by name."""
    head = _Head(cells.get("op"), cells.get("key"))
    try:
        return _read(head, lambda: _from_cells(cells), asker)
    except CoalitionError as error:
        return refusal(error)


def _from_cells(cells: dict[str, str]) -> Row:
    fields = fields_of(cells)
    at = fields.get("occurred_at")
    spelt = {} if at is None else {"occurred_at": exact(at)}
    row: Row = msgspec.convert(fields | spelt, Row)
    return row


def key_in(line: bytes) -> str | None:
    """The key that a line of NDJSON states, whatever else is wrong with it."""
    try:
        key = _head.decode(line).key
    except (msgspec.MsgspecError, RecursionError):
        return None
    return key if isinstance(key, str) and is_key(key) else None


def _read(head: _Head, decode: Callable[[], Row], asker: Asker) -> Request | Refused:
    # In the order of the API's errors: scope, then key, then fields.
    op = next((one for one in _OPS if one == head.op), None)
    if op is not None and not asker.may(op):
        raise CoalitionError(Code.SCOPE_MISSING, f"this key lacks the scope {SCOPES[op]}")
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


def _request(row: Row, asker: Asker) -> Request | Refused:
    match row:
        case EarnRow():
            return read("earn", _as_body(row, EarnBody), row.key, asker)
        case BurnRow():
            if row.pin is not None:
                raise CoalitionError(
                    Code.INVALID, "pin: a file holds no PIN; send what needs one as POST /v1/burns"
                )
            return read("burn", _as_body(row, BurnBody), row.key, asker)
        case ReverseEarnRow():
            wanted = _named("earn_id", row.earn_id, row, ReverseEarnBody, ReverseEarnCalledBody)
            return read("reverse_earn", wanted, row.key, asker, row.earn_id or "")
        case ReverseBurnRow():
            wanted = _named("burn_id", row.burn_id, row, ReverseBurnBody, ReverseBurnCalledBody)
            return read("reverse_burn", wanted, row.key, asker, row.burn_id or "")


def _named(
    field: str,
    target: str | None,
    row: ReverseEarnRow | ReverseBurnRow,
    by_id: type[Body],
    by_reference: type[Body],
) -> Body:
    """The body of a reversal, which names a movement by its id or by card and reference."""
    if target is not None and row.card is None and row.reference is None:
        return _as_body(row, by_id)
    if target is None and row.card is not None and row.reference is not None:
        return _as_body(row, by_reference)
    raise CoalitionError(Code.INVALID, f"{field}, or card and reference, one of the two")


def _as_body(row: Row, wanted: type[Body]) -> Body:
    """The row without its op, key and id: the body whose hash a request over HTTP would have."""
    return wanted(**{name: getattr(row, name) for name in wanted.__struct_fields__})
