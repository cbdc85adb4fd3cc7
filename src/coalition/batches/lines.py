"""A spooled file's lines, and a CSV file's header and cells.

A row is a line in both formats: a CSV cell may be quoted, but holds no line break. So one bad row
is one bad line, and a file can be read on from wherever it was left. No line is ever in memory
whole that is longer than a row may be. What a row says is rows.py.
"""

import csv
from typing import BinaryIO

from coalition.errors import CoalitionError, Code

ROW_BYTES_MAX = 65_536
# A line end is not part of the row.
_PIECE_BYTES_MAX = ROW_BYTES_MAX + 2
_BOM = b"\xef\xbb\xbf"
COLUMNS = (
    "op", "key", "card", "amount", "currency", "points", "occurred_at", "reference", "action",
    "code", "reward", "take", "earn_id", "burn_id",
)  # fmt: skip
_COLUMNS_NEEDED = ("op", "key")

# A line's number in the file, from 1, and its bytes; None: it is longer than a row may be.
Line = tuple[int, bytes | None]


class LineReader:
    """Reads on from a place where a line begins: offset bytes into the file, after number lines."""

    def __init__(self, file: BinaryIO, offset: int = 0, number: int = 0) -> None:
        file.seek(offset)
        self._file = file
        self._is_inside_long_line = False
        self.offset = offset
        self.number = number
        self.at_end = False

    @property
    def is_between_lines(self) -> bool:
        return not self._is_inside_long_line

    def take(self, pieces_max: int) -> list[Line]:
        """The next lines that are not blank; at most pieces_max times a row's length is read."""
        lines: list[Line] = []
        for _ in range(pieces_max):
            piece = self._file.readline(_PIECE_BYTES_MAX)
            if not piece:
                self.at_end = True
                self._is_inside_long_line = False
                break
            was_inside = self._is_inside_long_line
            is_start = self.offset == 0
            self.offset += len(piece)
            is_whole = piece.endswith(b"\n")
            self._is_inside_long_line = not is_whole and len(piece) == _PIECE_BYTES_MAX
            if was_inside:
                # The piece after the last full one may end the file without a line end.
                continue
            self.number += 1
            content = _without_end(piece, is_start=is_start)
            if self._is_inside_long_line or len(content) > ROW_BYTES_MAX:
                lines.append((self.number, None))
            elif content and not content.isspace():
                lines.append((self.number, content))
        return lines


def _without_end(piece: bytes, *, is_start: bool) -> bytes:
    if is_start and piece.startswith(_BOM):
        piece = piece[len(_BOM) :]
    return piece.rstrip(b"\r\n")


def read_header(reader: LineReader) -> tuple[str, ...]:
    """The names in a CSV file's first line. Raises invalid."""
    lines: list[Line] = []
    while not lines and not reader.at_end:
        lines = reader.take(1)
    first = lines[0][1] if lines else b""
    if first is None:
        raise _wrong_header(f"it is longer than {ROW_BYTES_MAX} bytes")
    try:
        names = [name.strip() for name in split_cells(first)]
    except ValueError as error:
        raise _wrong_header(str(error)) from None
    for name in _COLUMNS_NEEDED:
        if name not in names:
            raise _wrong_header(f"it has no column {name}")
    for name in names:
        if name not in COLUMNS:
            raise _wrong_header(f"{name[:50]!r} is no column; columns are {', '.join(COLUMNS)}")
        if names.count(name) > 1:
            raise _wrong_header(f"the column {name} stands twice")
    return tuple(names)


def split_cells(line: bytes) -> list[str]:
    """A CSV record's cells (RFC 4180, on one line). Raises ValueError that says what is wrong."""
    if b"\0" in line:
        raise ValueError("it holds a NUL")
    try:
        text = line.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: {error.reason}") from None
    if '"' not in text and "\r" not in text:
        return text.split(",")
    try:
        records = list(csv.reader((text,), strict=True))
    except csv.Error as error:
        raise ValueError(f"a quoted cell is wrong (it must end on its line): {error}") from None
    return records[0] if records else []


def _wrong_header(why: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, f"the CSV header is wrong: {why}")
