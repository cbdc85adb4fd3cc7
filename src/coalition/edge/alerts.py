"""What an operator is told at once: sign-ins refused, callers slowed down, acts of administration.

Each is counted, for alerts (docs/operations.md), and told in the log, one line a second of each
kind with how many were left out. No line says more of a caller than which key it named.
"""

import time
from collections.abc import Callable

import structlog

from coalition.edge.meters import Meters
from coalition.errors import CoalitionError, Code
from coalition.logs import Sparing

log = structlog.get_logger()

# Too many to tell: every new member has one.
_COUNTED_ONLY = ("card.issue",)


class RefusedSignInError(CoalitionError):
    """A request without a good key. key_id is the id of a key with a right checksum, if any."""

    def __init__(self, detail: str, key_id: str | None = None) -> None:
        super().__init__(Code.UNAUTHENTICATED, detail)
        self.key_id = key_id


class Alerts:
    """One a coalition and process. monotonic_s is any clock that only goes forward, in seconds."""

    def __init__(
        self,
        meters: Meters,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        is_live: bool = True,
    ) -> None:
        """is_live False: each line says that it is about the test coalition."""
        self._meters = meters
        self._said = {} if is_live else {"coalition": "test"}
        self._monotonic_s = monotonic_s
        self._lines: dict[str, Sparing] = {}

    def tell_refusal(self, error: CoalitionError) -> None:
        """Count and log a refusal that is one of a sign-in or of somebody who asks too fast."""
        if error.code is Code.UNAUTHENTICATED:
            self._meters.refused_signins.inc()
            key_id = error.key_id if isinstance(error, RefusedSignInError) else None
            self._tell("sign-in refused", why=error.detail, key_id=key_id)
        elif error.code is Code.TOO_MANY_REQUESTS:
            self._meters.throttled.inc()
            self._tell("throttled", why=error.detail)

    def tell_act(self, actor: str | None, action: str) -> None:
        """Count and log a change of a card, a key, a merchant or a window."""
        self._meters.admin_acts.labels(action).inc()
        if action not in _COUNTED_ONLY:
            self._tell(action, by=actor)

    def _tell(self, event: str, **said: str | None) -> None:
        more = self._lines.setdefault(event, Sparing()).due(self._monotonic_s())
        if more is not None:
            log.warning(event, **said, **self._said, **more)
