"""What is proposed where two persons are needed, and how it is carried out when one approves.

    windows.close   {"window"}                        a window's end before its time
    terms.sync      {"house", "terms", "since", "changes"}   merchants' files, whole

The command line proposes through here as well. Before there is the first approver nothing is
proposed: what is asked for happens at once. What is approved is done in the database transaction
that says so; where it cannot be done any more, the proposal is void and says why.
"""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor
from coalition.clearing import service as clearing
from coalition.errors import CoalitionError, Code
from coalition.people import approval_store
from coalition.people.approvals import Approval, VoidError, check_may_decide
from coalition.people.store import has_approver
from coalition.terms.store import plan_sync, sync
from coalition.terms.terms import HouseTerms, Terms
from settlement.window import Window

_CLOSE, _SYNC = "windows.close", "terms.sync"
# It moves with every sync that changes something.
_SYNCED_AT = text("select cast(max(synced_at) as text) from merchant")


async def propose_close(engine: AsyncEngine, label: str, now: datetime, actor: Actor) -> str | None:
    """Propose to close a window early; the approval's id. None: it needs none, or cannot be.

    A window whose end has come closes at once, whoever asks.
    """
    async with engine.begin() as connection:
        if not await has_approver(connection):
            return None
        for window in await clearing.list_windows(connection):
            if window.label == label and window.is_open and window.opens_at < now:
                if window.closes_at <= now:
                    return None
                content = {"window": label}
                return await approval_store.propose(connection, _CLOSE, content, now, actor)
    return None


async def propose_sync(
    connection: AsyncConnection,
    house: HouseTerms,
    terms: list[Terms],
    now: datetime,
    actor: Actor,
) -> str | None:
    """Propose what a sync would change; the approval's id. None: it needs none, or changes nothing.

    Raises SyncRefusedError where it would be refused.
    """
    if not await has_approver(connection):
        return None
    changes = await plan_sync(connection, house, terms, now)
    told = [str(change) for change in changes if change.kind != "kept"]
    if not told:
        return None
    content = {
        "house": msgspec.to_builtins(house),
        "terms": msgspec.to_builtins(terms),
        "since": await connection.scalar(_SYNCED_AT),
        "changes": told,
    }
    return await approval_store.propose(connection, _SYNC, content, now, actor)


def told_of(approval: Approval) -> list[str]:
    """What it would do, a line each, for people."""
    if approval.kind == _CLOSE:
        return [f"close window {approval.content['window']} before its end"]
    changes: list[str] = approval.content["changes"]
    return changes


async def approve(engine: AsyncEngine, approval_id: str, now: datetime, actor: Actor) -> Approval:
    """Carry out what was proposed; what became of it: approved, or void.

    Raises CoalitionError: not_found, own_approval, invalid (decided already), busy, which leaves it
    as it was.
    """
    async with engine.connect() as connection:
        approval = await approval_store.find(connection, approval_id)
    check_may_decide(approval, actor.name or "")
    try:
        if approval.kind == _CLOSE:
            await _close(engine, approval, now, actor)
        else:
            await _sync(engine, approval, now, actor)
    except VoidError as why:
        async with engine.begin() as connection:
            found = await approval_store.find(connection, approval_id, locked=True)
            check_may_decide(found, actor.name or "")
            await approval_store.decide(connection, found, "void", now, actor, reason=str(why))
    async with engine.connect() as connection:
        return await approval_store.find(connection, approval_id)


async def reject(
    engine: AsyncEngine, approval_id: str, reason: str, now: datetime, actor: Actor
) -> Approval:
    """Raises CoalitionError: not_found, own_approval, invalid (decided already)."""
    async with engine.begin() as connection:
        approval = await approval_store.find(connection, approval_id, locked=True)
        check_may_decide(approval, actor.name or "")
        await approval_store.decide(connection, approval, "rejected", now, actor, reason=reason)
        return await approval_store.find(connection, approval_id)


async def _close(engine: AsyncEngine, approval: Approval, now: datetime, actor: Actor) -> None:
    label, is_done = approval.content["window"], False

    async def approved(connection: AsyncConnection, window: Window, ends_at: datetime) -> None:
        nonlocal is_done
        await approval_store.decide(connection, approval, "approved", now, actor)
        is_done = True

    try:
        await clearing.close_window(engine, label, now, early=True, actor=actor, also=approved)
    except CoalitionError as error:
        # What is closed and could not be netted at once, the jobs net.
        if error.code is Code.BUSY or is_done:
            raise
        raise VoidError(error.detail) from error
    if not is_done:
        raise VoidError(f"window {label} was closed meanwhile")


async def _sync(engine: AsyncEngine, approval: Approval, now: datetime, actor: Actor) -> None:
    content: Any = approval.content
    house = msgspec.convert(content["house"], HouseTerms)
    terms = msgspec.convert(content["terms"], list[Terms])
    async with engine.begin() as connection:
        # One decides; another who came at the same time finds it decided.
        found = await approval_store.find(connection, approval.approval_id, locked=True)
        check_may_decide(found, actor.name or "")
        if await connection.scalar(_SYNCED_AT) != content["since"]:
            raise VoidError("terms were changed meanwhile: propose it again")
        try:
            await sync(connection, house, terms, now, actor)
        except CoalitionError as error:
            if error.code is Code.BUSY:
                raise
            raise VoidError(error.detail[:1000]) from error
        await approval_store.decide(connection, found, "approved", now, actor)
