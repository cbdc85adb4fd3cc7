"""What the log says of an exception: where it came from, and nothing that a caller sent.

No local variables, no parameters of a statement, no keys. What the caller is told is problems.py.
"""

import re
import traceback
from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError

_KEY = re.compile(r"coal_(live|test)_[0-9A-Za-z_]*")
_WORDS_MAX = 300


def in_a_line(error: BaseException) -> str:
    """The kind of an error and its words, for what is expected to happen now and then."""
    return "; ".join(_named(one) for one in _chain(error))


def in_full(error: BaseException) -> str:
    """The plain traceback of an error and of those behind it, for what must not happen."""
    parts = []
    for one in reversed(list(_chain(error))):
        parts += traceback.format_tb(one.__traceback__)
        parts.append(_named(one) + "\n")
        if isinstance(one, BaseExceptionGroup):
            parts += [in_full(inner) + "\n" for inner in one.exceptions]
    return "".join(parts).rstrip()


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _named(error: BaseException) -> str:
    name = type(error).__qualname__
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError):
        # Their words quote the statement, its parameters and the row that is in the way.
        return f"{name} (SQLSTATE {sqlstate})" if sqlstate else name
    words = _KEY.sub("[a key]", " ".join(str(error).split()))[:_WORDS_MAX]
    return f"{name}: {words}" if words else name
