"""Group commit: requests that arrive together share one database transaction.

A request puts its command in a queue and awaits its own outcome; a writer takes whatever is queued,
up to a bound, and posts it. The busier it is, the larger the groups, so that load makes it cheaper.

Further writers stand by. Each group has its own round trips, so two writers that share the requests
evenly are slower than one; but while many wait, and while one is held up, the next helps.
"""

import asyncio
from collections import deque
from uuid import UUID

import structlog

from coalition.errors import CoalitionError, Code
from coalition.failures import in_a_line
from coalition.ledger.commands import Outcome, Request
from coalition.ledger.connection import KeptConnection
from coalition.ledger.post import Ledger
from coalition.logs import Sparing

log = structlog.get_logger()

# How often somebody looks for requests that have waited too long.
LOOK_EVERY_S = 0.1

_Waiting = tuple[Request, "asyncio.Future[Outcome]"]


class GroupCommit:
    """The queue in front of a ledger's door. One a process.

    queue_max bounds the requests that wait, group_max those that share a commit, writers how many
    groups are under way at once, wait_s_max how long a request waits for its outcome. A writer but
    the first takes a group where crowd requests wait, or one has waited for LOOK_EVERY_S.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        queue_max: int = 5_000,
        group_max: int = 500,
        writers: int = 2,
        crowd: int = 64,
        wait_s_max: float = 10.0,
    ) -> None:
        self._ledger = ledger
        self._queue_max = queue_max
        self._group_max = group_max
        self._writers = writers
        self._wait_s_max = wait_s_max
        self._queue: deque[_Waiting] = deque()
        self._crowd = crowd
        # Something waits; too much waits, or for too long.
        self._arrived, self._crowded = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # The keys being decided, each with those who wait to ask under the same one.
        self._in_flight: dict[UUID, list[asyncio.Future[None]]] = {}
        self._deadlines: list[tuple[float, asyncio.Future[Outcome]]] = []
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self._sparing = Sparing()
        self.groups = 0
        self.posted = 0

    @property
    def queued(self) -> int:
        """How many requests wait to be taken into a group."""
        return len(self._queue)

    async def start(self) -> None:
        self._stopping = False
        first = asyncio.create_task(self._write(self._arrived, 1))
        others = (self._write(self._crowded, self._crowd) for _ in range(self._writers - 1))
        self._tasks = [first, *map(asyncio.create_task, others)]
        self._watch = asyncio.create_task(self._watch_deadlines())

    async def stop(self) -> None:
        """Post what is queued, then leave. What arrives now is answered busy."""
        self._stopping = True
        self._arrived.set()
        self._crowded.set()
        await asyncio.gather(*self._tasks)
        if self._watch is not None:
            self._watch.cancel()

    async def post(self, request: Request) -> Outcome:
        """Post one request together with whatever else is waiting, and answer its own outcome.

        Raises CoalitionError: busy where the queue is full or the wait too long (the command may
        still be posted: the same key tells), idempotency_in_flight where an earlier request under
        the same key is still undecided after the wait.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_s_max
        key = request.request_id
        if key is not None:
            await self._wait_for_twin(key, deadline)
        if self._stopping or len(self._queue) >= self._queue_max:
            raise CoalitionError(Code.BUSY, "The queue is full. Try again with the same key.")
        if key is not None:
            self._in_flight[key] = []
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._queue.append((request, outcome))
        self._deadlines.append((deadline, outcome))
        self._arrived.set()
        if len(self._queue) >= self._crowd:
            self._crowded.set()
        # A caller that leaves cancels its own future only: a command once queued is posted.
        return await outcome

    async def _wait_for_twin(self, key: UUID, deadline: float) -> None:
        """Wait for a request under the same key that came first, so that both answer the same."""
        while key in self._in_flight:
            decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._in_flight[key].append(decided)
            try:
                async with asyncio.timeout_at(deadline):
                    await decided
            except TimeoutError:
                raise CoalitionError(
                    Code.IDEMPOTENCY_IN_FLIGHT,
                    "An earlier request under this Idempotency-Key is still being decided. Repeat "
                    "it in a moment.",
                ) from None

    async def _watch_deadlines(self) -> None:
        """Answer busy to whoever has waited too long: one look now and then, not a timer each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._wait_s_max / 4))
            now = loop.time()
            waiting = [pair for pair in self._deadlines if not pair[1].done()]
            for deadline, outcome in waiting:
                if deadline <= now:
                    outcome.set_exception(self._waited_too_long())
            self._deadlines = [pair for pair in waiting if not pair[1].done()]
            if self._deadlines and self._deadlines[0][0] - now < self._wait_s_max - LOOK_EVERY_S:
                self._crowded.set()

    def _waited_too_long(self) -> CoalitionError:
        return CoalitionError(
            Code.BUSY,
            f"No outcome within {self._wait_s_max:g} s. The command may still be posted: "
            "repeat it with the same key to learn what became of it.",
        )

    async def _write(self, called: asyncio.Event, crowd: int) -> None:
        """When called, post a group, and more while so many wait."""
        kept = KeptConnection(self._ledger.engine)
        try:
            while True:
                await called.wait()
                called.clear()
                while group := self._next_group():
                    await self._post_group(group, kept)
                    if len(self._queue) < crowd:
                        break
                if self._stopping:
                    return
        finally:
            await kept.close()

    def _next_group(self) -> list[_Waiting]:
        size = min(len(self._queue), self._group_max)
        return [self._queue.popleft() for _ in range(size)]

    async def _post_group(self, group: list[_Waiting], kept: KeptConnection) -> None:
        self.groups += 1
        self.posted += len(group)
        try:
            outcomes = await self._ledger.post([request for request, _ in group], kept)
        except Exception as error:
            self._tell(len(group), error)
            for _, waiting in group:
                if not waiting.done():
                    waiting.set_exception(error)
                    # A caller that left does not read it; nobody need be told of that.
                    waiting.exception()
        else:
            for (_, waiting), outcome in zip(group, outcomes, strict=True):
                if not waiting.done():
                    waiting.set_result(outcome)
        self._let_twins_go(group)

    def _tell(self, size: int, error: Exception) -> None:
        more = self._sparing.due(asyncio.get_running_loop().time())
        if more is not None:
            log.error("group_failed", size=size, error=in_a_line(error), **more)

    def _let_twins_go(self, group: list[_Waiting]) -> None:
        for request, _ in group:
            if request.request_id is not None:
                for decided in self._in_flight.pop(request.request_id, ()):
                    if not decided.done():
                        decided.set_result(None)
