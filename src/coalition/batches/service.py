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

from coalition import turns
from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.batches import store
from coalition.batches.cells import check_opening, read_header
from coalition.batches.gate import FileGate, NoteUnknownCards, ended
from coalition.batches.lines import LineReader
from coalition.batches.names import spelt
from coalition.batches.posting import OnProgress, Work, post_batch
from coalition.batches.rota import Rota
from coalition.batches.spool import Intake, Spool
from coalition.batches.standing import CANCELLED
from coalition.batches.store import Batch, Format
from coalition.batches.uploads import Uploads, settle
from coalition.failures import in_a_line, in_full
from coalition.keys.allowance import Allowance
from coalition.ledger.post import Ledger

log = structlog.get_logger()

# How many files one process posts at once; the others wait for their merchant's turn.
BATCHES_AT_ONCE = 2
# After so long a process looks for files that another one took in, or left.
LOOK_S = 2.0
# A file that cannot be posted is tried again so often, with twice the pause each time.
STUMBLES_MAX = 5
_GONE = "its file is gone: send it again; rows that are posted already will be replayed"
_STUMBLED = "posting it failed again and again: send it again; what is posted will be replayed"


@dataclass(slots=True)
class _Stumble:
    """How often posting failed at one place of a file."""

    row_count: int
    times: int


@dataclass(slots=True)
class BatchService:
    """Takes files in and has them posted. One a process; start() and stop() with it.

    A row spends of its key's allowance what a request does.
    """

    ledger: Ledger
    data_folder: Path
    clock: Callable[[], datetime]
    allowance: Allowance = field(default_factory=lambda: Allowance(0))
    note_unknown_cards: NoteUnknownCards = lambda key_id, count: 0.0
    uploads: Uploads = field(init=False)
    _spool: Spool = field(init=False)
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _watching: asyncio.Task[None] | None = field(init=False, default=None)
    _posting: dict[UUID, asyncio.Task[None]] = field(init=False, default_factory=dict)
    _rota: Rota = field(init=False, default_factory=Rota)
    _stumbles: dict[UUID, _Stumble] = field(init=False, default_factory=dict)
    # Until when a file is left alone, on the monotonic clock.
    _rests: dict[UUID, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._spool = Spool(self.data_folder)
        self.uploads = Uploads(self.ledger.engine, self.clock)

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
        actor: str | None,
    ) -> None:
        """A file has come whole: keep it, and record that it is to be posted.

        actor is the key or the command that sent it, in whose name its rows are posted.
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
            await settle(connection, batch_id)

    async def post_now(self, batch_id: UUID, file: BinaryIO, on_progress: OnProgress) -> Batch:
        """Post a file of ours here and now, and answer the batch as it is then.

        Raises what the database raised; then the next process that looks posts the rest.
        """
        batch = await self._find(batch_id)
        engine = self.ledger.engine
        await post_batch(
            Work(
                batch,
                file,
                self.ledger,
                self.clock,
                lambda _: ended(engine, batch, self.clock()),
                on_progress,
            )
        )
        self._spool.drop(batch_id)
        return await self._find(batch_id)

    async def cancel(self, batch_id: UUID, actor: Actor) -> Batch:
        """End a batch for good, and answer it as it is then; one that is over stays as it is.

        A group that is being posted is still posted, and recorded.
        """
        async with self.ledger.engine.begin() as connection:
            now = self.clock()
            if await store.finish(connection, batch_id, now, CANCELLED):
                await record(connection, actor, now, "batch.cancel", spelt(batch_id))
        # Whoever posts it drops it after the group; nobody else will look for it.
        with contextlib.suppress(FileNotFoundError):
            file = self._spool.claim(batch_id)
            if file is not None:
                with file:
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
        if not self._spool.is_used():
            return
        place = self._spool.place()
        async with self.ledger.engine.connect() as connection:
            batches = await store.running(connection, place)
        now_s = turns.monotonic_s()
        self._rests = {one: until_s for one, until_s in self._rests.items() if until_s > now_s}
        waiting = {
            batch.batch_id: batch
            for batch in batches
            if batch.batch_id not in self._posting and batch.batch_id not in self._rests
        }
        while len(self._posting) < BATCHES_AT_ONCE:
            batch = self._rota.next_of(list(waiting.values()))
            if batch is None:
                break
            del waiting[batch.batch_id]
            await self._take_up(batch.batch_id)
        self._rota.note_waiting(waiting.values())

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
            # Another process posts it, so that it waits for nobody here.
            self._rests[batch_id] = turns.monotonic_s() + LOOK_S
            return
        if batch is None or not is_running:
            # It was done, or cancelled, before we had its lock.
            self._spool.drop(batch_id)
            file.close()
            return
        task = asyncio.create_task(self._post(batch, file))
        self._posting[batch_id] = task
        self._rota.begin(batch, turns.monotonic_s())
        task.add_done_callback(lambda _: self._leave(batch))

    def _leave(self, batch: Batch) -> None:
        self._posting.pop(batch.batch_id, None)
        self._rota.end(batch, turns.monotonic_s())
        self.wake()

    async def _post(self, batch: Batch, file: BinaryIO) -> None:
        with file:
            try:
                stop = await post_batch(self._work(batch, file))
            except Exception as error:
                log.error("batch stopped", batch_id=batch.batch_id.hex, exception=in_full(error))
                await self._stumble(batch)
                return
            self._stumbles.pop(batch.batch_id, None)
            if stop is None or stop.reason is not None:
                self._spool.drop(batch.batch_id)
            elif stop.rest_s:
                self._rests[batch.batch_id] = turns.monotonic_s() + stop.rest_s

    def _work(self, batch: Batch, file: BinaryIO) -> Work:
        engine = self.ledger.engine
        gate = FileGate(
            batch, engine, self._rota, self.allowance, self.note_unknown_cards, self.clock
        )
        return Work(
            batch,
            file,
            self.ledger,
            self.clock,
            gate.ask,
            rows_max=gate.rows_max,
            on_outcomes=gate.note,
        )

    async def _stumble(self, batch: Batch) -> None:
        """Give a file that fails where it failed before a longer rest, and at last up."""
        last = self._stumbles.get(batch.batch_id)
        is_same_place = last is not None and last.row_count == batch.row_count
        times = last.times + 1 if last is not None and is_same_place else 1
        self._rests[batch.batch_id] = turns.monotonic_s() + LOOK_S * 2**times
        self._stumbles[batch.batch_id] = _Stumble(batch.row_count, times)
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
