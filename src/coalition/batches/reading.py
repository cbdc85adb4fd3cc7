"""A spooled file as groups of rows to post: lines read on, each turned into a request or a refusal.

It takes turns with the tills: after each hundred rows the event loop is free. How a row is read is
rows.py and quick.py; posting the groups is posting.py.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from coalition.batches.lines import (
    ROW_BYTES_MAX,
    Line,
    LineReader,
    read_header,
    split_cells,
)
from coalition.batches.quick import QuickReader
from coalition.batches.rows import Asker, read_csv_row, read_json_row, refusal
from coalition.batches.store import Batch
from coalition.errors import Code
from coalition.ledger.commands import Refused, Request
from coalition.terms.book import Book

# A millisecond or so of work between two looks at what else waits.
TURN_LINES = 100


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive rows, first_row the first of them; and how far the file is read after them."""

    first_row: int
    rows: list[Request | Refused]
    read_to_bytes: int
    line_count: int


class RowReader:
    """Reads a batch's file on from where it was left."""

    def __init__(
        self,
        batch: Batch,
        file: BinaryIO,
        book: Callable[[], Book],
        clock: Callable[[], datetime],
    ) -> None:
        self._batch = batch
        self._book = book
        self._clock = clock
        self._columns: tuple[str, ...] = ()
        if batch.format == "csv":
            self._columns = read_header(LineReader(file))
        is_csv_start = batch.format == "csv" and batch.read_to_bytes == 0
        self._lines = LineReader(file, batch.read_to_bytes, batch.line_count)
        if is_csv_start:
            read_header(self._lines)
        self._next_row = batch.row_count + 1

    async def next_group(self, rows_max: int) -> Group | None:
        """The next rows, rows_max and a few; None at the end of the file."""
        lines = self._lines
        asker = Asker(self._batch.merchant_id, self._batch.scopes, self._book(), self._clock())
        quick = QuickReader(asker)
        rows: list[Request | Refused] = []
        # A group ends between two lines, so that a later start can read on from there.
        while (len(rows) < rows_max and not lines.at_end) or not lines.is_between_lines:
            for line in lines.take(TURN_LINES):
                rows.append(self._read(line, asker, quick))
            await asyncio.sleep(0)
        if not rows:
            return None
        first_row = self._next_row
        self._next_row += len(rows)
        return Group(first_row, rows, lines.offset, lines.number)

    def _read(self, line: Line, asker: Asker, quick: QuickReader) -> Request | Refused:
        number, content = line
        row: Request | Refused
        if content is None:
            row = refusal(Code.TOO_LARGE, f"a row has at most {ROW_BYTES_MAX} bytes")
        elif self._columns:
            row = self._read_cells(content, asker)
        else:
            row = quick.read(content) or read_json_row(content, asker)
        if isinstance(row, Refused):
            return refusal(row.code, f"line {number}: {row.detail}")
        return row

    def _read_cells(self, content: bytes, asker: Asker) -> Request | Refused:
        try:
            cells = split_cells(content)
        except ValueError as error:
            return refusal(Code.MALFORMED, str(error))
        if len(cells) != len(self._columns):
            detail = f"it has {len(cells)} cells, and the header has {len(self._columns)}"
            return refusal(Code.MALFORMED, detail)
        named = zip(self._columns, cells, strict=True)
        return read_csv_row({name: cell for name, cell in named if cell}, asker)
