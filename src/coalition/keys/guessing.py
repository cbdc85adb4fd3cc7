"""Who asks for cards that there are none of: counted by key, told, and slowed.

A till asks for such a card now and then: one of another programme, of which nine in ten fail the
check digit already. Whoever asks for many looks for cards that there are, to spend their points. A
coalition of ten million cards has one in ten million numbers, so that 34,000 guesses a second, as
a file made once, found one every five minutes. FREE_AN_HOUR unknown cards an hour cost a key
nothing; each one more costs it COST, in which it is asked to wait (edge/unknown_cards.py: with
cards of strangers only). That leaves 17,280 guesses a day: a card in some 19 months, told from the
first hour on.

How many there were is kept as one moment a key, its level: as long as it lies ahead of now, so many
are not worn off. Each process counts for itself and at once, adds what it counted to the database
every SHARE_EVERY_S, and learns there what the others counted; so a key that asks N processes gets
no more than what each of them answers in that time on top.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.failures import in_a_line

log = structlog.get_logger()

# A chain's tills share one key: with two hundred of them that is one unknown card a till in four
# hours, four times what the busiest shop's mistakes come to.
FREE_AN_HOUR = 50
# What each unknown card beyond those costs, and the longest that a key has to wait for them all: a
# day, as the groups of several files at once may be guesses, and an hour would have made each of
# those thousands cheaper than a request's.
COST = timedelta(seconds=5)
WAIT_MAX = timedelta(days=1)
SHARE_EVERY_S = 2.0
_HOUR = timedelta(hours=1)
_STEP = _HOUR / FREE_AN_HOUR

# The key's row is the lock: two processes add to one row, and none makes a second.
_WHOSE = text("""
    select m.code from api_key k join merchant m using (merchant_id)
    where k.key_id = :key_id for no key update of k
""")
_LATEST = text("""
    select since, cards, level_until, told_at from unknown_cards
    where key_id = :key_id order by since desc limit 1
""")
# What nobody had to be told of makes way for what comes after it.
_FORGET = text("delete from unknown_cards where key_id = :key_id and told_at is null")
_START = text("""
    insert into unknown_cards (key_id, since, cards, last_at, level_until, told_at)
    values (:key_id, :since, :cards, :now, :level_until, :told_at)
""")
_ADD = text("""
    update unknown_cards set cards = :cards, last_at = :now, level_until = :level_until,
        told_at = :told_at
    where key_id = :key_id and since = :since
""")
_LEVELS = text("select key_id, level_until from unknown_cards where level_until > :now")
_TOLD = text("""
    select m.code as merchant, u.key_id, u.since, u.cards, u.last_at, u.level_until
    from unknown_cards u join api_key using (key_id) join merchant m using (merchant_id)
    where u.told_at is not null order by u.last_at desc, u.key_id limit :rows_max
""")


@dataclass(frozen=True, slots=True)
class GuessAlert:
    """That a key asked for more unknown cards than are free, in one go from since to last_at."""

    merchant: str
    key_id: str
    since: datetime
    cards: int
    last_at: datetime
    level_until: datetime

    def wait_until(self) -> datetime:
        """Until when the key was, or is, slowed; mostly past."""
        return self.level_until - _HOUR


def raised(level_until: datetime, cards: int, now: datetime) -> datetime:
    """The level after so many unknown cards more: an hour ahead of now, nothing more is free."""
    level = max(level_until, now)
    free = min(cards, max(0, (now + _HOUR - level) // _STEP))
    return min(level + free * _STEP + (cards - free) * COST, now + _HOUR + WAIT_MAX)


def is_high(level_until: datetime, now: datetime) -> bool:
    """Whether the hour's free ones are used up, of which the house is told."""
    return level_until + _STEP > now + _HOUR


