"""Lists: how many at once, and the opaque cursor that says where the next page starts."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from coalition.errors import CoalitionError, Code

LIMIT_MAX = 500
LIMIT = 50

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many items at once.")]
Cursor = Annotated[
    str | None,
    QueryParameter(description="next_cursor of the page before; opaque."),
]

T = TypeVar("T")


def encode_cursor(number: int) -> str:
    return base64.urlsafe_b64encode(f"no:{number}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, start: int) -> int:
    """The number in a cursor; `start` where there is none. Raises invalid for any other text."""
    if cursor is None:
        return start
    try:
        plain = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        head, _, number = plain.decode("ascii").partition(":")
    except (UnicodeError, binascii.Error):
        raise _unknown() from None
    # Spelt as encode_cursor would: nothing else was ever handed out.
    if head != "no" or not number.isdigit() or len(number) > 10:
        raise _unknown()
    if encode_cursor(int(number)) != cursor or int(number) >= 2**31:
        raise _unknown()
    return int(number)


def slice_of(rows: Sequence[T], limit: int, cursor: str | None) -> tuple[tuple[T, ...], str | None]:
    """One page of rows that are all at hand, and the cursor of the next page."""
    first = decode_cursor(cursor, 0)
    after = first + limit
    return tuple(rows[first:after]), encode_cursor(after) if after < len(rows) else None


def newest_of(
    rows: Sequence[T], limit: int, cursor: str | None
) -> tuple[tuple[T, ...], str | None]:
    """One page of rows that are all at hand, the last first; a row added later shifts no page."""
    before = min(decode_cursor(cursor, len(rows)), len(rows))
    first = max(0, before - limit)
    return tuple(reversed(rows[first:before])), encode_cursor(first) if first else None


def page_of(
    found: Sequence[T], limit: int, number: Callable[[T], int]
) -> tuple[Sequence[T], str | None]:
    """One page of rows of which one more than limit was asked for, and the next page's cursor.

    number: what of a row the next page starts behind.
    """
    shown = found[:limit]
    return shown, encode_cursor(number(shown[-1])) if len(found) > limit else None


def _unknown() -> CoalitionError:
    return CoalitionError(Code.INVALID, "cursor: not one that a page before this one answered")
