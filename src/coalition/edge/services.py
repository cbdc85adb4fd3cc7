"""What the handlers work with: database, ledger, keys, meters, alerts, batches and the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.batches.service import BatchService
from coalition.edge.access import Access
from coalition.edge.alerts import Alerts
from coalition.edge.meters import Meters
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger
from coalition.logs import Sparing
from coalition.terms.book import Book


@dataclass(frozen=True, slots=True)
class Services:
    """One a process. clock() is the only place where the API reads the time, in UTC."""

    engine: AsyncEngine
    ledger: Ledger
    group_commit: GroupCommit
    access: Access
    meters: Meters
    alerts: Alerts
    batches: BatchService
    clock: Callable[[], datetime]
    outage_lines: Sparing = field(default_factory=Sparing)

    @property
    def book(self) -> Book:
        return self.ledger.book
