"""Whose file is posted next, and which one gives way: merchants take turns. Pure; time is told.

A file is put back by being left after a group of its rows, and is read on from there at its next
turn, so that a merchant with one small file never waits for another's millions of rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from coalition.batches.store import Batch

# How long a file is posted before another merchant's, which waits, has its turn.
TURN_S = 2.0


@dataclass(slots=True)
class _AtWork:
    merchant_id: int
    since_s: float
    is_leaving: bool = False


class Rota:
    """The files that one process posts, and the merchants that wait."""

    def __init__(self) -> None:
        self._at_work: dict[UUID, _AtWork] = {}
        self._waiting: frozenset[int] = frozenset()
        self._served_s: dict[int, float] = {}

    def next_of(self, waiting: Sequence[Batch]) -> Batch | None:
        """Of files that wait, the oldest first: a merchant's with the fewest at work already, and
        of those the one's that was served least recently.
        """
        return min(waiting, key=self._rank, default=None)

    def _rank(self, batch: Batch) -> tuple[int, float]:
        merchant_id = batch.merchant_id
        at_work = sum(one.merchant_id == merchant_id for one in self._at_work.values())
        return at_work, self._served_s.get(merchant_id, float("-inf"))

    def begin(self, batch: Batch, now_s: float) -> None:
        self._at_work[batch.batch_id] = _AtWork(batch.merchant_id, now_s)
        self._served_s[batch.merchant_id] = now_s

    def end(self, batch: Batch, now_s: float) -> None:
        self._at_work.pop(batch.batch_id, None)
        self._served_s[batch.merchant_id] = now_s

    def note_waiting(self, waiting: Collection[Batch]) -> None:
        """The files for which there is no room now."""
        self._waiting = frozenset(batch.merchant_id for batch in waiting)

    def must_give_way(self, batch_id: UUID, now_s: float) -> bool:
        """Whether a file at work is to be put back, since a merchant waits that has none at work:
        it has had its turn, or is its merchant's second.
        """
        at_work = self._at_work[batch_id]
        staying = [one.merchant_id for one in self._at_work.values() if not one.is_leaving]
        left_out = self._waiting - {one.merchant_id for one in self._at_work.values()}
        if len(left_out) <= len(self._at_work) - len(staying):
            # Others leave already, and make room for all who wait.
            return False
        is_second = staying.count(at_work.merchant_id) > 1
        at_work.is_leaving = is_second or now_s - at_work.since_s >= TURN_S
        return at_work.is_leaving
