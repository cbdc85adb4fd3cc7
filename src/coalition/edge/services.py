"""What handlers work with: database, ledger, keys, sign-in, PINs, meters, batches, clock."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.batches.service import BatchService
from coalition.edge.access import Access
from coalition.edge.alerts import Alerts
from coalition.edge.meters import Meters
from coalition.edge.pins import Pins
from coalition.edge.sign_in import SignIn
from coalition.edge.throttle import Throttle
from coalition.keys.guessing import GuessCount
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger
from coalition.logs import Sparing
from coalition.sealing.encryption import Keyring
from coalition.settings import Network
from coalition.terms.book import Book


@dataclass(frozen=True, slots=True)
class Services:
    """One a coalition and process. clock() is the only place where the API reads the time, in UTC.

    sandbox: gives those of the test coalition, which answers test keys (sandbox.py); None: there is
    none, or these are they. test_access are that one's keys.
    """

    engine: AsyncEngine
    ledger: Ledger
    group_commit: GroupCommit
    access: Access
    sign_in: SignIn
    pins: Pins
    meters: Meters
    alerts: Alerts
    batches: BatchService
    clock: Callable[[], datetime]
    guessing: GuessCount
    ring: Keyring
    trusted_proxies: Sequence[Network] = ()
    throttle: Throttle = field(default_factory=Throttle)
    is_live: bool = True
    sandbox: "Callable[[], Awaitable[Services]] | None" = None
    test_access: Access | None = None
    outage_lines: Sparing = field(default_factory=Sparing)

    @property
    def book(self) -> Book:
        return self.ledger.book
