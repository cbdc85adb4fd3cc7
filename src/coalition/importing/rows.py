"""A row of a file of history: a member with its card, or a movement of some merchant at its time.

Pure. A movement is a row as `coalition batch` takes it, with its merchant beside it; a reversal may
name what it reverses by that one's key (earn_key, burn_key), since no id is known before it is
posted. Where rows come from is files.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from coalition.audit.actor import of_command
from coalition.batches.rows import read_csv_row, read_json_row
from coalition.errors import CoalitionError, Code, shown
from coalition.importing.members import Newcomer
from coalition.ledger.commands import Refused, Request
from coalition.members.personal import Enrolment
from coalition.terms.book import POOL_ID, Book
from coalition.wire import ids
from coalition.wire.bodies import CardText, EnrolBody
from coalition.wire.explain import in_words
from coalition.wire.keys import request_id
from coalition.wire.movements import EARLIEST, read_card, read_phone
from coalition.wire.read import Asker, refusal
from coalition.wire.syntax import check_syntax
from coalition.wire.times import exact

MEMBER = "member"
# What a CSV file of history may hold beside the columns of a batch.
COLUMNS = (
    "merchant", "earn_key", "burn_key", "enrolled_at", "external_ref", "phone", "birthday",
    "locale",
)  # fmt: skip
# Which row a reversal names by its key: its operation, the prefix of its id, and the id's field.
_REVERSES = {
    "reverse_earn": ("earn", "earn_key", ids.EARN, "earn_id"),
    "reverse_burn": ("burn", "burn_key", ids.BURN, "burn_id"),
}
_BOTH = frozenset({"earn", "burn"})
_ACTOR = of_command("import")


class MemberRow(EnrolBody, frozen=True, kw_only=True):
    """A member row without its op and merchant."""

    card: CardText
    enrolled_at: str


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement at `at`, of the merchant that asks.

    fields is the row without its merchant, of cells where is_csv. names is the request_id of the
    row that it reverses, where it names that one by its key.
    """

    at: datetime
    merchant_id: int
    fields: dict[str, Any]
    is_csv: bool
    names: UUID | None = None

    def request(self, book: Book, named: Mapping[UUID, tuple[int, int]]) -> Request | Refused:
        """The request it asks for. named: (member_id, number) of the rows that are named by key."""
        fields = self.fields
        if self.names is not None:
            _, by_key, prefix, by_id = _REVERSES[fields["op"]]
            if self.names not in named:
                detail = f"{by_key}: no row of this merchant was posted under that key before"
                return Refused(Code.NOT_FOUND, detail)
            fields = fields | {by_id: ids.encode(prefix, *named[self.names])}
        asker = Asker(self.merchant_id, _BOTH, book, self.at, _ACTOR)
        if self.is_csv:
            return read_csv_row(fields, asker)
        return read_json_row(msgspec.json.encode(fields), asker)


Row = Newcomer | Movement


def read_json(line: bytes, book: Book, now: datetime) -> Row | Refused:
    """What a line of NDJSON says; now: the present, which no row is later than."""
    try:
        check_syntax(line)
        return _read(msgspec.json.decode(line), book, now, is_csv=False)
    except CoalitionError as error:
        return refusal(CoalitionError(error.code, error.detail.replace("the body", "the row", 1)))


def read_cells(cells: dict[str, str], book: Book, now: datetime) -> Row | Refused:
    """What a CSV record says; `cells` are its cells that are not empty, by name."""
    try:
        return _read(dict(cells), book, now, is_csv=True)
    except CoalitionError as error:
        return refusal(error)


def _read(fields: dict[str, Any], book: Book, now: datetime, *, is_csv: bool) -> Row:
    merchant_id = _merchant(fields.pop("merchant", None), book)
    op = fields.get("op")
    if op == MEMBER:
        del fields["op"]
        return _newcomer(fields, merchant_id, now)
    at = _time(fields.get("occurred_at"), "occurred_at", now)
    names = None
    if isinstance(op, str) and op in _REVERSES:
        # Its time is the clock's, which its body does not say.
        del fields["occurred_at"]
        operation, by_key, _, by_id = _REVERSES[op]
        key = fields.pop(by_key, None)
        if isinstance(key, str) and by_id not in fields:
            names = request_id(merchant_id, operation, key)
        elif key is not None:
            raise CoalitionError(Code.INVALID, f"{by_key} (a text) or {by_id}: one of the two")
    return Movement(at, merchant_id, fields, is_csv, names)


def _merchant(code: object, book: Book) -> int:
    merchant_id = book.ids.get(code) if isinstance(code, str) else None
    if merchant_id is None or merchant_id == POOL_ID:
        said = "it is missing" if code is None else f"no merchant is called {shown(str(code))!r}"
        raise CoalitionError(Code.INVALID, f"merchant: {said}; every row of history names its own")
    return merchant_id


def _time(text: object, field: str, now: datetime) -> datetime:
    if not isinstance(text, str):
        raise CoalitionError(Code.INVALID, f"{field}: every row of history says when it was")
    try:
        at: datetime = msgspec.convert(exact(text), datetime)
    except msgspec.ValidationError as error:
        raise CoalitionError(Code.INVALID, f"{field}: {in_words(error)}") from None
    except CoalitionError as error:
        raise CoalitionError(error.code, error.detail.replace("occurred_at", field)) from None
    if not EARLIEST <= at <= now:
        raise CoalitionError(Code.INVALID, f"{field}: {text} is before 1970 or in the future")
    return at.astimezone(UTC)


def _newcomer(fields: dict[str, Any], enrolled_by: int, now: datetime) -> Newcomer:
    try:
        row = msgspec.convert(fields, MemberRow)
    except msgspec.ValidationError as error:
        raise CoalitionError(Code.INVALID, in_words(error)) from None
    return Newcomer(
        read_card(row.card),
        enrolled_by,
        _time(row.enrolled_at, "enrolled_at", now),
        Enrolment(row.external_ref, read_phone(row.phone), row.birthday, row.locale),
    )
