"""One batch from its file to its results: read, post and record groups, all three at once.

A crash loses no more than the results of the groups under way: their rows are posted or they are
not, and when the file is read on from the last recorded group, the rows' own keys tell which.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from coalition.batches import store
from coalition.batches.reading import Group, RowReader
from coalition.batches.results import count, pack
from coalition.batches.store import Batch
from coalition.ledger.commands import Burn, Earn, Outcome, Refused, Request
from coalition.ledger.post import Ledger

# Rows of one group, and how many parts of it are posted at once: while the database works on one,
# this process decides the other.
GROUP_ROWS = 2_000
LANES = 2


@dataclass(frozen=True, slots=True)
class Stop:
    """Why no further group of a file is posted: it has failed for this reason, or, without one, it
    is put back and read on later, when it has rested.
    """

    reason: str | None = None
    rest_s: float = 0.0


# Asked before each group is posted; None: go on.
Gate = Callable[[Group], Awaitable[Stop | None]]
_Decided = tuple[Group, list[Outcome]]
# Rows recorded so far, and how far the file is read, in bytes.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """A batch whose file is claimed, where it is posted, and who is asked before each group.

    rows_max: of a group; None: as many as are quick. on_outcomes is told what became of a group.
    """

    batch: Batch
    file: BinaryIO
    ledger: Ledger
    clock: Callable[[], datetime]
    gate: Gate
    on_progress: OnProgress = lambda rows, read_to_bytes: None
    rows_max: int | None = None
    on_outcomes: Callable[[list[Outcome]], None] = lambda outcomes: None


async def post_batch(work: Work) -> Stop | None:
    """Post the rest of a batch and mark it done, or as much as its gate lets through.

    Answers what stopped it; None: it is done. Raises what the database raised.
    """
    reader = RowReader(work.batch, work.file, lambda: work.ledger.book, work.clock)
    read: asyncio.Queue[Group | None] = asyncio.Queue(1)
    decided: asyncio.Queue[_Decided | None] = asyncio.Queue(1)
    async with asyncio.TaskGroup() as stages:
        reading = stages.create_task(_read(reader, work.rows_max, read))
        stages.create_task(_record(work, decided))
        stop = await _post(work, read, decided)
        reading.cancel()
    if stop is None or stop.reason is not None:
        reason = None if stop is None else stop.reason
        async with work.ledger.engine.begin() as connection:
            await store.finish(connection, work.batch.batch_id, work.clock(), reason)
    return stop


async def _read(reader: RowReader, rows_max: int | None, read: asyncio.Queue[Group | None]) -> None:
    while group := await reader.next_group(min(GROUP_ROWS, rows_max or GROUP_ROWS)):
        await read.put(group)
    await read.put(None)


async def _post(
    work: Work,
    read: asyncio.Queue[Group | None],
    decided: asyncio.Queue[_Decided | None],
) -> Stop | None:
    stop: Stop | None = None
    while stop is None and (group := await read.get()):
        stop = await work.gate(group)
        if stop is None:
            outcomes = await post_rows(work.ledger, group.rows)
            work.on_outcomes(outcomes)
            await decided.put((group, outcomes))
    await decided.put(None)
    return stop


async def _record(work: Work, decided: asyncio.Queue[_Decided | None]) -> None:
    while found := await decided.get():
        group, outcomes = found
        async with work.ledger.engine.begin() as connection:
            await store.record(
                connection,
                work.batch.batch_id,
                group.first_row,
                pack(outcomes, group.keys),
                count(outcomes),
                group.read_to_bytes,
                group.line_count,
            )
        work.on_progress(group.first_row + len(outcomes) - 1, group.read_to_bytes)


async def post_rows(ledger: Ledger, rows: list[Request | Refused]) -> list[Outcome]:
    """Post the rows that are requests; outcomes in the order of the rows."""
    outcomes: list[Outcome | None] = [row if isinstance(row, Refused) else None for row in rows]
    lanes = lanes_of(rows)

    async def post_lane(places: list[int]) -> None:
        requests = [row for place in places if isinstance(row := rows[place], Request)]
        for place, outcome in zip(places, await ledger.post(requests), strict=True):
            outcomes[place] = outcome

    async with asyncio.TaskGroup() as posting:
        for places in lanes:
            posting.create_task(post_lane(places))
    return [outcome for outcome in outcomes if outcome is not None]


def lanes_of(rows: list[Request | Refused]) -> list[list[int]]:
    """Places of the requests in `rows`, in lanes that may be posted at once.

    One member's rows stay in the order of the file: earns and burns of one card are in one lane,
    and a reversal, which may name no card or another one of its member's, or a key that stands
    twice puts all rows in one.
    """
    places = [place for place, row in enumerate(rows) if isinstance(row, Request)]
    lanes: list[list[int]] = [[] for _ in range(LANES)]
    keys = set()
    for place in places:
        row = rows[place]
        assert isinstance(row, Request)
        keys.add(row.request_id)
        if not isinstance(row.command, Earn | Burn):
            return [places]
        # Not by the last digit: it is the check digit, and even as often as odd only by chance.
        lanes[row.command.card // 10 % LANES].append(place)
    if len(keys) < len(places):
        return [places] if places else []
    return [lane for lane in lanes if lane]
