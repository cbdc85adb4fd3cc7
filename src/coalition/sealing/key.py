"""The key of digests on its way: it comes with the engine, to whatever writes or verifies by it."""

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.database import SEAL_KEY


def key_of(bind: AsyncEngine | AsyncConnection) -> bytes:
    """The key that the engine was made with (database.create_engine), or its connection's."""
    engine = bind.engine if isinstance(bind, AsyncConnection) else bind
    key = engine.get_execution_options()[SEAL_KEY]
    assert isinstance(key, bytes)
    return key
