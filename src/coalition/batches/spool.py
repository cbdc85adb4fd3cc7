"""The files that were sent, on this machine's disk until they are posted: made, claimed, dropped.

A file is named by its batch. Whoever works on one holds its lock, which ends with the process
that holds it, however that ends. What is known about a batch besides its bytes is store.py.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from coalition.errors import CoalitionError, Code

FILE_BYTES_MAX = 256 * 1024 * 1024
ROWS_MAX = 5_000_000
# A file that no running batch knows came from an upload that broke off with its process.
ORPHAN_AGE_S = 24 * 3600


class Spool:
    """The folder of one data folder's files. It is made when the first file comes."""

    def __init__(self, data_folder: Path) -> None:
        self.folder = data_folder / "batches"

    def place(self) -> UUID:
        """What tells this folder from another machine's; made once."""
        path = self.folder / "place"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            making = self.folder / f"place.{uuid4().hex}"
            making.write_text(uuid4().hex)
            # A link is made whole or not at all, and never over another process's.
            with contextlib.suppress(FileExistsError):
                os.link(making, path)
            making.unlink()
        return UUID(path.read_text().strip())

    def is_used(self) -> bool:
        """Whether a file ever came here."""
        return (self.folder / "place").exists()

    def path(self, batch_id: UUID) -> Path:
        return self.folder / batch_id.hex

    def create(self, batch_id: UUID) -> BinaryIO:
        """A new, empty file, its lock taken."""
        self.place()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.fdopen(os.open(self.path(batch_id), flags, 0o600), "w+b")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def claim(self, batch_id: UUID) -> BinaryIO | None:
        """The file with its lock taken; None where somebody works on it.

        Raises FileNotFoundError where it is gone.
        """
        file = self.path(batch_id).open("rb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if os.fstat(file.fileno()).st_nlink == 0:
            # Whoever had the lock dropped the file before we had it.
            file.close()
            raise FileNotFoundError(self.path(batch_id))
        return file

    def drop(self, batch_id: UUID) -> None:
        self.path(batch_id).unlink(missing_ok=True)

    def old_files(self) -> Iterator[UUID]:
        """Files so old that a batch which is not running has no more use for them."""
        before = time.time() - ORPHAN_AGE_S
        for path in self.folder.iterdir():
            with contextlib.suppress(ValueError, FileNotFoundError):
                if path.stat().st_mtime < before:
                    yield UUID(hex=path.name)


class Intake:
    """Bytes on their way into a file, counted against the bounds as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines = 0
        self.size_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Raises too_large once the file is beyond its bounds."""
        self.size_bytes += len(chunk)
        self._lines += chunk.count(b"\n")
        if self.size_bytes > FILE_BYTES_MAX:
            raise too_large()
        if self._lines > ROWS_MAX + 1:
            # One more for a header.
            raise CoalitionError(
                Code.TOO_LARGE, f"a file has at most {ROWS_MAX} rows: send it in parts"
            )
        self._file.write(chunk)

    def finish(self) -> None:
        """Bring the bytes to the disk: from the answer on, they are ours to keep. Blocks."""
        self._file.flush()
        os.fsync(self._file.fileno())


def too_large() -> CoalitionError:
    mebibytes = FILE_BYTES_MAX >> 20
    return CoalitionError(Code.TOO_LARGE, f"a file has at most {mebibytes} MiB: send it in parts")
