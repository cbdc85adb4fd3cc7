"""The batches of one process: files are taken in, and posted in the background, a few at once.

Any process on the data folder may post any file in it; whoever has the file's lock does. So a file
whose process died is read on by the next one that looks. Posting itself is posting.py.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog

from coalition.batches import store
from coalition.batches.cells import check_opening, read_header
from coalition.batches.lines import LineReader
from coalition.batches.posting import OnProgress, Work, post_batch
from coalition.batches.spool import Intake, Spool
from coalition.batches.store import Batch, Format
from coalition.failures import in_a_line, in_full
from coalition.ledger.post import Ledger

log = structlog.get_logger()

# How many files one process posts at once; the others wait, the oldest first.
BATCHES_AT_ONCE = 2
# After so long a process looks for files that another one took in, or left.
LOOK_S = 2.0
# A file that cannot be posted is tried again so often, with twice the pause each time.
STUMBLES_MAX = 5
_GONE = "its file is gone: send it again; rows that are posted already will be replayed"
_STUMBLED = "posting it failed again and again: send it again; what is posted will be replayed"


@dataclass(slots=True)
class _Stumble:
    """How often posting failed at one place of a file, and until when it is left alone."""

    row_count: int
    times: int
    until_s: float


@dataclass(slots=True)
class BatchService:
    """Takes files in and has them posted. One a process; start() and stop() with it."""

    ledger: Ledger
    data_folder: Path
    clock: Callable[[], datetime]
    _spool: Spool = field(init=False)
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _watching: asyncio.Task[None] | None = field(init=False, default=None)
    _posting: dict[UUID, asyncio.Task[None]] = field(init=False, default_factory=dict)
    _stumbles: dict[UUID, _Stumble] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._spool = Spool(self.data_folder)

    async def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Leave every file where it is; it is read on from its last recorded group."""
        tasks = [*self._posting.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def create(self, batch_id: UUID) -> BinaryIO:
        """A new spool file, locked by us until it is closed."""
        return self._spool.create(batch_id)

    def drop(self, batch_id: UUID) -> None:
        self._spool.drop(batch_id)

    async def admit(
        self,
        batch_id: UUID,
        file: BinaryIO,
        intake: Intake,
        format_: Format,
        merchant_id: int,
        scopes: frozenset[str],
        actor: str | None = None,
    ) -> None:
        """A file that actor sent has come whole: keep it, and record that it is to be posted.

        Raises invalid where its CSV header is wrong, or it is no UTF-8 text with lines.
        """
        check_opening(file, is_csv=format_ == "csv")
        if format_ == "csv":
            read_header(LineReader(file))
        await asyncio.to_thread(intake.finish)
        async with self.ledger.engine.begin() as connection:
            await store.insert(
                connection,
                batch_id,
                merchant_id,
                scopes,
                format_,
                self._spool.place(),
                intake.size_bytes,
                self.clock(),
                actor,
            )

    async def post_now(self, batch_id: UUID, file: BinaryIO, on_progress: OnProgress) -> Batch:
        """Post a file of ours here and now, and answer the batch as it is then.

        Raises what the database raised; then the next process that looks posts the rest.
        """
        batch = await self._find(batch_id)
        await post_batch(Work(batch, file, self.ledger, self.clock, on_progress))
        self._spool.drop(batch_id)
        return await self._find(batch_id)

    async def _find(self, batch_id: UUID) -> Batch:
        async with self.ledger.engine.connect() as connection:
            batch = await store.find(connection, batch_id)
        assert batch is not None, "admit() recorded it"
        return batch

    def wake(self) -> None:
        """There is a file to post."""
        self._woken.set()

    async def _watch(self) -> None:
        if self._spool.is_used():
            await self._drop_orphans()
        while True:
            self._woken.clear()
            try:
                await self._look()
            except Exception as error:
                # The database is away; what is running is tried again when it is back.
                log.warning("batches not looked for", error=in_a_line(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()

    async def _look(self) -> None:
        if len(self._posting) >= BATCHES_AT_ONCE or not self._spool.is_used():
            return
        place = self._spool.place()
        async with self.ledger.engine.connect() as connection:
            batches = await store.running(connection, place)
        now_s = asyncio.get_running_loop().time()
        for batch in batches:
            stumble = self._stumbles.get(batch.batch_id)
            is_resting = stumble is not None and stumble.until_s > now_s
            if len(self._posting) >= BATCHES_AT_ONCE:
                return
            if batch.batch_id not in self._posting and not is_resting:
                await self._take_up(batch.batch_id)

    async def _take_up(self, batch_id: UUID) -> None:
        file: BinaryIO | None = None
        is_gone = False
        try:
            file = self._spool.claim(batch_id)
        except FileNotFoundError:
            is_gone = True
        # Read under the file's lock: another process may just have finished it.
        async with self.ledger.engine.begin() as connection:
            batch = await store.find(connection, batch_id)
            is_running = batch is not None and batch.status == "running"
            if is_gone and is_running:
                await store.finish(connection, batch_id, self.clock(), _GONE)
        if file is None:
            return
        if batch is None or not is_running:
            file.close()
            return
        task = asyncio.create_task(self._post(batch, file))
        self._posting[batch_id] = task
        task.add_done_callback(lambda _: self._leave(batch_id))

    def _leave(self, batch_id: UUID) -> None:
        self._posting.pop(batch_id, None)
        self.wake()

    async def _post(self, batch: Batch, file: BinaryIO) -> None:
        with file:
            try:
                await post_batch(Work(batch, file, self.ledger, self.clock))
            except Exception as error:
                log.error("batch stopped", batch_id=batch.batch_id.hex, exception=in_full(error))
                await self._stumble(batch)
                return
            self._stumbles.pop(batch.batch_id, None)
            self._spool.drop(batch.batch_id)

    async def _stumble(self, batch: Batch) -> None:
        """Give a file that fails where it failed before a longer rest, and at last up."""
        last = self._stumbles.get(batch.batch_id)
        is_same_place = last is not None and last.row_count == batch.row_count
        times = last.times + 1 if last is not None and is_same_place else 1
        rest_s = LOOK_S * 2**times
        until_s = asyncio.get_running_loop().time() + rest_s
        self._stumbles[batch.batch_id] = _Stumble(batch.row_count, times, until_s)
        if times < STUMBLES_MAX:
            return
        # While the database is away this fails too, and the file stays as it is.
        with contextlib.suppress(Exception):
            async with self.ledger.engine.begin() as connection:
                await store.finish(connection, batch.batch_id, self.clock(), _STUMBLED)
            self._spool.drop(batch.batch_id)

    async def _drop_orphans(self) -> None:
        for batch_id in self._spool.old_files():
            with contextlib.suppress(Exception):
                file = self._spool.claim(batch_id)
                if file is None:
                    continue
                with file:
                    async with self.ledger.engine.connect() as connection:
                        batch = await store.find(connection, batch_id)
                    if batch is None or batch.status != "running":
                        self._spool.drop(batch_id)
