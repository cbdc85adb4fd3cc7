"""A merchant's terms as the database keeps them, in jsonb, and back. Pure.

A price says there only what its place does not: its origin is whoever's terms they are, one in
`prices` is for every redeemer, and one in `pair_prices` is of no issue. Rows were written so from
the first version on.
"""

from typing import Any

import msgspec

from coalition.terms.terms import HouseTerms, Terms

# What each list's prices do not say, and stands for.
_LEFT_OUT: dict[str, dict[str, str | None]] = {
    "prices": {"redeemer": None},
    "pair_prices": {"issue_price": "0"},
}


def to_stored(one: Terms | HouseTerms) -> str:
    """A party's file as JSON."""
    fields: dict[str, Any] = msgspec.to_builtins(one)
    for name, left_out in _LEFT_OUT.items():
        for price in fields.get(name, ()):
            implied = {"origin": one.code, **left_out}
            said = {field: price.pop(field) for field in implied}
            assert said == implied, f"{one.code} states in {name} what is not its own: {said}"
    return msgspec.json.encode(fields).decode()


def from_stored(stored: str) -> Terms:
    """A merchant's terms as to_stored wrote them, or any version before it."""
    fields: dict[str, Any] = msgspec.json.decode(stored)
    for name, left_out in _LEFT_OUT.items():
        for price in fields.get(name, ()):
            price |= {"origin": fields["code"], **left_out}
    return msgspec.convert(fields, Terms)
