"""A spooled file as groups of rows to post: lines read on, each turned into a request or a refusal.

It takes turns with the tills, by the clock (turns.py). How a row is read is rows.py and quick.py;
posting the groups is posting.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from coalition.batches.cells import Header, read_header, split_cells
from coalition.batches.lines import (
    ROW_BYTES_MAX,
    Line,
    LineReader,
)
from coalition.batches.quick import QuickReader
from coalition.batches.rows import key_in, read_csv_row, read_json_row
from coalition.batches.store import Batch
from coalition.errors import Code
from coalition.ledger.commands import Refused, Request
from coalition.terms.book import Book
from coalition.turns import Turn
from coalition.wire.keys import is_key
from coalition.wire.read import Asker

# Lines read from the disk at once, and bytes of a group: rows may be long, and three groups are in
# memory at a time.
TAKE_LINES = 100
GROUP_BYTES_MAX = 4 << 20
# What the results keep of a refusal, so that wrong rows cost little more than right ones.
DETAIL_CHARACTERS_MAX = 200

# A row and its key.
_Found = tuple[Request | Refused, str | None]


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive rows, first_row the first of them; and how far the file is read after them.

    keys are the rows', None where a row states none that could be one.
    """

    first_row: int
    rows: list[Request | Refused]
    keys: list[str | None]
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
        self._header: Header | None = None
        if batch.format == "csv":
            self._header = read_header(LineReader(file))
        is_csv_start = batch.format == "csv" and batch.read_to_bytes == 0
        self._lines = LineReader(file, batch.read_to_bytes, batch.line_count)
        if is_csv_start:
            read_header(self._lines)
        self._next_row = batch.row_count + 1

    async def next_group(self, rows_max: int) -> Group | None:
        """The next rows, rows_max at most, fewer where they are long; None at the file's end."""
        lines = self._lines
        batch = self._batch
        asker = Asker(batch.merchant_id, batch.scopes, self._book(), self._clock(), batch.actor)
        quick = QuickReader(asker)
        rows: list[Request | Refused] = []
        keys: list[str | None] = []
        turn, enough = Turn(), lines.offset + GROUP_BYTES_MAX
        # A group ends between two lines, so that a later start can read on from there.
        while not lines.is_between_lines or not (
            lines.at_end or len(rows) >= rows_max or (rows and lines.offset >= enough)
        ):
            for line in lines.take(max(1, min(TAKE_LINES, rows_max - len(rows)))):
                found = self._read(line, asker, quick)
                if found is not None:
                    rows.append(found[0])
                    keys.append(found[1])
                if turn.is_over:
                    await turn.give_way()
            if turn.is_over:
                await turn.give_way()
        if not rows:
            return None
        first_row = self._next_row
        self._next_row += len(rows)
        return Group(first_row, rows, keys, lines.offset, lines.number)

    def _read(self, line: Line, asker: Asker, quick: QuickReader) -> _Found | None:
        """The row and its key; None where all cells of a CSV file's line are empty."""
        number, content = line
        found: _Found | None
        if content is None:
            found = Refused(Code.TOO_LARGE, f"a row has at most {ROW_BYTES_MAX} bytes"), None
        elif self._header is not None:
            found = _read_cells(content, self._header, asker)
        else:
            found = quick.read(content) or read_json_row(content, asker), key_in(content)
        if found is not None and isinstance(found[0], Refused):
            detail = f"line {number}: {found[0].detail}"
            return Refused(found[0].code, detail[:DETAIL_CHARACTERS_MAX]), found[1]
        return found


def _read_cells(content: bytes, header: Header, asker: Asker) -> _Found | None:
    try:
        cells = split_cells(content, header.separator)
    except ValueError as error:
        return Refused(Code.MALFORMED, str(error)), None
    # Spreadsheets write their empty rows, too.
    if not any(cell.strip() for cell in cells):
        return None
    if len(cells) != len(header.names):
        detail = f"it has {len(cells)} cells, and the header has {len(header.names)}"
        return Refused(Code.MALFORMED, detail), None
    named = {name: cell for name, cell in zip(header.names, cells, strict=True) if cell}
    key = named.get("key")
    return read_csv_row(named, asker), key if key is not None and is_key(key) else None
