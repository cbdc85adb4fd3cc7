"""How a PostgreSQL that is not ours is set up. The bounds are in sizing.py."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.postgres.sizing import LOOKED_AT, FarOff, far_off

# Sizes are kept in pages of the server's own size, which it turns into bytes itself.
_SETTINGS = text("""
select name, current_setting(name) as shown,
    case unit when 's' then setting::bigint else pg_size_bytes(current_setting(name)) end as value
from pg_settings where name = any(:names)
""")


async def settings_far_off(connection: AsyncConnection) -> list[FarOff]:
    """The settings of this connection's server that are far too small for a ledger under load."""
    rows = await connection.execute(_SETTINGS, {"names": list(LOOKED_AT)})
    return far_off({row.name: (row.value, row.shown) for row in rows})
