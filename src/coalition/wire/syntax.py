"""A request's body: read, checked to be one well-formed JSON object, and decoded strictly.

Well-formed comes first (400 malformed), before anybody is asked who they are; whether the fields
are right (422 invalid) comes after. What the fields mean is bodies.py.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar

import msgspec

from coalition.errors import CoalitionError, Code, shown
from coalition.wire.bodies import BurnBody, EarnBody
from coalition.wire.explain import in_words
from coalition.wire.keys import canonical
from coalition.wire.times import spelt_time, with_exact_time

BODY_BYTES_MAX = 65_536

Timed = TypeVar("Timed", bound=EarnBody | BurnBody)


def check_syntax(body: bytes) -> None:
    """Raise malformed unless `body` is one JSON object (RFC 8259), UTF-8, no key twice anywhere."""
    try:
        text = body.decode("utf-8", "strict")
        found = json.loads(
            text,
            object_pairs_hook=_refuse_twice,
            parse_constant=_refuse_constant,
            parse_int=_no_number,
            parse_float=_no_number,
        )
        if "\\u" in text:
            # A lone surrogate is an escape that no UTF-8 text can hold.
            json.dumps(found, ensure_ascii=False).encode("utf-8", "strict")
    except RecursionError:
        raise _malformed("the body is nested too deeply") from None
    except UnicodeError as error:
        raise _malformed(f"the body is not UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    except ValueError as error:
        raise _malformed(f"the body is not well-formed JSON: {error}") from None
    if not isinstance(found, dict):
        raise _malformed("the body must be a JSON object")


def decode(body: bytes, wanted: type) -> Any:
    """The body as its struct, strictly: no unknown field, no "100" for 100. Raises invalid."""
    try:
        return with_exact_time(_decoder(wanted).decode(body), body)
    except msgspec.ValidationError as error:
        raise CoalitionError(Code.INVALID, in_words(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(f"the body is not well-formed JSON: {error}") from None


def read_right(body: bytes, wanted: type[Timed]) -> tuple[Timed, bytes] | None:
    """A body that is well-formed and whose fields are right, with its canonical form; else None.

    As check_syntax() and decode() read it, in a fraction of the time: without an escape, the body
    has one colon for each of its fields and those in its texts, and so has the canonical form. One
    colon more, and some name stands twice, or a default was spelt out: then check_syntax() tells.
    """
    hashable: type = wanted
    try:
        found: Timed = with_exact_time(_decoder(hashable).decode(body), body)
        told = canonical(found)
        colons = told.count(b":")
        if found.occurred_at is not None:
            # The canonical form spells the time its own way.
            colons += spelt_time(body).count(":") - (3 if found.occurred_at.utcoffset() else 2)
        if b"\\" in body or body.count(b":") != colons:
            check_syntax(body)
    except (CoalitionError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found, told


def may_be_empty(wanted: type) -> bool:
    """Whether an absent body reads as {}: where no field is required."""
    return not any(field.required for field in msgspec.structs.fields(wanted))


@cache
def _decoder(wanted: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted)


def _refuse_twice(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # One pass, since anybody may send an object of thousands of names before he is known.
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {shown(name)!r} stands twice in one object")
            seen.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _no_number(_: str) -> None:
    """Numbers are read by the strict decoder; here a huge one must cost nothing."""


def _malformed(detail: str) -> CoalitionError:
    return CoalitionError(Code.MALFORMED, detail)
