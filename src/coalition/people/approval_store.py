"""Proposals in the database: made, listed, and decided once, each with its row of the audit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.errors import CoalitionError, Code
from coalition.people.approvals import Approval, Status
from coalition.people.person import new_id

_COLUMNS = """
    approval_no, approval_id, kind, cast(content as text) as content, proposed_by, proposed_at,
    status, decided_by, decided_at, reason
"""
_PROPOSE = text("""
    insert into approval (approval_id, kind, content, proposed_by, proposed_from, proposed_at)
    values (:approval_id, :kind, cast(:content as jsonb), :by, :place, :now)
    on conflict do nothing
""")
_SAME = text("""
    select approval_id from approval
    where status = 'proposed' and kind = :kind and content = cast(:content as jsonb)
""")
_FIND = text(f"select {_COLUMNS} from approval where approval_id = :approval_id")
_LOCK = text(f"select {_COLUMNS} from approval where approval_id = :approval_id for update")
_NEWEST = text(f"""
    select {_COLUMNS} from approval where approval_no < :before_no
    order by approval_no desc limit :rows_max
""")
_DECIDE = text("""
    update approval set status = :status, decided_by = :by, decided_at = :now, reason = :reason
    where approval_id = :approval_id and status = 'proposed'
""")


async def propose(
    connection: AsyncConnection,
    kind: str,
    content: Mapping[str, Any],
    now: datetime,
    actor: Actor,
) -> str:
    """Propose something, and answer its id; the same that is proposed already is that one."""
    assert actor.name is not None, "whoever proposes is known"
    spelt = msgspec.json.encode(content).decode()
    approval_id = new_id("apr")
    values = {
        "approval_id": approval_id,
        "kind": kind,
        "content": spelt,
        "by": actor.name,
        "place": actor.place[:255],
        "now": now,
    }
    if not (await connection.execute(_PROPOSE, values)).rowcount:
        same: str = await connection.scalar(_SAME, {"kind": kind, "content": spelt}) or approval_id
        return same
    await record(connection, actor, now, "approval.propose", approval_id, after={"kind": kind})
    return approval_id


async def find(connection: AsyncConnection, approval_id: str, *, locked: bool = False) -> Approval:
    """The proposal of this id; locked: until the transaction ends. Raises not_found."""
    statement = _LOCK if locked else _FIND
    row = (await connection.execute(statement, {"approval_id": approval_id})).one_or_none()
    if row is None:
        raise CoalitionError(Code.NOT_FOUND, "there is no such approval")
    return _approval(row)


async def newest(connection: AsyncConnection, before_no: int, rows_max: int) -> list[Approval]:
    """Proposals with a number under before_no, the newest first."""
    rows = await connection.execute(_NEWEST, {"before_no": before_no, "rows_max": rows_max})
    return [_approval(row) for row in rows]


async def decide(
    connection: AsyncConnection,
    approval: Approval,
    status: Status,
    now: datetime,
    actor: Actor,
    *,
    reason: str | None = None,
) -> None:
    """Write down what became of it. Raises CoalitionError, invalid, where that was done meanwhile.

    The audit says which way, and not the reason, which may name somebody.
    """
    values = {
        "approval_id": approval.approval_id,
        "status": status,
        "by": actor.name,
        "now": now,
        "reason": reason,
    }
    if not (await connection.execute(_DECIDE, values)).rowcount:
        raise CoalitionError(Code.INVALID, "it was decided meanwhile")
    action = {"approved": "approve", "rejected": "reject", "void": "void"}[status]
    before, after = {"status": "proposed"}, {"kind": approval.kind, "status": status}
    await record(
        connection,
        actor,
        now,
        f"approval.{action}",
        approval.approval_id,
        before=before,
        after=after,
    )


def _approval(row: Any) -> Approval:
    return Approval(
        row.approval_no,
        row.approval_id,
        row.kind,
        msgspec.json.decode(row.content),
        row.proposed_by,
        row.proposed_at,
        row.status,
        row.decided_by,
        row.decided_at,
        row.reason,
    )
