"""How a scenario table is read: one line a movement or an expectation, by forms in plain words.

A form is a line with placeholders in capitals and optional parts in brackets; it is the grammar
and its documentation at once. What a line does is in test_scenarios.py.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

_WORD = r"[a-z][a-z0-9_-]*"
_POINTS = r"-?\d{1,3}(?:,\d{3})+|-?\d+"
_PART = rf"{_WORD} (?:{_POINTS})"
_DATE = r"\d{4}-\d\d-\d\d"


def points(text: str) -> int:
    return int(text.replace(",", ""))


def minor_units(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


def parts(text: str) -> list[tuple[str, int]]:
    """`telecom 200, retail 300` as pairs."""
    found = re.findall(rf"({_WORD}) ({_POINTS})", text)
    return [(code, points(count)) for code, count in found]


def lots(text: str) -> list[tuple[str, int, date | None]]:
    """`telecom 200 until 2026-03-01, retail 300` as origin, points and last good day."""
    found = re.findall(rf"({_WORD}) ({_POINTS})(?: until ({_DATE}))?", text)
    return [(code, points(n), date.fromisoformat(day) if day else None) for code, n, day in found]


# What may stand for a word in capitals, and what is made of it.
PLACEHOLDERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "NAME": (_WORD, str),
    "CODE": (_WORD, str),
    "LABEL": (_WORD, str),
    "REASON": (_WORD, str),
    "POINTS": (_POINTS, points),
    "COUNT": (r"\d+", int),
    "UNIT": (r"days|months to month end|months", str),
    "MONEY": (r"-?[\d,]+\.\d\d", minor_units),
    "PRICE": (r"\d+\.\d+", Decimal),
    "DATE": (_DATE, date.fromisoformat),
    "CLOCK": (r"\d\d:\d\d", time.fromisoformat),
    "WINDOW": (r"\d{4}-\d\d(?:-\d\d(?:\.\.\d{4}-\d\d-\d\d)?)?", str),
    "TAKE": (rf"oldest|own_first|only {_WORD}|mix {_PART}(?: {_PART})*", str),
    "LEGS": (rf"nothing|{_PART}(?:, {_PART})*", parts),
    "LOTS": (rf"nothing|{_PART}(?: until {_DATE})?(?:, {_PART}(?: until {_DATE})?)*", lots),
    "LINE": (r".+", str),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table, with where it stands."""

    path: Path
    number: int
    text: str

    def wrong(self, why: str) -> "TableError":
        return TableError(f"{self.path.name}:{self.number}: {self.text}\n    {why}")


class TableError(AssertionError):
    """A table that cannot be read, or does not come true: the file, the line, and why."""


def read_table(path: Path) -> list[Line]:
    """The lines of a table, without comments and empty ones."""
    lines = []
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = " ".join(raw.partition("#")[0].split())
        if text:
            lines.append(Line(path, number, text))
    return lines


class Form:
    """A kind of line, like `burn NAME CODE POINTS [TAKE] [= LEGS]`."""

    def __init__(self, form: str) -> None:
        self.form = form
        self._makers: list[Callable[[str], Any]] = []
        self._pattern = re.compile(re.sub(r"[A-Z]+", self._group, _optional(form)))

    def _group(self, found: re.Match[str]) -> str:
        pattern, make = PLACEHOLDERS[found[0]]
        self._makers.append(make)
        return f"({pattern})"

    def values(self, text: str) -> list[Any] | None:
        """What stands in the placeholders, None for a part left out; None: another form."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        found = zip(self._makers, match.groups(), strict=True)
        return [None if value is None else make(value) for make, value in found]


def _optional(form: str) -> str:
    # " [as LABEL]" may be missing, its blank included.
    return re.sub(r"( ?)\[([^\]]*)\]", r"(?:\1\2)?", form)
