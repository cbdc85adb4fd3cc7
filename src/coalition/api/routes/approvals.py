"""Routes of what needs two persons: what is proposed, approve, reject."""

from datetime import datetime
from typing import Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from coalition.api import proposals
from coalition.api.answers import utc
from coalition.api.openapi.responses import reads, writes
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.cursors import LIMIT, Cursor, Limit, decode_cursor, page_of
from coalition.errors import Code
from coalition.people import approval_store
from coalition.people.approvals import Approval
from coalition.wire.bodies import NothingBody, RejectBody

_DECIDES: dict[str, object] = {"scopes": (), "right": "approvals.decide"}
_TAGS = ["Approvals"]
_NEWEST = 2**31 - 1


class ApprovalOut(msgspec.Struct, frozen=True):
    """A proposal and what became of it. void: approved, but it could not be done any more.

    would: what it does, a line each. reason: why it was rejected, or is void.
    """

    approval: str
    kind: str
    would: tuple[str, ...]
    status: Literal["proposed", "approved", "rejected", "void"]
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class ApprovalPage(msgspec.Struct, frozen=True):
    items: tuple[ApprovalOut, ...]
    next_cursor: str | None


class ProposedOut(msgspec.Struct, frozen=True):
    """It needs a second person: nothing was done yet."""

    approval: str
    status: Literal["proposed"] = "proposed"


@get(
    "/approvals",
    opt={"scopes": ("house",), "right": "approvals"},
    tags=_TAGS,
    summary="What was proposed, the newest first",
    description="And what became of it. From the first approver on, an early close and a change of "
    "terms or prices are proposals.",
    responses=reads(),
)
async def get_approvals(
    request: ApiRequest, limit: Limit = LIMIT, cursor: Cursor = None
) -> ApprovalPage:
    before_no = decode_cursor(cursor, _NEWEST)
    async with request.services.engine.connect() as connection:
        found = await approval_store.newest(connection, before_no, limit + 1)
    shown, more = page_of(found, limit, lambda one: one.approval_no)
    return ApprovalPage(tuple(map(_out, shown)), more)


@post(
    "/approvals/{approval:str}/approve",
    opt=_DECIDES,
    status_code=200,
    tags=_TAGS,
    summary="Approve, and have it done",
    description="By a person who is not the one who proposed it. What was proposed is done in the "
    "same database transaction; where it cannot be done any more, the proposal is void and its "
    "reason says why.",
    responses=writes(Code.NOT_FOUND, Code.OWN_APPROVAL),
)
async def approve(
    request: ApiRequest, approval: FromPath[str], data: JSONBody[NothingBody]
) -> ApprovalOut:
    services = request.services
    check_rate(request.caller)
    done = await proposals.approve(services.engine, approval, services.clock(), request.actor)
    # Terms and windows are known here from now on.
    await services.ledger.refresh()
    return _out(done)


@post(
    "/approvals/{approval:str}/reject",
    opt=_DECIDES,
    status_code=200,
    tags=_TAGS,
    summary="Reject",
    description="For good; what was proposed may be proposed again.",
    responses=writes(Code.NOT_FOUND, Code.OWN_APPROVAL),
)
async def reject(
    request: ApiRequest, approval: FromPath[str], data: JSONBody[RejectBody]
) -> ApprovalOut:
    services = request.services
    check_rate(request.caller)
    return _out(
        await proposals.reject(
            services.engine, approval, data.reason, services.clock(), request.actor
        )
    )


def _out(one: Approval) -> ApprovalOut:
    return ApprovalOut(
        one.approval_id,
        one.kind,
        tuple(proposals.told_of(one)),
        one.status,
        one.proposed_by,
        utc(one.proposed_at),
        one.decided_by,
        None if one.decided_at is None else utc(one.decided_at),
        one.reason,
    )


ROUTES = [get_approvals, approve, reject]
