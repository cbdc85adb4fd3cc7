"""How a time is spelt: RFC 3339 with a T and an offset with a colon, to the microsecond. Pure.

The decoder reads more widely, and rounds what it cannot hold: the seventh digit of a fraction,
which other languages write, would carry the last moment of a day into the next one.
"""

import re
from datetime import datetime
from typing import TypeVar

import msgspec

from coalition.errors import CoalitionError, Code

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_BEYOND_MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+")


class _Spelt(msgspec.Struct):
    """occurred_at as it stands in a body."""

    occurred_at: str = ""


_spelt = msgspec.json.Decoder(_Spelt)
Timed = TypeVar("Timed", bound=msgspec.Struct)


def exact(text: str) -> str:
    """The time as the decoder may read it: digits beyond microseconds cut off, never rounded.

    Raises invalid where it is not spelt as RFC 3339 has it.
    """
    if _TIME.fullmatch(text) is None:
        raise CoalitionError(
            Code.INVALID,
            "$.occurred_at: expected a time with T and its offset, such as "
            "2026-03-01T09:30:00+08:00 (RFC 3339)",
        )
    return _BEYOND_MICROSECONDS.sub("", text)


def spelt_time(body: bytes) -> str:
    """occurred_at as it stands in a JSON body; empty where there is none."""
    return _spelt.decode(body).occurred_at


def with_exact_time(found: Timed, body: bytes) -> Timed:
    """What was decoded from `body` (JSON), its occurred_at as exact() has it. Raises invalid."""
    if getattr(found, "occurred_at", None) is None:
        return found
    spelt = spelt_time(body)
    cut = exact(spelt)
    if cut == spelt:
        return found
    return msgspec.structs.replace(found, occurred_at=msgspec.convert(cut, datetime))
