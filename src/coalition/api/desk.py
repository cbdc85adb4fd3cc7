"""What the handlers work with: the database, the ledger, keys, meters, batches and the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.api.access import Access
from coalition.api.meters import Meters
from coalition.batches.desk import BatchDesk
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger
from coalition.merchants.book import Book


@dataclass(frozen=True, slots=True)
class Desk:
    """One a process. clock() is the only place where the API reads the time, in UTC."""

    engine: AsyncEngine
    ledger: Ledger
    group_commit: GroupCommit
    access: Access
    meters: Meters
    batches: BatchDesk
    clock: Callable[[], datetime]

    @property
    def book(self) -> Book:
        return self.ledger.book
