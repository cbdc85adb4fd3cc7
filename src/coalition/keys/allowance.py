"""How fast each key may ask: requests, and rows of files, out of one bucket a key.

A request that finds it empty is refused. A file is slowed instead, and leaves half of a second's
worth to requests, so that no till is refused because its night's file is being posted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    """Tokens left of one key, as of at_s."""

    tokens: float
    at_s: float


class Allowance:
    """The keys that asked lately, in this process. per_second_max 0: as fast as they like."""

    def __init__(
        self, per_second_max: int, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second_max = per_second_max
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, _Bucket] = {}

    @property
    def rows_max(self) -> int | None:
        """How many rows may be taken at once; None: any number."""
        return max(1, self._per_second_max // 2) if self._per_second_max else None

    def take(self, key_id: str) -> int:
        """0, and a request is taken; or the seconds until this key may ask for one again.

        A second's worth may come at once.
        """
        if not self._per_second_max:
            return 0
        bucket = self._refilled(key_id)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._per_second_max))

    def take_rows(self, key_id: str, rows: int) -> float:
        """0, and so many rows are taken, rows_max at most; or the seconds until they might be."""
        if self.rows_max is None:
            return 0.0
        assert rows <= self.rows_max, "a group of a file has no more rows than may be taken"
        bucket = self._refilled(key_id)
        # What is kept for requests.
        missing = rows + self._per_second_max - self.rows_max - bucket.tokens
        if missing > 0:
            return missing / self._per_second_max
        bucket.tokens -= rows
        return 0.0

    def _refilled(self, key_id: str) -> _Bucket:
        now_s, most = self._monotonic_s(), float(self._per_second_max)
        bucket = self._buckets.setdefault(key_id, _Bucket(most, now_s))
        refilled = bucket.tokens + (now_s - bucket.at_s) * self._per_second_max
        bucket.tokens, bucket.at_s = min(most, refilled), now_s
        return bucket
