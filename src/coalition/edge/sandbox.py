"""The test coalition of this process: a database, a ledger and keys of its own, for test keys.

It is there for those who write a till, and costs the live coalition nothing until somebody asks it:
it starts with the first test key, with few connections. No path leads from the one to the other;
which of the two a request is for is told by its key alone.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog

from coalition.edge.services import Services
from coalition.errors import CoalitionError, Code
from coalition.failures import in_a_line
from coalition.keys.mode import is_marked

log = structlog.get_logger()

# What every test key has in it, and nothing of a live one can have.
TEST_KEY = "coal_test_"
# After it could not be started it is left alone for so long.
REST_S = 5.0


class Sandbox:
    """Starts the test coalition's services when they are first asked for."""

    def __init__(
        self, services: Services, run: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        """run(): runs the services for as long as it is entered."""
        self._services = services
        self._run = run
        self._running = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._is_started = False
        self._rests_until_s = 0.0

    async def started(self) -> Services:
        """The test coalition's services. Raises busy where its database cannot be used."""
        if not self._is_started:
            async with self._starting:
                if not self._is_started:
                    await self._start()
        return self._services

    async def stop(self) -> None:
        await self._running.aclose()

    async def _start(self) -> None:
        if time.monotonic() < self._rests_until_s:
            raise _not_ready()
        try:
            async with self._services.engine.connect() as connection:
                is_test = await is_marked(connection, is_live=False)
            if not is_test:
                # Its keys and its ledger are somebody's in earnest, or it is not synced yet.
                raise _not_ready()
            await self._running.enter_async_context(self._run())
        except Exception as error:
            self._rests_until_s = time.monotonic() + REST_S
            log.warning("test coalition not started", error=in_a_line(error))
            raise _not_ready() from error
        self._is_started = True


async def services_for(authorization: str | None, live: Services) -> Services:
    """Whose services answer a request with this header. Raises busy as Sandbox.started() does."""
    if live.sandbox is None or authorization is None or TEST_KEY not in authorization:
        return live
    return await live.sandbox()


def _not_ready() -> CoalitionError:
    return CoalitionError(
        Code.BUSY,
        "the test coalition is not ready: it needs a database of its own, migrated and synced, in "
        "COALITION_TEST_DATABASE_URL",
    )
