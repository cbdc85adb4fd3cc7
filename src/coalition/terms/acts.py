"""What the audit says of a sync: an act for each party of which something changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.terms.changes import SyncPlan
from coalition.terms.stored import to_stored


async def record_sync(
    connection: AsyncConnection,
    plan: SyncPlan,
    stored: Mapping[str, str],
    now: datetime,
    actor: Actor,
) -> None:
    """Record the plan before it is stored. stored: each party's file as the database has it."""
    updated = {one.code: to_stored(one) for one in plan.updated}
    told: dict[str, list[str]] = {}
    for change in plan.changes:
        if change.kind != "kept":
            told.setdefault(change.code, []).append(change.detail)
    for code, changes in told.items():
        before, after = _differing(stored.get(code), updated.get(code))
        after["changes"] = changes
        await record(connection, actor, now, "merchant.sync", code, before=before, after=after)


def _differing(
    before: str | None, after: str | None
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The fields of a file that an update changes, as they were and are.

    before None: there was no file, and there is nothing to compare. after None: it stays.
    """
    if before is None:
        return None, {}
    was: dict[str, Any] = msgspec.json.decode(before)
    now: dict[str, Any] = was if after is None else msgspec.json.decode(after)
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return {name: was.get(name) for name in names}, {name: now.get(name) for name in names}
