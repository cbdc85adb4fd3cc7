"""What is asked before each group of a file: whose turn it is, how fast its key may go on, whether.

A file is slowed where requests of its key would be refused, and waits for its key's allowance.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition import turns
from coalition.batches.posting import Stop
from coalition.batches.reading import Group
from coalition.batches.rota import Rota
from coalition.batches.standing import why_ended
from coalition.batches.store import Batch
from coalition.errors import Code
from coalition.keys.allowance import Allowance
from coalition.ledger.commands import Outcome, Refused

# Told how many rows of a key's files named cards that there are none of; answers how many seconds
# its files have to rest. Asked with none before each group.
NoteUnknownCards = Callable[[str, int], float]


@dataclass(slots=True)
class FileGate:
    """One file's, as long as it is at work."""

    batch: Batch
    engine: AsyncEngine
    rota: Rota
    allowance: Allowance
    note_unknown_cards: NoteUnknownCards
    clock: Callable[[], datetime]
    _is_first: bool = field(init=False, default=True)

    @property
    def rows_max(self) -> int | None:
        """Of a group; None: any number."""
        return None if self.batch.asker_id is None else self.allowance.rows_max

    async def ask(self, group: Group) -> Stop | None:
        """None: the group may be posted."""
        # Each turn posts a group, or a file that is slow to begin would never get on.
        if not self._is_first and self._must_give_way():
            return Stop()
        self._is_first = False
        if (stop := await self._slowed(len(group.rows))) is not None:
            return stop
        return await ended(self.engine, self.batch, self.clock())

    def note(self, outcomes: list[Outcome]) -> None:
        """What became of a group that was let through."""
        if self.batch.asker_id is None:
            return
        refused = (one for one in outcomes if isinstance(one, Refused))
        count = sum(one.code is Code.UNKNOWN_CARD for one in refused)
        if count:
            self.note_unknown_cards(self.batch.asker_id, count)

    async def _slowed(self, rows: int) -> Stop | None:
        """Wait until its key may have so many rows posted, or put the file back until then."""
        asker_id = self.batch.asker_id
        if asker_id is None:
            return None
        if rest_s := self.note_unknown_cards(asker_id, 0):
            return Stop(rest_s=rest_s)
        while wait_s := self.allowance.take_rows(asker_id, rows):
            # A second at the longest, as long as no requests take what it waits for.
            await asyncio.sleep(wait_s)
            if self._must_give_way():
                return Stop()
        return None

    def _must_give_way(self) -> bool:
        return self.rota.must_give_way(self.batch.batch_id, turns.monotonic_s())


async def ended(engine: AsyncEngine, batch: Batch, now: datetime) -> Stop | None:
    """Whether a file has to end here, and why."""
    async with engine.connect() as connection:
        reason = await why_ended(connection, batch, now)
    return None if reason is None else Stop(reason)
