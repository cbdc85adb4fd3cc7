"""The audit in the database: acts are recorded and listed, and never changed.

Whoever changes a card, a key, a merchant or a window records the act in the same database
transaction, so that there is neither without the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import Actor

_PLACE_CHARACTERS_MAX = 255

_RECORD = text("""
    insert into audit (at, actor, place, action, object, member_id, before, after)
    values (:at, :actor, :place, :action, :object, :member_id, cast(:before as jsonb),
            cast(:after as jsonb))
""")
_COLUMNS = """
    audit_no, at, actor, place, action, object, member_id, cast(before as text) as before,
    cast(after as text) as after
"""
_NEWEST = text(f"""
    select {_COLUMNS} from audit where audit_no < :before_no order by audit_no desc limit :rows_max
""")
_SINCE = text(f"select {_COLUMNS} from audit where at >= :since order by audit_no")


@dataclass(frozen=True, slots=True)
class Act:
    """A change as it was recorded. object: a card's last four digits, a key's or file's id, ...

    before and after are what it changed; None: there was, or is, nothing.
    """

    audit_no: int
    at: datetime
    actor: str | None
    place: str
    action: str
    object: str
    member_id: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def record(
    connection: AsyncConnection,
    actor: Actor,
    at: datetime,
    action: str,
    object_: str,
    *,
    member_id: int | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Record an act (card.block) on an object, in the transaction that does it.

    before and after name no person: no phone, no reference, no whole card number.
    """
    values = _values(actor, at, action, object_, member_id, before, after)
    await connection.execute(_RECORD, values)
    _tell_when_done(connection, actor, action, 1)


async def record_all(
    connection: AsyncConnection,
    actor: Actor,
    at: datetime,
    action: str,
    objects: Sequence[tuple[str, int]],
) -> None:
    """Record the same act on many members: each with the object it is and its member_id."""
    values = [
        _values(actor, at, action, object_, member_id, None, None) for object_, member_id in objects
    ]
    if values:
        await connection.execute(_RECORD, values)
    _tell_when_done(connection, actor, action, len(objects))


async def newest(connection: AsyncConnection, before_no: int, rows_max: int) -> list[Act]:
    """Acts with a number under before_no, the newest first."""
    found = await connection.execute(_NEWEST, {"before_no": before_no, "rows_max": rows_max})
    return [_act(*row) for row in found]


async def since(connection: AsyncConnection, moment: datetime) -> list[Act]:
    """Acts from a moment on, the oldest first."""
    return [_act(*row) for row in await connection.execute(_SINCE, {"since": moment})]


def last_four(card: int) -> str:
    """What the audit says of a card number."""
    return f"{card % 10_000:04}"


def _tell_when_done(connection: AsyncConnection, actor: Actor, action: str, times: int) -> None:
    """Tell the actor's on_act of its acts as they are committed: what is rolled back was none."""
    on_act, asked = actor.on_act, connection.sync_connection
    if on_act is None:
        return

    def tell(_: Connection) -> None:
        for _time in range(times):
            on_act(actor.name, action)

    event.listen(asked, "commit", tell, once=True)


def _values(
    actor: Actor,
    at: datetime,
    action: str,
    object_: str,
    member_id: int | None,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> dict[str, object]:
    return {
        "at": at,
        "actor": actor.name,
        "place": actor.place[:_PLACE_CHARACTERS_MAX],
        "action": action,
        "object": object_,
        "member_id": member_id,
        "before": _json(before),
        "after": _json(after),
    }


def _json(fields: Mapping[str, object] | None) -> str | None:
    return None if fields is None else msgspec.json.encode(fields).decode()


def _act(*row: Any) -> Act:
    *head, before, after = row
    return Act(*head, *(one and msgspec.json.decode(one) for one in (before, after)))
