"""Sessions in the database: begun, found by what the cookie holds, ended. Rows that ended go.

Looked up for each request and kept nowhere else, so that a session that ended is refused at once,
by every process.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.people.tokens import digest_of, new_token

IDLE_MAX = timedelta(minutes=30)
LASTS_MAX = timedelta(hours=12)
# That it was used is written so often at most.
_USE_NOTED_EVERY = timedelta(minutes=1)

# The row is locked, so that a reset, a disabling or another password that comes at the same time
# either ends this session with the others or is seen here.
_BEGIN = text("""
    with still as (
        select person_id from person
        where person_id = :person_id and password_hash = :hash and disabled_at is null for share)
    insert into session (token_digest, person_id, began_at, used_at)
    select :digest, person_id, :now, :now from still
""")
_FORGET = text("delete from session where used_at <= :idle_since or began_at <= :began_before")
_FIND = text("""
    select s.person_id, s.began_at, s.used_at, p.merchant_id, m.code as merchant, p.role
    from session s join person p using (person_id) join merchant m using (merchant_id)
    where s.token_digest = :digest and s.used_at > :idle_since and s.began_at > :began_before
      and p.disabled_at is null
""")
_USED = text("update session set used_at = :now where token_digest = :digest and used_at < :now")
_END = text("delete from session where token_digest = :digest returning person_id")


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and until when at most."""

    person_id: str
    merchant_id: int
    merchant: str
    role: str
    ends_at: datetime


async def begin(
    connection: AsyncConnection, person_id: str, hash_: str, now: datetime, actor: Actor
) -> str | None:
    """Begin a session; what the cookie holds, which is kept nowhere.

    hash_: of the password that was compared; None where it is another by now, or nobody's.
    """
    token = new_token()
    await connection.execute(_FORGET, _spans(now))
    values = {"digest": digest_of(token), "person_id": person_id, "hash": hash_, "now": now}
    if not (await connection.execute(_BEGIN, values)).rowcount:
        return None
    await record(connection, actor, now, "session.begin", person_id)
    return token


async def find(engine: AsyncEngine, token: str, now: datetime) -> Session | None:
    """Whose session this is, and that it was used; None: it ended, or there was none."""
    asked = {"digest": digest_of(token), **_spans(now)}
    async with engine.connect() as connection:
        row = (await connection.execute(_FIND, asked)).one_or_none()
    if row is None:
        return None
    if now - row.used_at >= _USE_NOTED_EVERY:
        async with engine.begin() as connection:
            await connection.execute(_USED, {"digest": asked["digest"], "now": now})
    ends_at = row.began_at + LASTS_MAX
    return Session(row.person_id, row.merchant_id, row.merchant, row.role, ends_at)


async def end(connection: AsyncConnection, token: str, now: datetime, actor: Actor) -> None:
    """Sign out."""
    person_id = await connection.scalar(_END, {"digest": digest_of(token)})
    if person_id is not None:
        await record(connection, actor, now, "session.end", person_id)


def _spans(now: datetime) -> dict[str, datetime]:
    return {"idle_since": now - IDLE_MAX, "began_before": now - LASTS_MAX}
