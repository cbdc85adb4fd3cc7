"""A connection that a writer keeps from group to group.

The pool checks and resets a connection each time it is lent, two round trips that a busy writer
need not pay: one that breaks shows itself, and the group is posted again on a fresh one.
"""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class KeptConnection:
    """One connection of the pool, opened when first needed, dropped when it breaks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None

    async def driver(self) -> asyncpg.Connection:
        """The driver's connection, outside any database transaction."""
        if self._driver is None:
            self._connection = await self._engine.connect()
            driver = (await self._connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection), "the URL names the asyncpg driver"
            self._driver = driver
        return self._driver

    async def drop(self) -> None:
        """Give the connection up for good: it is broken, or in the middle of something."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    async def close(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            await connection.close()
