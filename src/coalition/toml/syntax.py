"""What is wrong with a text that is not TOML, and what would be right, in the writer's words.

The standard parser says where it gave up; what stands there is mostly one of a few slips.
"""

import re
from typing import NamedTuple

_AT_LINE = re.compile(r" ?\(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"
# A longer line holds no slip of a person; what looks for one may take the square of its length.
_LINE_MAX = 2_000
_LONG_QUOTES = ('"""', "'''")
_CLOSED = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')
_COMMENT = re.compile(r"\s*#[^\"']*$")
_DATE = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./]\d{1,2}[./]\d{1,2}|\d{4}-\d{1,2}-\d{1,2}"
)
_WORD = re.compile(r"[^\W\d][^\"'#]*")
# What an office program or a phone makes of a quote.
_CURLY = re.compile("[\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb]")
_TWICE = ("Cannot overwrite a value", "Cannot declare", "Cannot mutate", "Duplicate")


class Slip(NamedTuple):
    """line: from 1."""

    line: int
    message: str


def slip_in(text: str, said: str) -> Slip:
    """Where a text that is not TOML is wrong, and what would be right; said: the parser's words."""
    lines = text.split("\n")
    found = _AT_LINE.search(said)
    number = int(found[1]) if found else _open_text(lines)
    what = _AT_LINE.sub("", said).removesuffix(_AT_END)
    written = lines[number - 1] if number <= len(lines) else ""
    right = _right(written.rstrip("\r"), what)
    return Slip(number, f"not TOML: {right or what[:1].lower() + what[1:]}")


def _right(written: str, what: str) -> str | None:
    if what.startswith(_TWICE):
        return f"{written.strip()} stands above already; leave one of them"
    if (control := re.search(r"[\x00-\x08\x0b-\x1f\x7f]", written)) is not None:
        return f"the character U+{ord(control[0]):04X} cannot be seen and counts; take it out"
    pair = _pair(written)
    if pair is None:
        return None
    key, value = pair
    value = _COMMENT.sub("", value)
    if "Invalid date" in what:
        return f"invalid date or datetime; there is no {value} in the calendar, or not so written"
    if _CURLY.search(value) and not _CLOSED.match(value):
        return f'curly quotes do not count; write {key} = "{_CURLY.sub("", value).strip()}"'
    if value.lower() in ("true", "false"):
        return f"{value} is not true or false; write {key} = {value.lower()}, in small letters"
    if _DATE.fullmatch(value):
        return f"{value} is not a date; write it as year-month-day, such as {key} = 2017-01-31"
    return _right_text(key, value)


def _pair(line: str) -> tuple[str, str] | None:
    """The key and the value that a line writes; None where it writes none."""
    key, equals, value = line[: _LINE_MAX + 1].partition("=")
    if not equals or "#" in key or len(line) > _LINE_MAX:
        return None
    return key.strip(), value.strip()


def _right_text(key: str, value: str) -> str | None:
    if not value:
        return f"invalid value; nothing stands after {key} ="
    if _has_open_quote(value) and not value.startswith(("[", "{")):
        bare = value.strip("\"'")
        if '"' not in bare:
            return f'a quote is missing; write {key} = "{bare}"'
        return f'a quote is missing or one too many in {value}; within a text write it as \\"'
    if _WORD.fullmatch(value):
        return f'{value} is a text without quotes; write {key} = "{value}"'
    if re.fullmatch(r"[0-9]+[,.][0-9,.]*", value):
        return f'{value} is not an amount; write {key} = "{value.replace(",", ".")}"'
    return None


def _has_open_quote(value: str) -> bool:
    """Whether a quote stands in the line without its other half."""
    if value.startswith(_LONG_QUOTES):
        return False
    rest = _CLOSED.sub("", value)
    return '"' in rest or (value.startswith("'") and "'" in rest)


def _open_text(lines: list[str]) -> int:
    """The line (from 1) of the first text that is not closed, else the last line with anything."""
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines, start=1):
        for quotes in re.findall("\"\"\"|'''", line):
            if opened is None:
                opened = number, quotes
            elif opened[1] == quotes:
                opened = None
        pair = _pair(line)
        if opened is None and pair is not None and _has_open_quote(_COMMENT.sub("", pair[1])):
            return number
    last = max((n for n, line in enumerate(lines, start=1) if line.strip()), default=1)
    return opened[0] if opened else last
