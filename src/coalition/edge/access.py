"""Who is asking: API keys, their scopes and how fast they may ask; and who is signed in.

Keys are cached in the process for KEY_CACHE_S, so a revoked key dies within that time everywhere.
How a key is spelt and stored is keys/key.py and keys/store.py.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.audit.actor import of_key, of_person
from coalition.edge.alerts import RefusedSignInError
from coalition.keys import key as keys
from coalition.keys import store as key_store
from coalition.keys.allowance import Allowance
from coalition.people.rights import Right
from coalition.terms.book import HOUSE_ID

KEY_CACHE_S = 2.0
# A key that is used all day is written so often.
USE_NOTED_EVERY_S = 60.0
# A guesser can spell any number of ids with right checksums; they must not fill the memory.
_CACHED_MAX = 10_000
# A scheme, one space, the key (RFC 6750, section 2.1).
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A merchant (or the house, id 0) and what its key, or one of its people, may do.

    over_rate_s: seconds until the key may ask again; 0 while it asks slowly enough. key_id is the
    key's public part, or the person's id. rights: what a person may (people/rights.py), and its
    scopes are the movements among them; None: it is a key.
    """

    merchant_id: int
    code: str
    scopes: frozenset[str]
    over_rate_s: int = 0
    key_id: str = ""
    rights: frozenset[Right] | None = None
    role: str = ""

    @property
    def actor(self) -> str:
        """The key or the person, as postings and the audit name it."""
        return of_key(self.key_id) if self.rights is None else of_person(self.key_id)

    @property
    def is_house(self) -> bool:
        is_trusted = self.rights is not None or "house" in self.scopes
        return self.merchant_id == HOUSE_ID and is_trusted

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "house" in self.scopes


class Access:
    """The keys this process has seen lately. requests_per_second_max 0: as fast as they like."""

    def __init__(
        self,
        engine: AsyncEngine,
        pepper: bytes,
        requests_per_second_max: int,
        monotonic_s: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        is_live: bool = True,
    ) -> None:
        """clock is the ledger's: it decides whether a key's last good day is past.

        is_live: the database is the live coalition's, where no test key is good; else the reverse.
        """
        self._is_live = is_live
        self._engine = engine
        self._pepper = pepper
        self.allowance = Allowance(requests_per_second_max, monotonic_s)
        self._monotonic_s = monotonic_s
        self._clock = clock
        self._found: dict[str, key_store.StoredKey | None] = {}
        # As they were before the last look-up of all; while it is under way, what is known.
        self._found_before: dict[str, key_store.StoredKey | None] = {}
        # Keys that were compared since the last look-up of all, and were right.
        self._proved: dict[str, key_store.StoredKey] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._fresh_until_s = -math.inf
        # Keys used since that was written last, and when each was written, on monotonic_s.
        self._used: set[str] = set()
        self._noted_s: dict[str, float] = {}

    async def authenticate(self, authorization: str | None) -> Caller:
        """Whose key this is. Raises unauthenticated; why exactly is told to nobody."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise RefusedSignInError("send Authorization: Bearer <key>, or sign in")
        # Not every space that Unicode has: a header's white space is these two.
        text = authorization[len(_SCHEME) :].strip(" \t")
        stored = self._proved.get(text) if self._is_fresh() else None
        if stored is None:
            stored = await self._prove(text)
        over_rate_s = self.allowance.take(stored.key_id)
        return Caller(
            stored.merchant_id, stored.merchant, stored.scopes, over_rate_s, stored.key_id
        )

    def knows(self, authorization: str | None) -> bool:
        """Whether this key was found right lately, without asking the database."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        parsed = keys.parse(authorization[len(_SCHEME) :].strip(" \t"))
        if parsed is None:
            return False
        stored = self._found.get(parsed.key_id) or self._found_before.get(parsed.key_id)
        if stored is None or parsed.is_live != stored.is_live:
            return False
        return keys.is_match(self._pepper, parsed, stored.secret_hmac)

    async def _prove(self, text: str) -> key_store.StoredKey:
        parsed = keys.parse(text)
        if parsed is None:
            raise RefusedSignInError("the key is mistyped: its checksum does not hold")
        if parsed.is_live != self._is_live:
            # A test key moves no live point, whatever the live database says of it.
            raise RefusedSignInError(
                "this is a test key, and this server has no test coalition: "
                "it needs COALITION_TEST_DATABASE_URL",
                parsed.key_id,
            )
        if not self._is_fresh():
            await self._once("", self._look_up_all)
        # Where all keys are looked up anew meanwhile, this proves nothing for what comes after.
        proved = self._proved
        stored = await self._find(parsed.key_id)
        is_right = keys.is_match(self._pepper, parsed, stored.secret_hmac if stored else None)
        if stored is None or not is_right or stored.is_live != parsed.is_live:
            raise RefusedSignInError(
                "the key is unknown, revoked or past its last day", parsed.key_id
            )
        proved[text] = stored
        self._used.add(stored.key_id)
        return stored

    async def note_uses(self) -> None:
        """Write which keys were used, each once in USE_NOTED_EVERY_S at most; in the background."""
        now_s = self._monotonic_s()
        due = {one for one in self._used if self._is_note_due(one, now_s)}
        if not due:
            return
        async with self._engine.begin() as connection:
            await key_store.note_uses(connection, due, self._clock())
        self._used -= due
        self._noted_s |= dict.fromkeys(due, now_s)

    def _is_note_due(self, key_id: str, now_s: float) -> bool:
        return now_s - self._noted_s.get(key_id, -math.inf) >= USE_NOTED_EVERY_S

    def _is_fresh(self) -> bool:
        return self._monotonic_s() < self._fresh_until_s

    async def _find(self, key_id: str) -> key_store.StoredKey | None:
        if key_id not in self._found:
            await self._once(key_id, lambda: self._look_up([key_id]))
        return self._found.get(key_id)

    async def _once(self, name: str, look_up: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Look up once for all who wait for the same; whoever leaves takes nothing with it."""
        task = self._looking.get(name)
        if task is None:
            task = self._looking[name] = asyncio.create_task(look_up())
            task.add_done_callback(lambda _: self._looking.pop(name, None))
        await asyncio.shield(task)

    async def _look_up_all(self) -> None:
        """Every key asked with lately, in one look-up: two hundred tills cost no more than one."""
        looked_at_s = self._monotonic_s()
        # Ids that are nobody's are not asked for again, and cannot push out those that are.
        known = [key_id for key_id, stored in self._found.items() if stored is not None]
        if len(known) >= _CACHED_MAX:
            known = []
        self._found_before, self._found, self._proved = self._found, {}, {}
        if known:
            await self._look_up(known)
        self._fresh_until_s = looked_at_s + KEY_CACHE_S

    async def _look_up(self, key_ids: list[str]) -> None:
        async with self._engine.connect() as connection:
            found = await key_store.find_all(connection, key_ids, self._clock())
        self._found |= {key_id: found.get(key_id) for key_id in key_ids}
