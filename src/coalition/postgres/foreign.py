"""How a PostgreSQL that is not ours is set up and reached. The bounds are in sizing.py."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.postgres.sizing import LOOKED_AT, FarOff, far_off
from coalition.postgres.tls import is_verified

# Sizes are kept in pages of the server's own size, which it turns into bytes itself.
_SETTINGS = text("""
select name, current_setting(name) as shown,
    case unit when 's' then setting::bigint else pg_size_bytes(current_setting(name)) end as value
from pg_settings where name = any(:names)
""")
# A unix socket has no address, and what goes to this machine's own does not leave it.
_CONNECTION = text("""
select coalesce(not inet_server_addr() <<= any(array['127.0.0.0/8', '::1/128']::inet[]), false)
           as is_elsewhere,
    coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as is_encrypted,
    pg_has_role(current_user, (select relowner from pg_class
                               where oid = 'alembic_version'::regclass), 'usage') as owns,
    current_user as role
""")


async def settings_far_off(connection: AsyncConnection) -> list[FarOff]:
    """The settings of this connection's server that are far too small for a ledger under load."""
    rows = await connection.execute(_SETTINGS, {"names": list(LOOKED_AT)})
    return far_off({row.name: (row.value, row.shown) for row in rows})


async def dangers(connection: AsyncConnection, url: str) -> list[str]:
    """What of a connection to the server at url lets others read along, or us change history."""
    found = (await connection.execute(_CONNECTION)).one()
    told = [readers(url, is_elsewhere=found.is_elsewhere, is_encrypted=found.is_encrypted)]
    if found.owns:
        told.append(
            f"the role {found.role} owns the tables, so that whoever takes over this program can "
            "delete history: give the application a role of its own"
        )
    return [one for one in told if one is not None]


def readers(url: str, *, is_elsewhere: bool, is_encrypted: bool) -> str | None:
    """Who may read along on the way to a server; None where nobody may."""
    if not is_elsewhere or (is_encrypted and is_verified(url)):
        return None
    if not is_encrypted:
        return (
            "the database is reached over a network without TLS: add ?sslmode=verify-full to "
            "DATABASE_URL (and &sslrootcert=FILE where its authority is your own)"
        )
    return (
        "nobody checks that the database is the right one: sslmode in DATABASE_URL is not "
        "verify-full"
    )
