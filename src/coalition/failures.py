"""What the log says of an exception: where it came from, and nothing that a caller sent.

No local variables, no parameters of a statement, no keys. What the caller is told is problems.py.
"""

import re
import traceback
from collections.abc import Iterator

import asyncpg

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
    kind = type(error)
    words = _KEY.sub("[a key]", " ".join(_words(error).split()))[:_WORDS_MAX]
    sqlstate = getattr(error, "sqlstate", None)
    name = f"{kind.__qualname__} (SQLSTATE {sqlstate})" if sqlstate else kind.__qualname__
    return f"{name}: {words}" if words else name


def _words(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        # The lines after the first quote the row that is in the way, and those of class 22, data
        # exceptions, a value in the first.
        is_quoting = (error.sqlstate or "22").startswith("22")
        return "" if is_quoting else str(error).partition("\n")[0]
    # SQLAlchemy's words are these once more, with the parameters; the driver's own quote arguments.
    is_wrapping = type(error).__module__.startswith(("sqlalchemy.", "asyncpg."))
    return "" if is_wrapping else str(error)
