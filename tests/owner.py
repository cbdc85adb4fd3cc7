"""A test's database as its owner, or as the server's superuser: what the application may not do.

Tests that change the schema do so as the owner, and tests that tamper with triggers and foreign
keys aside as the superuser, who is also what a thief of the whole machine would be.
"""

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from coalition.database import OWNER
from coalition.postgres.server import SUPERUSER


def superuser_url(url: str) -> str:
    """The address of the same database, for the server's superuser."""
    return make_url(url).set(username=SUPERUSER).render_as_string(hide_password=False)


def owner(engine: AsyncEngine) -> AsyncEngine:
    """The same database, as its owner; nothing is kept open, so nothing has to be closed."""
    return _as(engine, OWNER)


def superuser(engine: AsyncEngine) -> AsyncEngine:
    """The same database, as the server's superuser; nothing is kept open here either."""
    return _as(engine, SUPERUSER)


def _as(engine: AsyncEngine, role: str) -> AsyncEngine:
    # The key of digests goes along: whether a role writes false rows is not a matter of the key.
    return create_async_engine(
        engine.url.set(username=role),
        poolclass=NullPool,
        execution_options=dict(engine.get_execution_options()),
        connect_args={"server_settings": {"timezone": "UTC"}},
    )
