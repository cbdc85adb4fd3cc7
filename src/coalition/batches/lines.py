"""A spooled file's lines.

A row is a line in both formats: a CSV cell may be quoted, but holds no line break. So one bad row
is one bad line, and a file can be read on from wherever it was left. No line is ever in memory
whole that is longer than a row may be. A CSV file's cells are cells.py;
what a row says is rows.py.
"""

from typing import BinaryIO

ROW_BYTES_MAX = 65_536
# A line end is not part of the row.
_PIECE_BYTES_MAX = ROW_BYTES_MAX + 2
# Lines are taken together as long as they are short.
_TAKE_BYTES_MAX = 4 * ROW_BYTES_MAX
_BOM = b"\xef\xbb\xbf"

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
        """The next lines that are not blank: of pieces_max lines, or of fewer where they are long.

        A line that is too long is taken in pieces of a row's length.
        """
        lines: list[Line] = []
        enough = self.offset + _TAKE_BYTES_MAX
        for _ in range(pieces_max):
            if self.offset >= enough:
                break
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
