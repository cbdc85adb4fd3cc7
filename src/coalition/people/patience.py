"""How many wrong sign-ins are borne: by address, by person at an address, by person over all.

Counted in this process, spent before a password is compared and given back where it was right. A
person is never locked out by somebody else's tries: those of one address empty only what that
address has at this person; and who brings the mark of a browser that the person signed in with
before (tokens.py) has tries of its own, whatever others do. Only tries from so many addresses that
PERSON is spent, three hundred an hour, make somebody wait at a browser that is new.

Each count is one moment, its level: as long as it lies ahead of now, so many are not worn off. The
table is bounded; what does not fit into it shares one count.
"""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

COUNTS_MAX = 50_000
# A full table is looked through for what is worn off no more often, however many try.
SWEEP_EVERY_S = 10.0
_CROWD = "crowd"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many at once, and then one more every so many seconds."""

    at_once: int
    every_s: float


ADDRESS = Limit(30, 10.0)
AT_ADDRESS = Limit(5, 60.0)
PERSON = Limit(300, 12.0)
MARKED = Limit(10, 60.0)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a try was counted against."""

    counts: tuple[tuple[Limit, Hashable], ...]


class Patience:
    """One a process."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._level_s: dict[Hashable, float] = {}
        self._swept_s = -math.inf

    def take(self, address: str, person: bytes, mark: str | None) -> Spent | int:
        """Count a try; or the seconds until one may be made. mark: of the person's own browser."""
        if mark is not None:
            spent = self._take(((MARKED, ("mark", mark)),))
            if isinstance(spent, Spent):
                return spent
        return self._take(
            (
                (ADDRESS, ("address", address)),
                (AT_ADDRESS, ("at", address, person)),
                (PERSON, ("person", person)),
            )
        )

    def give_back(self, spent: Spent) -> None:
        """The try was right: it counts for nothing."""
        for limit, key in spent.counts:
            if key in self._level_s:
                self._level_s[key] -= limit.every_s

    def _take(self, counts: tuple[tuple[Limit, Hashable], ...]) -> Spent | int:
        now_s = self._monotonic_s()
        kept = tuple((limit, self._kept(limit, key, now_s)) for limit, key in counts)
        wait_s = max(self._wait_s(limit, key, now_s) for limit, key in kept)
        if wait_s > 0:
            return max(1, math.ceil(wait_s))
        for limit, key in kept:
            self._level_s[key] = max(now_s, self._level_s.get(key, now_s)) + limit.every_s
        return Spent(kept)

    def _wait_s(self, limit: Limit, key: Hashable, now_s: float) -> float:
        level_s = max(now_s, self._level_s.get(key, now_s))
        return level_s + limit.every_s - now_s - limit.at_once * limit.every_s

    def _kept(self, limit: Limit, key: Hashable, now_s: float) -> Hashable:
        """Where it is counted: under its own name, or with the crowd where there is no room."""
        if key in self._level_s or len(self._level_s) < COUNTS_MAX:
            return key
        if now_s - self._swept_s >= SWEEP_EVERY_S:
            self._swept_s = now_s
            self._level_s = {one: at_s for one, at_s in self._level_s.items() if at_s > now_s}
        return key if len(self._level_s) < COUNTS_MAX else (_CROWD, limit)
