"""Which of the two a database holds: the live coalition, or the test coalition of test keys.

It is written once, when a database is prepared as the one or the other. The database takes no key
of the other kind after that.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import CoalitionError, Code

_MARK = text("""
    insert into coalition_mode (is_live)
    select cast(:is_live as boolean)
    where cast(:is_live as boolean)
       or not exists (select from posting) and not exists (select from api_key)
    on conflict do nothing
""")
_READ = text("select is_live from coalition_mode")


async def mark(connection: AsyncConnection, *, is_live: bool) -> None:
    """Make this database the live or the test coalition's; a second time does nothing.

    Raises CoalitionError, invalid, where it is the other's: where that was said before, or it holds
    movements or keys from before anything was said.
    """
    await connection.execute(_MARK, {"is_live": is_live})
    if await is_marked(connection, is_live=is_live):
        return
    if is_live:
        detail = "DATABASE_URL names the database of a test coalition; right is the live one's"
    else:
        detail = (
            "COALITION_TEST_DATABASE_URL names the database of a live coalition; "
            "right is an empty database of its own"
        )
    raise CoalitionError(Code.INVALID, detail)


async def is_marked(connection: AsyncConnection, *, is_live: bool) -> bool:
    """Whether this database is known as the live, or as the test coalition's."""
    return await connection.scalar(_READ) is is_live
