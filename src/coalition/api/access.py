"""Who is asking: API keys, their scopes and how fast they may ask.

Keys are cached in the process for KEY_CACHE_S, so a revoked key dies within that time everywhere.
How a key is spelt and stored is merchants/keys.py and merchants/key_store.py.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.errors import CoalitionError, Code
from coalition.merchants import key_store, keys
from coalition.merchants.book import HOUSE_ID

KEY_CACHE_S = 2.0
# A guesser can spell any number of ids with right checksums; they must not fill the memory.
_CACHED_MAX = 10_000
# A scheme, one space, the key (RFC 6750, section 2.1).
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A merchant (or the house, id 0) and what its key may do.

    over_rate_s: seconds until the key may ask again; 0 while it asks slowly enough.
    """

    merchant_id: int
    code: str
    scopes: frozenset[str]
    over_rate_s: int = 0

    @property
    def is_house(self) -> bool:
        return self.merchant_id == HOUSE_ID and "house" in self.scopes

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "house" in self.scopes


@dataclass(slots=True)
class _Bucket:
    """Tokens left of one key, as of at_s."""

    tokens: float
    at_s: float


class Access:
    """The keys this process has seen lately. requests_per_second_max 0: as fast as they like."""

    def __init__(
        self,
        engine: AsyncEngine,
        pepper: bytes,
        requests_per_second_max: int,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._pepper = pepper
        self._rate_max = requests_per_second_max
        self._monotonic_s = monotonic_s
        self._found: dict[str, tuple[float, asyncio.Task[key_store.StoredKey | None]]] = {}
        self._buckets: dict[str, _Bucket] = {}

    async def authenticate(self, authorization: str | None) -> Caller:
        """Whose key this is. Raises unauthenticated; why exactly is told to nobody."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise _unauthenticated("send Authorization: Bearer <key>")
        parsed = keys.parse(authorization[len(_SCHEME) :].strip())
        if parsed is None:
            raise _unauthenticated("the key is mistyped: its checksum does not hold")
        stored = await self._find(parsed.key_id)
        is_right = keys.is_match(self._pepper, parsed, stored.secret_hmac if stored else None)
        if stored is None or not is_right or stored.is_live != parsed.is_live:
            raise _unauthenticated("the key is unknown or revoked")
        over_rate_s = self._take_token(stored.key_id)
        return Caller(stored.merchant_id, stored.merchant, stored.scopes, over_rate_s)

    async def _find(self, key_id: str) -> key_store.StoredKey | None:
        now_s = self._monotonic_s()
        cached = self._found.get(key_id)
        if cached is None or cached[0] <= now_s:
            if len(self._found) >= _CACHED_MAX:
                self._found.clear()
            # The task itself is kept, so that a hundred requests at once look a key up once.
            cached = (now_s + KEY_CACHE_S, asyncio.create_task(self._look_up(key_id)))
            self._found[key_id] = cached
        try:
            return await asyncio.shield(cached[1])
        except Exception:
            self._found.pop(key_id, None)
            raise

    async def _look_up(self, key_id: str) -> key_store.StoredKey | None:
        async with self._engine.connect() as connection:
            return await key_store.find(connection, key_id)

    def _take_token(self, key_id: str) -> int:
        """0, or the seconds until this key has a token again. A second's worth may come at once."""
        if not self._rate_max:
            return 0
        now_s = self._monotonic_s()
        bucket = self._buckets.setdefault(key_id, _Bucket(self._rate_max, now_s))
        refilled = bucket.tokens + (now_s - bucket.at_s) * self._rate_max
        bucket.tokens, bucket.at_s = min(float(self._rate_max), refilled), now_s
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._rate_max))


def _unauthenticated(detail: str) -> CoalitionError:
    return CoalitionError(Code.UNAUTHENTICATED, detail)
