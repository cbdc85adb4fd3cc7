"""A file of history as groups of rows: read on, line by line, from wherever it was left.

A group is of one day, so that time may pass between two of them; and in no group does a reversal
name a row of the same group by its key. What a row says is rows.py, what becomes of it play.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO, NamedTuple
from uuid import UUID

from coalition.batches import cells as batch_cells
from coalition.batches.cells import Header, check_opening, read_header, split_cells
from coalition.batches.lines import ROW_BYTES_MAX, LineReader
from coalition.errors import Code
from coalition.importing.rows import COLUMNS, Movement, Row, read_cells, read_json
from coalition.ledger.commands import Refused
from coalition.terms.book import Book
from coalition.wire.keys import request_id

GROUP_ROWS = 2_000
_ALL_COLUMNS = (*batch_cells.COLUMNS, *COLUMNS)


class Read(NamedTuple):
    """A line, what it says, its row's key if any, and how far the file is read after it."""

    line: int
    row: Row | Refused
    key: str | None
    read_to_bytes: int


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive rows to post together, all movements of one day; never empty."""

    rows: list[Read]

    @property
    def read_to_bytes(self) -> int:
        return self.rows[-1].read_to_bytes

    @property
    def line_count(self) -> int:
        return self.rows[-1].line


class HistoryReader:
    """Reads a file on, read_to_bytes into it and after line_count lines. Raises invalid for its
    header.
    """

    def __init__(
        self,
        file: BinaryIO,
        book: Callable[[], Book],
        now: datetime,
        *,
        is_csv: bool,
        read_to_bytes: int,
        line_count: int,
    ) -> None:
        self._book, self._now = book, now
        self._header: Header | None = None
        check_opening(file, is_csv=is_csv)
        start = LineReader(file)
        if is_csv:
            self._header = read_header(start, _ALL_COLUMNS, ("op", "merchant"))
        if read_to_bytes:
            start = LineReader(file, read_to_bytes, line_count)
        elif not is_csv:
            start = LineReader(file)
        self._lines = start

    def groups(self) -> Iterator[Group]:
        """The rest of the file."""
        rows: list[Read] = []
        day: date | None = None
        keys: set[UUID] = set()
        for read in self._rows():
            row = read.row
            if isinstance(row, Movement):
                on = self._book().today(row.at)
                if len(rows) >= GROUP_ROWS or day not in (None, on) or row.names in keys:
                    yield Group(rows)
                    rows, keys = [], set()
                day = on
                if read.key is not None:
                    op = row.fields["op"]
                    keys.add(request_id(row.merchant_id, str(op), read.key))
            elif len(rows) >= GROUP_ROWS:
                yield Group(rows)
                rows, keys, day = [], set(), None
            rows.append(read)
        if rows:
            yield Group(rows)

    def _rows(self) -> Iterator[Read]:
        lines = self._lines
        while not lines.at_end:
            found = lines.take(1)
            # The rest of a line that is too long belongs to it: a group ends between two lines.
            while not lines.is_between_lines:
                lines.take(1)
            for number, content in found:
                said = self._read(content)
                if said is not None:
                    yield Read(number, *said, lines.offset)

    def _read(self, content: bytes | None) -> tuple[Row | Refused, str | None] | None:
        """The row and its key; None where all cells of a CSV file's line are empty."""
        if content is None:
            return Refused(Code.TOO_LARGE, f"a row has at most {ROW_BYTES_MAX} bytes"), None
        if self._header is None:
            return _keyed(read_json(content, self._book(), self._now))
        names, separator = self._header
        try:
            cells = split_cells(content, separator)
        except ValueError as error:
            return Refused(Code.MALFORMED, str(error)), None
        if not any(cell.strip() for cell in cells):
            return None
        if len(cells) != len(names):
            detail = f"it has {len(cells)} cells, and the header has {len(names)}"
            return Refused(Code.MALFORMED, detail), None
        named = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
        return _keyed(read_cells(named, self._book(), self._now))


def _keyed(row: Row | Refused) -> tuple[Row | Refused, str | None]:
    key = row.fields.get("key") if isinstance(row, Movement) else None
    return row, key if isinstance(key, str) else None
