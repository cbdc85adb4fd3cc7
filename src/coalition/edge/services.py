"""What the handlers work with: database, ledger, keys, meters, alerts, batches and the clock."""

from collections.abc import Awaitable, Callable
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
    """One a coalition and process. clock() is the only place where the API reads the time, in UTC.

    sandbox: gives those of the test coalition, which answers test keys (sandbox.py); None: there is
    none, or these are they.
    """

    engine: AsyncEngine
    ledger: Ledger
    group_commit: GroupCommit
    access: Access
    meters: Meters
    alerts: Alerts
    batches: BatchService
    clock: Callable[[], datetime]
    is_live: bool = True
    sandbox: "Callable[[], Awaitable[Services]] | None" = None
    outage_lines: Sparing = field(default_factory=Sparing)

    @property
    def book(self) -> Book:
        return self.ledger.book
