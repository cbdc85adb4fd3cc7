"""Closing a large window, while a till goes on posting, beside a bare GROUP BY over its legs.

The window holds legs of as many pairs of merchants as a tenth of its legs. It holds no lots, since
the reference looks at none either.
"""

import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.progress import Progress

from benchmarks.place import (
    ROOT,
    Place,
    clean_environment,
    connected,
    create_database,
    run,
    settle,
    without_triggers,
)
from benchmarks.seed import (
    FIRST_MERCHANT_ID,
    card_of,
    make_keys,
    merchant_terms,
    sync_merchants,
)
from benchmarks.servers import ApiServer, serving
from coalition.terms.terms import HouseTerms

NAME = "closing"
LEGS_PER_MEMBER = 10
LEGS_PER_STEP = 500_000
TIMEOUT_S = 1_800
# The till posts this often, so that it seldom misses a moment in which it would have waited.
TILL_PAUSE_S = 0.01

_LEGS = f"""
insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind, points,
    occurred_on, window_id, leg_no)
select 1 + i / {LEGS_PER_MEMBER}, i % {LEGS_PER_MEMBER}, 1, 1,
       {FIRST_MERCHANT_ID} + i % $3, {FIRST_MERCHANT_ID} + (i / $3 + i) % $3,
       'redemption', 1 + i * 7919 % 500, $4::date + (i % 28)::int, 1, 0
from generate_series($1::bigint, $2::bigint) i
"""
_MEMBER = """
with m as (insert into member (member_id, enrolled_by, enrolled_at) values ($1, 0, now())),
     a as (insert into account (member_id) values ($1))
insert into card (card_number, member_id, issued_at) values ($2, $1, now())
"""
_GROUP_BY = """
select origin_id, redeemer_id, sum(points) from leg where window_id = 1 group by 1, 2
"""
# As it was before the close, so that it can be closed again.
_REOPEN = """
truncate path, passed_net, position, window_terms;
delete from leg where window_id > 1;
delete from lot where window_id > 1;
delete from burn where window_id > 1;
delete from posting where window_id > 1;
delete from settlement_window where window_id > 1;
update settlement_window set status = 'open', closed_at = null, netted_at = null,
    rule_version = null, statement_format = null, opens_offset_s = null, closes_offset_s = null,
    digest = null;
update account set available = 0, expires_next_on = null, digest = null;
"""


class CloseError(Exception):
    """A close or a till failed; says what it printed or was answered."""


@dataclass(slots=True)
class Till:
    """One till that posts an earn after the other. stop() raises where an answer was not 201."""

    server: ApiServer
    key: str
    card: int
    longest_wait_s: float = 0.0
    mistake: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self.longest_wait_s, self.mistake = 0.0, ""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._post_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        assert self._thread is not None, "a till is stopped after it was started"
        self._stopping.set()
        self._thread.join()
        if self.mistake:
            raise CloseError(f"a till could not post while a window was closed: {self.mistake}")

    def _post_on(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            while not self._stopping.wait(TILL_PAUSE_S) and not self.mistake:
                self._post(connection)
        except OSError as error:
            self.mistake = str(error)
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection) -> None:
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }
        body = json.dumps({"card": str(self.card), "amount": 1_000})
        started = time.perf_counter()
        connection.request("POST", "/v1/earns", body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read()
        self.longest_wait_s = max(self.longest_wait_s, time.perf_counter() - started)
        if response.status != 201:
            self.mistake = f"{response.status} {answer[:300]!r}"


@dataclass(slots=True)
class Closes:
    """Each round of closing: the close, the bare GROUP BY, the till's longest wait, memory."""

    close_s: list[float] = field(default_factory=list)
    group_by_s: list[float] = field(default_factory=list)
    longest_wait_ms: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    pairs: int = 0


def measure_closing(place: Place, legs: int, merchants: int, rounds: int) -> Closes:
    """Seed a window that is due, then group and close it in turns."""
    keys = run(_seed(place, legs, merchants))
    closes = Closes()
    with serving(place, NAME, processes=1) as server:
        till = Till(server, keys.read_text().split()[0], card_of(_till_member(legs)))
        for _ in range(rounds):
            seconds, closes.pairs = run(_group_by(place))
            closes.group_by_s.append(seconds)
            _close_beside_till(place, till, closes)
            run(_reopen(place))
    return closes


def _till_member(legs: int) -> int:
    """A member whose points no seeded leg is about."""
    return legs // LEGS_PER_MEMBER + 2


async def _seed(place: Place, legs: int, merchants: int) -> Path:
    today = datetime.now(UTC).date()
    ended_on = today.replace(day=1)
    first_on = (ended_on - timedelta(days=1)).replace(day=1)
    house = HouseTerms("House", "CNY", "UTC", first_on, "FREQ=MONTHLY;BYMONTHDAY=1")
    terms = merchant_terms(merchants, first_on)
    till_member = _till_member(legs)
    await create_database(place, NAME, migrated=True)
    await sync_merchants(place, NAME, house, terms)
    async with connected(place, NAME) as connection, without_triggers(connection):
        with Progress(console=place.console, transient=True) as progress:
            task = progress.add_task(f"Seeding {legs:,} legs", total=legs)
            for first in range(0, legs, LEGS_PER_STEP):
                last = min(first + LEGS_PER_STEP, legs) - 1
                await connection.execute(_LEGS, first, last, merchants, first_on)
                progress.advance(task, last - first + 1)
        await connection.execute(_MEMBER, till_member, card_of(till_member))
        await settle(connection)
    return await make_keys(place, NAME, terms)


async def _group_by(place: Place) -> tuple[float, int]:
    async with connected(place, NAME) as connection:
        started = time.perf_counter()
        rows = await connection.fetch(_GROUP_BY)
        return time.perf_counter() - started, len(rows)


async def _reopen(place: Place) -> None:
    async with connected(place, NAME) as connection, without_triggers(connection):
        await connection.execute(_REOPEN)
        await settle(connection)


def _close_beside_till(place: Place, till: Till, closes: Closes) -> None:
    till.start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.close_once", place.url(NAME)],
            cwd=ROOT,
            env=clean_environment() | {"COALITION_PEPPER": place.pepper},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        till.stop()
    if done.returncode != 0:
        raise CloseError(f"the close failed:\n{done.stderr[-2_000:]}")
    told = json.loads(done.stdout)
    closes.close_s.append(told["seconds"])
    closes.peak_mb.append(told["peak_mb"])
    closes.longest_wait_ms.append(till.longest_wait_s * 1000)
