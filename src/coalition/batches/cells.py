"""A CSV file's header, its records' cells, and the field that the text of a cell stands for.

Spreadsheets write CSV in their country's way: cells may be separated by commas, semicolons or tabs,
which the header tells for the whole file. Where lines end is lines.py; what a row says is rows.py.
"""

import csv
import re
from typing import Any, BinaryIO, NamedTuple

import msgspec

from coalition.batches.lines import ROW_BYTES_MAX, Line, LineReader
from coalition.errors import CoalitionError, Code, shown
from coalition.wire.syntax import check_syntax

COLUMNS = (
    "op", "key", "card", "amount", "currency", "items", "points", "occurred_at", "reference",
    "action", "code", "reward", "take", "hold", "hold_seconds", "earn_id", "burn_id",
)  # fmt: skip
_COLUMNS_NEEDED = ("op", "key")
_SEPARATORS = (",", ";", "\t")
# Blank lines in front of a header; whoever sends millions of them is not waited for.
HEADER_LINES_MAX = 100
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,29})")
_INTEGER_COLUMNS = ("amount", "points", "hold_seconds")
_UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
# A carriage return with text behind it before any line feed.
_ENDS_IN_CR = re.compile(rb"[^\r\n]*\r+(?=[^\r\n])")


class Header(NamedTuple):
    """A CSV file's columns, and what stands between two cells."""

    names: tuple[str, ...]
    separator: str


def check_opening(file: BinaryIO, *, is_csv: bool) -> None:
    """Raise invalid where a file's first bytes tell that it is no text that can be read here."""
    file.seek(0)
    opening = file.read(ROW_BYTES_MAX)
    if _UTF_16.match(opening):
        detail = "the file is UTF-16 (Unicode text): save it as UTF-8, in a spreadsheet CSV UTF-8"
        raise CoalitionError(Code.INVALID, detail)
    if is_csv and _ENDS_IN_CR.match(opening.lstrip(b"\r\n")):
        detail = (
            "the file's lines end with a carriage return alone (an old Macintosh's way): end them "
            "with a line feed, or with both; in a spreadsheet save it as CSV UTF-8"
        )
        raise CoalitionError(Code.INVALID, detail)


def read_header(
    reader: LineReader,
    columns: tuple[str, ...] = COLUMNS,
    needed: tuple[str, ...] = _COLUMNS_NEEDED,
) -> Header:
    """The names in a CSV file's first line: of these columns, none but these. Raises invalid."""
    lines: list[Line] = []
    for _ in range(HEADER_LINES_MAX):
        lines = reader.take(1)
        if lines or reader.at_end:
            break
    else:
        raise _wrong_header(f"the first {HEADER_LINES_MAX} lines are blank; begin with the header")
    first = lines[0][1] if lines else b""
    if first is None:
        raise _wrong_header(f"it is longer than {ROW_BYTES_MAX} bytes")
    # No column's name holds any of them.
    separator = next((one for one in _SEPARATORS if one.encode() in first), ",")
    try:
        names = [name.strip() for name in split_cells(first, separator)]
    except ValueError as error:
        raise _wrong_header(str(error)) from None
    for name in needed:
        if name not in names:
            between = "commas, semicolons or tabs stand between columns"
            raise _wrong_header(f"it has no column {name}; {between}")
    seen: set[str] = set()
    for name in names:
        if name not in columns:
            raise _wrong_header(f"{shown(name)!r} is no column; columns are {', '.join(columns)}")
        if name in seen:
            raise _wrong_header(f"the column {name} stands twice")
        seen.add(name)
    return Header(tuple(names), separator)


def split_cells(line: bytes, separator: str = ",") -> list[str]:
    """A CSV record's cells (RFC 4180, on one line). Raises ValueError that says what is wrong."""
    if b"\0" in line:
        raise ValueError("it holds a NUL")
    try:
        text = line.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: {error.reason}") from None
    if '"' not in text and "\r" not in text:
        return text.split(separator)
    try:
        records = list(csv.reader((text,), strict=True, delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"a quoted cell is wrong (it must end on its line): {error}") from None
    return records[0] if records else []


def fields_of(cells: dict[str, str]) -> dict[str, Any]:
    """The fields of a row, as JSON would have them, from its cells that are not empty, by name.

    A text that is no number, truth value or JSON where its column needs one stays a text, for the
    strict decoder to refuse. Raises invalid where a cell's JSON is not well-formed.
    """
    fields: dict[str, Any] = dict(cells)
    for name in _INTEGER_COLUMNS:
        if name in cells and _INTEGER.fullmatch(cells[name]):
            fields[name] = int(cells[name])
    if "hold" in cells:
        # A spreadsheet writes TRUE.
        fields["hold"] = {"true": True, "false": False}.get(cells["hold"].lower(), cells["hold"])
    for name, opens in (("items", "["), ("take", "{")):
        if name in cells and cells[name].lstrip().startswith(opens):
            fields[name] = _from_json(name, cells[name])
    return fields


def _from_json(name: str, text: str) -> object:
    try:
        found: object = msgspec.json.decode(text)
        # What the decoder lets pass: a name that stands twice.
        check_syntax(f'{{"{name}":{text}}}'.encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise CoalitionError(Code.INVALID, f"{name}: no well-formed JSON: {error}") from None
    except CoalitionError as error:
        raise CoalitionError(Code.INVALID, error.detail.replace("the body", name, 1)) from None
    return found


def _wrong_header(why: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, f"the CSV header is wrong: {why}")
