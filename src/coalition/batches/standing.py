"""Whether a file may still be posted: who sent it, and its merchant, looked at for each group.

A file of millions of rows is posted long after its request was admitted, and a key that was revoked
meanwhile, because it was stolen, or is past its last day, or a person who was disabled, must not go
on moving points.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.batches.store import Batch
from coalition.keys import store as key_store
from coalition.people.store import role_of

CANCELLED = "cancelled"
_REST = "the rows posted until then stay posted, and the rest of the file is not"
_LOOK = text("""
    select b.reason, b.status <> 'running' as is_over, m.code, m.suspended
    from batch b join merchant m using (merchant_id) where b.batch_id = :batch_id
""")


async def why_ended(connection: AsyncConnection, batch: Batch, now: datetime) -> str | None:
    """Why no more of its rows may be posted; None: they may.

    A file without a key is the house's act, or older than keys are kept: its merchant's suspension
    then refuses row by row what it refuses, as it always does.
    """
    found = (await connection.execute(_LOOK, {"batch_id": batch.batch_id})).one()
    if found.is_over:
        return found.reason or "it is over"
    if batch.asker_id is None:
        return None
    why = await _why_sender_may_not(connection, batch, now)
    if why is None and found.suspended:
        return f"{found.code} is suspended: {_REST}"
    return why


async def _why_sender_may_not(
    connection: AsyncConnection, batch: Batch, now: datetime
) -> str | None:
    if batch.person_id is not None:
        standing = await role_of(connection, batch.person_id)
        if standing is None:
            return f"the person who sent it was disabled: {_REST}"
        return None
    assert batch.key_id is not None, "it was no person who sent it"
    key = (await key_store.find_all(connection, [batch.key_id], now)).get(batch.key_id)
    if key is None:
        return f"the key it came with is not good any more: {_REST}"
    if lost := sorted(batch.scopes - key.scopes):
        return f"the key it came with lost the scope {' and '.join(lost)}: {_REST}"
    return None
