"""A file of history from its first row to its last: groups are played, one after another.

Before each group time passes until its first movement; members come before movements. What was
recorded is never played again; after a crash the rows of the last group replay under their keys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import BinaryIO

from coalition.batches.posting import post_rows
from coalition.batches.results import count
from coalition.errors import Code
from coalition.importing import store
from coalition.importing.files import Group, HistoryReader
from coalition.importing.importer import Importer
from coalition.importing.members import Newcomer
from coalition.importing.results import ResultFile, Told
from coalition.importing.rows import Movement
from coalition.importing.store import Progress
from coalition.ledger.commands import Outcome, Refused, Request
from coalition.members.store import Enrolled

# Told how far the file is after each group.
OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class Play:
    """One file on its way in, from where it was left. now: the present."""

    importer: Importer
    file: BinaryIO
    results: ResultFile
    progress: Progress
    now: datetime
    is_csv: bool
    on_progress: OnProgress = lambda progress: None
    _clock: datetime = field(init=False)

    async def run(self) -> Progress:
        """Import the rest of the file. Raises invalid for its header, or what the database did."""
        engine = self.importer.ledger.engine
        reader = HistoryReader(
            self.file,
            lambda: self.importer.ledger.book,
            self.now,
            is_csv=self.is_csv,
            read_to_bytes=self.progress.read_to_bytes,
            line_count=self.progress.line_count,
        )
        async with engine.connect() as connection:
            earlier = await store.clock(connection)
        self._clock = max(self.importer.passed_to, earlier or self.importer.passed_to)
        for group in reader.groups():
            told = await self._play(group)
            self.progress = self._after(group, told)
            async with engine.begin() as connection:
                await store.record(connection, self.progress)
            self.on_progress(self.progress)
        async with engine.begin() as connection:
            await store.finish(connection, self.progress.digest, self.now)
        return self.progress

    def _after(self, group: Group, told: Sequence[Told]) -> Progress:
        """How far the file is after a group; its results are on the disk by then."""
        counts = count([one for one in told if not isinstance(one, Enrolled)])
        replayed = sum(isinstance(one, Enrolled) and one.replayed for one in told)
        enrolled = sum(isinstance(one, Enrolled) and not one.replayed for one in told)
        return replace(
            self.progress,
            posted=self.progress.posted + counts.posted + enrolled,
            replayed=self.progress.replayed + counts.replayed + replayed,
            refused=self.progress.refused + counts.refused,
            read_to_bytes=group.read_to_bytes,
            line_count=group.line_count,
            results_bytes=self.results.append(group.rows, told),
            clock_at=self._clock,
        )

    async def _play(self, group: Group) -> list[Told]:
        """What became of each row, in order."""
        told: dict[int, Told] = {}
        newcomers: list[tuple[int, Newcomer]] = []
        movements: list[tuple[int, Movement]] = []
        for line, row, _, _ in group.rows:
            if isinstance(row, Refused):
                told[line] = row
            elif isinstance(row, Newcomer):
                newcomers.append((line, row))
            else:
                movements.append((line, row))
        if newcomers:
            enrolled = await self.importer.enrol([row for _, row in newcomers])
            told |= zip((line for line, _ in newcomers), enrolled, strict=True)
        if movements:
            outcomes = await self._move([row for _, row in movements])
            told |= zip((line for line, _ in movements), outcomes, strict=True)
        return [told[read.line] for read in group.rows]

    async def _move(self, movements: Sequence[Movement]) -> list[Outcome]:
        """Post the movements of one day. One that is older than the clock may only replay."""
        # What the clock showed when an older one came, by its place.
        late: dict[int, datetime] = {}
        first: datetime | None = None
        for place, movement in enumerate(movements):
            if movement.at < self._clock:
                late[place] = self._clock
                continue
            self._clock = movement.at
            first = first or movement.at
        if first is not None:
            await self.importer.pass_to(first)
        asked = await self._requests(movements)
        if late:
            await self._refuse_late(asked, late)
        return await post_rows(self.importer.ledger, asked)

    async def _requests(self, movements: Sequence[Movement]) -> list[Request | Refused]:
        ledger = self.importer.ledger
        by_key = [movement.names for movement in movements if movement.names is not None]
        async with ledger.engine.connect() as connection:
            named = await store.posted_under(connection, by_key)
        return [movement.request(ledger.book, named) for movement in movements]

    async def _refuse_late(
        self, asked: list[Request | Refused], late: Mapping[int, datetime]
    ) -> None:
        requests = {place: row for place in late if isinstance(row := asked[place], Request)}
        keys = [row.request_id for row in requests.values() if row.request_id is not None]
        async with self.importer.ledger.engine.connect() as connection:
            posted = await store.posted_under(connection, keys)
        for place, row in requests.items():
            if row.request_id not in posted:
                asked[place] = Refused(
                    Code.INVALID,
                    f"occurred_at: {row.now.isoformat()} is older than the clock, which stands at "
                    f"{late[place].isoformat()}; history comes in the order of its time",
                )
