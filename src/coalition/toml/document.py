"""One TOML document as fields that are read one by one; each mistake is noted with its line.

A field that is wrong is noted and read as its default, so that one reading finds every mistake.
What the fields mean is terms/reading.py; how files fit together is terms/folder.py.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from coalition.toml.lines import KeyPath, line_of, lines_of_keys
from coalition.toml.syntax import slip_in
from settlement.money import minor_digits

_DECIMAL = re.compile(r"[0-9]{1,30}(?:\.([0-9]{1,30}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# More than any amount in a file needs, in minor units, and exact in every step of reading it.
MONEY_MAX = 10**18


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a file and what would be right. line None: it is about the whole file.

    A warning is no mistake, but what is written may not be what was meant.
    """

    file: str
    line: int | None
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {'warning: ' if self.is_warning else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a document: its values, the way to it, and the list that mistakes are noted in."""

    file: str
    path: KeyPath
    values: dict[str, Any]
    lines: dict[KeyPath, int]
    mistakes: list[Mistake]

    def note(self, key: str | None, message: str) -> None:
        """Note a mistake at a key of this table (None: at the table itself)."""
        self._note(key, message, is_warning=False)

    def warn(self, key: str, message: str) -> None:
        """Note what is allowed at a key of this table, and may not be what was meant."""
        self._note(key, message, is_warning=True)

    def _note(self, key: str | None, message: str, *, is_warning: bool) -> None:
        path = self.path if key is None else (*self.path, key)
        line = line_of(self.lines, path) if path else None
        where = f"{_dotted(path)}: " if path else ""
        self.mistakes.append(Mistake(self.file, line, where + message, is_warning))


def parse_document(file: str, content: bytes) -> Section:
    """The document's top table. One that is not TOML reads as empty, its mistake noted."""
    mistakes: list[Mistake] = []
    values: dict[str, Any] = {}
    lines: dict[KeyPath, int] = {}
    text = ""
    try:
        # Windows editors put a byte order mark in front of what they call UTF-8.
        text = content.decode("utf-8-sig")
        # A float never comes to be: 0.1 is read as the decimal it is, and then refused by name.
        values = tomllib.loads(text, parse_float=Decimal)
        lines = lines_of_keys(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistakes.append(Mistake(file, line, "not UTF-8; save the file as UTF-8 text"))
    except tomllib.TOMLDecodeError as error:
        mistakes.append(Mistake(file, *slip_in(text, str(error))))
    except (ValueError, ArithmeticError, RecursionError):
        mistakes.append(
            Mistake(
                file,
                None,
                "a number is too long, or tables stand too deep inside each other; write less",
            )
        )
    return Section(file, (), values, lines, mistakes)


def subsection(section: Section, key: str) -> Section:
    """The table [key]; empty where it is not written."""
    value = section.values.get(key, {})
    if not isinstance(value, dict):
        section.note(key, f"{_shown(value)} is not a table; write it as [{key}]")
        value = {}
    return Section(section.file, (*section.path, key), value, section.lines, section.mistakes)


def sections(section: Section, key: str) -> list[Section]:
    """The tables [[key]], in the file's order."""
    value = section.values.get(key, [])
    path = (*section.path, key)
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        section.note(key, f"not a list of tables; write each as [[{_dotted(path)}]]")
        return []
    return [
        Section(section.file, (*path, index), table, section.lines, section.mistakes)
        for index, table in enumerate(value)
    ]


def near(said: str, known: Iterable[str]) -> str:
    """What would be right in place of what was said: the likest of those known, or all of them."""
    names = sorted(known)
    likest = difflib.get_close_matches(said, names, n=1)
    return f'did you mean "{likest[0]}"?' if likest else f"write one of {', '.join(names)}"


def check_keys(section: Section, known: Collection[str]) -> None:
    """Note each key that nobody reads, with the known key it looks most like."""
    for key in section.values:
        if key in known:
            continue
        likest = difflib.get_close_matches(key, known, n=1)
        right = (
            f"did you mean {likest[0]}?" if likest else f"known here: {', '.join(sorted(known))}"
        )
        section.note(key, f"unknown key; {right}")


def read_text(section: Section, key: str, *, required: bool = False) -> str | None:
    """A text that is not empty, in one line, without characters that cannot be seen."""
    value = _value(section, key, required=required, example=f'{key} = "..."')
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        section.note(key, f"{_shown(value)} is not a text; write it in quotes")
        return None
    if (control := _CONTROL.search(value)) is not None:
        # PostgreSQL stores no NUL, and none of them belongs on a statement.
        section.note(
            key,
            f"{_shown(value)} holds the character U+{ord(control[0]):04X}; write it in one line, "
            "of characters that can be seen",
        )
        return None
    return value


def read_choice(section: Section, key: str, choices: Collection[str], default: str) -> str:
    value = read_text(section, key)
    if value is None or value in choices:
        return value or default
    section.note(key, f"{_shown(value)} is not one of {', '.join(choices)}")
    return default


def read_flag(section: Section, key: str) -> bool:
    value = section.values.get(key, False)
    if isinstance(value, bool):
        return value
    section.note(key, f"{_shown(value)} is neither true nor false; write {key} = true or false")
    return False


def read_count(section: Section, key: str, at_least: int, at_most: int) -> int | None:
    """A whole number within bounds."""
    value = section.values.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
        return value
    section.note(
        key, f"{_shown(value)} is not a whole number from {at_least} to {at_most}, without quotes"
    )
    return None


def read_number(section: Section, key: str, *, below: int = 1_000_000) -> Decimal | None:
    """A number that must be there: whole, or a decimal string (six digits) where it is not."""
    value = section.values.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below:
        return Decimal(value)
    return read_decimal(section, key, digits_max=6, below=below, example="1.5", required=True)


def read_texts(section: Section, key: str) -> tuple[str, ...]:
    """A list of different texts with one at least; not written: none."""
    value = section.values.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        section.note(key, f'{_shown(value)} is not a list of texts; write it as {key} = ["..."]')
        return ()
    for place, one in enumerate(value):
        if not one.strip() or _CONTROL.search(one):
            section.note(key, f"{_shown(one)} is empty, or holds what cannot be seen; write a text")
            return ()
        if one in value[:place]:
            section.note(key, f"{_shown(one)} stands there twice; leave one of them")
    return tuple(value)


def read_date(section: Section, key: str, *, required: bool = True) -> date | None:
    """A date."""
    value = _value(section, key, required=required, example=f"{key} = 2017-01-01")
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    section.note(key, f"{_shown(value)} is not a date; write it without quotes, such as 2017-01-01")
    return None


def read_decimal(
    section: Section, key: str, *, digits_max: int, below: int, example: str, required: bool = False
) -> Decimal | None:
    """A decimal string, 0 or more, below `below`, with at most digits_max after the point."""
    value = _value(section, key, required=required, example=f'{key} = "{example}"')
    if value is None:
        return None
    if not isinstance(value, str) or not (found := _DECIMAL.fullmatch(value)):
        section.note(
            key,
            f'{_shown(value)} is not an amount; write it as a decimal string such as "{example}"',
        )
        return None
    if len(found[1] or "") > digits_max:
        section.note(
            key,
            f"{_shown(value)} has more than {digits_max} digits after the point; "
            f'write it such as "{example}"',
        )
        return None
    if Decimal(value) >= below:
        section.note(key, f"{_shown(value)} is too large; it must be below {below}")
        return None
    return Decimal(value)


def read_money(
    section: Section, key: str, currency: str | None, *, required: bool = False
) -> int | None:
    """An amount written in major units, in minor units. Without a known currency it is not read."""
    digits = minor_digits(currency or "")
    example = f"1.{'0' * digits}" if digits else "1"
    amount = read_decimal(
        section,
        key,
        # A file whose currency is wrong is not blamed for the digits of its amounts as well.
        digits_max=digits if currency else 30,
        below=MONEY_MAX // 10**digits,
        example=example,
        required=required,
    )
    return None if amount is None or currency is None else int(amount.scaleb(digits))


def _value(section: Section, key: str, *, required: bool, example: str) -> Any:
    value = section.values.get(key)
    if value is None and required:
        path = _dotted((*section.path, key))
        line = line_of(section.lines, section.path) if section.path else None
        section.mistakes.append(Mistake(section.file, line, f"{path} is missing; write {example}"))
    return value


def _dotted(path: KeyPath) -> str:
    dotted = ""
    for part in path:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}" if dotted else part
    return dotted


def _shown(value: object) -> str:
    """The value as it would stand in the file, cut short."""
    if isinstance(value, bool):
        return str(value).lower()
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    shown = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04X}", shown)
    return shown if len(shown) <= 60 else shown[:57] + "..."