class GuessCount:
    """The keys that asked for unknown cards of late. One a process.

    count(merchant, cards) is told of each share, for the process's metrics.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Callable[[], datetime],
        count: Callable[[str, int], None] = lambda merchant, cards: None,
        *,
        is_live: bool = True,
    ) -> None:
        """is_live False: its lines say that they are about the test coalition."""
        self._engine = engine
        self._clock = clock
        self._count = count
        self._said = {} if is_live else {"coalition": "test"}
        self._level_until: dict[str, datetime] = {}
        self._unshared: dict[str, int] = {}
        # Persons, who are no keys: they are counted here alone.
        self._here: set[str] = set()
        self._sharing: asyncio.Task[None] | None = None
        # One at a time, or one would forget what the other is just adding.
        self._one = asyncio.Lock()

    def note(self, key_id: str, cards: int = 1) -> float:
        """Note that this key asked for so many cards that there are none of.

        Answers wait_s(): a file rests for so long before its next rows.
        """
        if cards:
            now = self._clock()
            self._level_until[key_id] = raised(self._level_until.get(key_id, now), cards, now)
            self._unshared[key_id] = self._unshared.get(key_id, 0) + cards
        return self.wait_s(key_id)

    def wait_s(self, key_id: str) -> float:
        """How long this key has to wait before it may ask for a stranger's card; mostly 0."""
        level_until = self._level_until.get(key_id)
        if level_until is None:
            return 0.0
        return max(0.0, (level_until - _HOUR - self._clock()).total_seconds())

    async def start(self) -> None:
        """Learn what was noted before, and share from now on."""
        await self.share()
        self._sharing = asyncio.create_task(self._keep_sharing())

    async def stop(self) -> None:
        """Share what is left, as far as the database is there."""
        if self._sharing is not None:
            self._sharing.cancel()
            await asyncio.gather(self._sharing, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.share()

    async def _keep_sharing(self) -> None:
        while True:
            await asyncio.sleep(SHARE_EVERY_S)
            try:
                await self.share()
            except Exception as error:
                # The database is away; what was noted is shared when it is back.
                log.warning("unknown cards not shared", error=in_a_line(error), **self._said)

    async def share(self) -> None:
        """Add what was noted here to the database, and learn what was noted elsewhere."""
        async with self._one:
            await self._share()

    async def _share(self) -> None:
        noted, self._unshared = self._unshared, {}
        now = self._clock()
        try:
            async with self._engine.begin() as connection:
                # In one order, as every process locks them.
                added = [await _add(connection, key, noted[key], now) for key in sorted(noted)]
                levels = (await connection.execute(_LEVELS, {"now": now})).all()
        except BaseException:
            for key_id, cards in noted.items():
                self._unshared[key_id] = self._unshared.get(key_id, 0) + cards
            raise
        self._here |= {key for key, one in zip(sorted(noted), added, strict=True) if one is None}
        here = {key: at for key, at in self._level_until.items() if key in self._here and at > now}
        self._here = set(here)
        self._level_until = here | {row.key_id: row.level_until for row in levels}
        for key_id, cards in self._unshared.items():
            # Noted since.
            if key_id not in here:
                known = self._level_until.get(key_id, now)
                self._level_until[key_id] = raised(known, cards, now)
        for one in filter(None, added):
            self._count(one.merchant, one.cards)
            if one.is_told:
                whose = {"key_id": one.key_id, "merchant": one.merchant, **self._said}
                log.warning("unknown_cards", cards=one.so_far, **whose)


@dataclass(frozen=True, slots=True)
class _Added:
    """cards were added to a key's, which makes so_far in one go. is_told: the house has to be."""

    key_id: str
    merchant: str
    cards: int
    so_far: int
    is_told: bool


async def _add(
    connection: AsyncConnection, key_id: str, cards: int, now: datetime
) -> _Added | None:
    """Add to what a key asked for in one go, or begin anew; None: there is no such key."""
    merchant: str | None = await connection.scalar(_WHOSE, {"key_id": key_id})
    if merchant is None:
        return None
    last = (await connection.execute(_LATEST, {"key_id": key_id})).one_or_none()
    if last is None or last.level_until <= now:
        await connection.execute(_FORGET, {"key_id": key_id})
        statement, since, so_far, level_until, told_at = _START, now, cards, now, None
    else:
        statement, since, so_far = _ADD, last.since, last.cards + cards
        level_until, told_at = last.level_until, last.told_at
    level_until = raised(level_until, cards, now)
    # Whoever goes on is told of again, but not with every share.
    is_told = is_high(level_until, now) and (told_at is None or now - told_at >= _HOUR)
    values = {
        "key_id": key_id,
        "since": since,
        "cards": so_far,
        "now": now,
        "level_until": level_until,
        "told_at": now if is_told else told_at,
    }
    await connection.execute(statement, values)
    return _Added(key_id, merchant, cards, so_far, is_told)


async def list_alerts(connection: AsyncConnection, rows_max: int) -> list[GuessAlert]:
    """What the house was told of, the latest first."""
    found = await connection.execute(_TOLD, {"rows_max": rows_max})
    return [GuessAlert(*row) for row in found]
