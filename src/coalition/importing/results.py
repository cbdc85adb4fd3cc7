"""What became of each row of a file of history: a line of NDJSON a row, beside the file."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from coalition.batches.results import pack, unpack
from coalition.importing.files import Read
from coalition.ledger.commands import Outcome
from coalition.members.store import Enrolled
from coalition.wire import ids

Told = Outcome | Enrolled
_encoder = msgspec.json.Encoder()


class HistoryResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row by the line it stands in, from 1, and by its key. points is what the row moved.

    status: posted (of a member: enrolled), replayed, or refused.
    """

    line: int
    status: str
    key: str | None = None
    code: str | None = None
    detail: str | None = None
    id: str | None = None
    points: int | None = None


class ResultFile:
    """Results so far; what is behind length_bytes is of rows that will be played again.

    Raises OSError where the file cannot be written.
    """

    def __init__(self, path: Path, length_bytes: int) -> None:
        self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b")
        # Where it was taken away meanwhile, what it held is not told again.
        length_bytes = min(length_bytes, self._file.seek(0, os.SEEK_END))
        self._file.truncate(length_bytes)
        self._file.seek(length_bytes)

    def append(self, rows: Sequence[Read], told: Sequence[Told]) -> int:
        """Bring the results of these rows to the disk; how long the file is then, in bytes."""
        for result in results(rows, told):
            self._file.write(_encoder.encode(result) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def results(rows: Sequence[Read], told: Sequence[Told]) -> Iterator[HistoryResult]:
    for read, one in zip(rows, told, strict=True):
        if isinstance(one, Enrolled):
            status = "replayed" if one.replayed else "posted"
            yield HistoryResult(read.line, status, id=ids.encode(ids.MEMBER, one.member_id))
            continue
        (row,) = unpack(0, pack([one], [read.key]))
        yield HistoryResult(
            read.line, row.status, row.key, row.code, row.detail, row.id, row.points
        )
