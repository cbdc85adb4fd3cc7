"""The route of the audit: who changed a card, a key, a merchant or a window. House only."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import get

from coalition.api.answers import utc
from coalition.api.openapi.responses import reads
from coalition.audit import store
from coalition.audit.store import Act
from coalition.edge.admission import ApiRequest
from coalition.edge.cursors import LIMIT, Cursor, Limit, decode_cursor, page_of
from coalition.wire import ids

_NEWEST = 2**31 - 1


class ActOut(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A change. by: key:<id>, person:<id>, command:<name> or job:<name>; null: not known.

    from: an address, or user@host of a terminal. object: a card's last four digits, the id of a
    key, a member or a file, a merchant's code or a window's label. before and after: what it
    changed.
    """

    at: datetime
    by: str | None
    from_: str
    action: str
    object: str
    member_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(msgspec.Struct, frozen=True):
    items: tuple[ActOut, ...]
    next_cursor: str | None


@get(
    "/audit",
    opt={"scopes": ("house",), "right": "audit"},
    tags=["Audit"],
    summary="Who did what, the newest first",
    description="Every change of a card, a PIN, a key, a merchant, a window or what is known of a "
    "member, every file that was cancelled and import that was begun. It is appended to only.",
    responses=reads(),
)
async def get_audit(request: ApiRequest, limit: Limit = LIMIT, cursor: Cursor = None) -> AuditPage:
    before_no = decode_cursor(cursor, _NEWEST)
    async with request.services.engine.connect() as connection:
        acts = await store.newest(connection, before_no, limit + 1)
    shown, more = page_of(acts, limit, lambda one: one.audit_no)
    return AuditPage(tuple(map(_out, shown)), more)


def _out(act: Act) -> ActOut:
    return ActOut(
        at=utc(act.at),
        by=act.actor,
        from_=act.place,
        action=act.action,
        object=act.object,
        member_id=None if act.member_id is None else ids.encode(ids.MEMBER, act.member_id),
        before=act.before,
        after=act.after,
    )


ROUTES = [get_audit]
