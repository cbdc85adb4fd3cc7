"""Giving digests to movements that were posted before digests were: `coalition seal`.

Block by block of members, each in a database transaction of its own, so that it may be broken off
and goes on; who is sealed stays as it is. A member's chain begins with its first posting.
"""

from collections.abc import Callable
from datetime import datetime

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.database import raw
from coalition.ledger.proof import MemberRows, read_block
from coalition.sealing.anchors import UNSEALED
from coalition.sealing.digests import movement_digest
from coalition.sealing.key import key_of

# Tills of these members wait meanwhile, some tenths of a second.
_MEMBERS_A_BLOCK = 500
_NEXT = """
select max(member_id) from (
    select member_id from account where member_id > :after order by member_id limit :limit) block
"""
_IS_UNSEALED = f"""
select exists (select from posting p
               where p.member_id > :after and p.member_id <= :last and {UNSEALED})
"""
_COUNT = f"select count(*) from posting p where {UNSEALED}"
_LOCK = """
select from account where member_id > $1 and member_id <= $2 order by member_id for update
"""
_INSERT = """
insert into earlier_digest (member_id, posting_no, digest, mark)
select *, (select mark_now()) from unnest($1::bigint[], $2::int[], $3::bytea[])
"""
# An account whose later movements were posted with digests knows of the last of those.
_ACCOUNTS = """
update account set digest = sealed.digest
from unnest($1::bigint[], $2::bytea[]) as sealed (member_id, digest)
where account.member_id = sealed.member_id and account.digest is null
"""


async def unsealed_movements(connection: AsyncConnection) -> int:
    """How many movements wait for their digests."""
    return int(await connection.scalar(text(_COUNT)) or 0)


async def seal_movements(
    engine: AsyncEngine, *, on_progress: Callable[[int], None] = lambda count: None
) -> int:
    """Give every movement from before digests its digest; how many those were.

    on_progress is told how many more are done.
    """
    key, after, sealed = key_of(engine), -1, 0
    while True:
        async with engine.begin() as connection:
            last = await connection.scalar(text(_NEXT), {"after": after, "limit": _MEMBERS_A_BLOCK})
            if last is None:
                return sealed
            block = {"after": after, "last": last}
            if await connection.scalar(text(_IS_UNSEALED), block):
                count = await _seal_block(await raw(connection), key, after, last)
                sealed += count
                on_progress(count)
        after = last


async def _seal_block(driver: asyncpg.Connection, key: bytes, after: int, last: int) -> int:
    await driver.execute(_LOCK, after, last)
    begins_at = await driver.fetchval("select begins_at from sealing")
    rows, latest = _digests(await read_block(driver, after, last), key, begins_at)
    await driver.execute(_INSERT, *map(list, zip(*rows, strict=True)))
    await driver.execute(_ACCOUNTS, list(latest), list(latest.values()))
    return len(rows)


def _digests(
    block: MemberRows, key: bytes, begins_at: datetime
) -> tuple[list[tuple[int, int, bytes]], dict[int, bytes]]:
    """The rows of earlier_digest that are missing, and each such member's last digest."""
    rows: list[tuple[int, int, bytes]] = []
    latest: dict[int, bytes] = {}
    for stored in block.postings:
        member_id, number = stored.posting.member_id, stored.posting.posting_no
        if stored.digest is not None:
            continue
        if stored.earlier is not None:
            latest[member_id] = stored.earlier
            continue
        if stored.posting.recorded_at >= begins_at:
            continue
        latest[member_id] = movement_digest(key, latest.get(member_id), stored.content)
        rows.append((member_id, number, latest[member_id]))
    return rows, latest
