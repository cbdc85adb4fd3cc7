"""What the strict decoder says of a field, in words for people: the field's path, what is right."""

import re

import msgspec

from coalition.errors import shown
from coalition.wire.bodies import IN_WORDS

_PATTERN = re.compile(r"`str` matching regex (?P<quoted>'.*')")
_KINDS = re.compile(r"`(?P<kinds>[a-z0-9]+( \| [a-z0-9]+)*)`")
# The decoder's words for what JSON can hold.
_KIND = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "a time",
}
_WORDS = {
    "a time with a timezone component": "a time with its offset, such as 2026-03-01T09:30:00+08:00",
    "RFC3339 encoded datetime": "time: it reads like 2026-03-01T09:30:00+08:00 (RFC 3339)",
    "RFC3339 encoded date": "date: it reads like 1990-02-28",
}
_FIELD = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`")


def in_words(error: msgspec.ValidationError) -> str:
    """The decoder's message with the path first: "$.currency: expected three capital letters"."""
    message, _, place = str(error).partition(" - at ")
    if found := _FIELD.match(message):
        says = "is missing" if found["what"] == "missing required" else "is no field here"
        message = f"{shown(found['name'])} {says}"
    elif place == "`$.take`":
        message = 'expected "oldest", "own_first", {"only": ...} or {"mix": {...}}'
    else:
        message = _KINDS.sub(_kinds, _PATTERN.sub(_meant, message))
        for one, words in _WORDS.items():
            message = message.replace(one, words)
        message = message[:1].lower() + message[1:]
    if not place:
        return message
    path = shown(place).replace("`", "").replace("key in", "a name in")
    return f"{path}: {message}"


def _meant(found: re.Match[str]) -> str:
    quoted = found["quoted"]
    return next((words for pattern, words in IN_WORDS.items() if repr(pattern) == quoted), "text")


def _kinds(found: re.Match[str]) -> str:
    return " or ".join(_KIND.get(kind, kind) for kind in found["kinds"].split(" | "))
