"""Routes of the people who work at the house and at merchants: made, listed, disabled, reset.

For the house's operator, or a merchant's manager for its own; another party's person is not there.
"""

from datetime import datetime
from typing import Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.api.answers import utc
from coalition.api.openapi.responses import reads, writes
from coalition.edge.access import Caller
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.cursors import LIMIT, Cursor, Limit, decode_cursor, page_of
from coalition.edge.services import Services
from coalition.errors import CoalitionError, Code
from coalition.people import store
from coalition.people.person import Person
from coalition.terms.standing import check_not_suspended
from coalition.wire.bodies import NothingBody, PersonBody

_CHANGES: dict[str, object] = {"scopes": (), "right": "people"}
_TAGS = ["People"]


class PersonOut(msgspec.Struct, frozen=True):
    """A person. status invited: it has set no password yet."""

    person: str
    name: str
    email: str
    role: str
    merchant: str
    status: Literal["invited", "active", "disabled"]
    created_at: datetime


class PersonPage(msgspec.Struct, frozen=True):
    items: tuple[PersonOut, ...]
    next_cursor: str | None


class InvitedOut(msgspec.Struct, frozen=True):
    """setup: the one-time secret to set a password with (/v1/setup), shown here alone."""

    person: str
    setup: str
    setup_until: datetime


@post(
    "/people",
    opt=_CHANGES,
    tags=_TAGS,
    summary="Make a person",
    description="For the house's operator, of any party; for a merchant's manager, of its own. "
    "Where there is an approver, another one is made at the command line.",
    responses=writes(Code.NOT_FOUND, Code.APPROVAL_NEEDED, Code.LIMIT_REACHED),
)
async def make_person(request: ApiRequest, data: JSONBody[PersonBody]) -> InvitedOut:
    services, caller = request.services, request.caller
    merchant = caller.code if data.merchant is None else data.merchant
    if not (caller.is_house or merchant == caller.code):
        raise CoalitionError(Code.NOT_FOUND, "there is no such merchant of yours")
    check_rate(caller)
    async with services.engine.begin() as connection:
        await check_not_suspended(connection, caller.merchant_id)
        await _check_no_way_around(connection, data.role)
        made, setup = await store.create(
            connection,
            services.ring,
            email=data.email,
            name=data.name,
            role=data.role,
            merchant=merchant,
            now=services.clock(),
            actor=request.actor,
        )
    assert made.setup_until is not None, "whoever is new has a secret"
    return InvitedOut(made.person_id, setup, utc(made.setup_until))


@get(
    "/people",
    opt={"scopes": ("house",), "right": "people.read"},
    tags=_TAGS,
    summary="Who works here",
    description="In the order in which they were made. The house sees everybody, a merchant its "
    "own.",
    responses=reads(),
)
async def get_people(
    request: ApiRequest, limit: Limit = LIMIT, cursor: Cursor = None
) -> PersonPage:
    services, caller = request.services, request.caller
    async with services.engine.connect() as connection:
        found = await store.list_people(
            connection,
            services.ring,
            merchant_id=None if caller.is_house else caller.merchant_id,
            after_no=decode_cursor(cursor, 0),
            rows_max=limit + 1,
        )
    shown, more = page_of(found, limit, lambda one: one.person_no)
    return PersonPage(tuple(map(_out, shown)), more)


@post(
    "/people/{person:str}/disable",
    opt=_CHANGES,
    status_code=200,
    tags=_TAGS,
    summary="Disable a person",
    description="For good and at once: its sessions end, and its files that are being posted. "
    "Disabling twice is disabling once.",
    responses=writes(Code.NOT_FOUND),
)
async def disable_person(
    request: ApiRequest, person: FromPath[str], data: JSONBody[NothingBody]
) -> PersonOut:
    services = request.services
    check_rate(request.caller)
    async with services.engine.begin() as connection:
        found = await _own(connection, services, request.caller, person)
        await store.disable(connection, found, services.clock(), request.actor)
        return _out(await _own(connection, services, request.caller, person))


@post(
    "/people/{person:str}/reset",
    opt=_CHANGES,
    status_code=200,
    tags=_TAGS,
    summary="Give a person a new way in",
    description="For who lost the password or the app: both are taken away, sessions end, and a "
    "new one-time secret is answered. An approver is reset at the command line.",
    responses=writes(Code.NOT_FOUND, Code.APPROVAL_NEEDED),
)
async def reset_person(
    request: ApiRequest, person: FromPath[str], data: JSONBody[NothingBody]
) -> InvitedOut:
    services = request.services
    check_rate(request.caller)
    async with services.engine.begin() as connection:
        found = await _own(connection, services, request.caller, person)
        await _check_no_way_around(connection, found.role)
        setup = await store.reset(connection, found, services.clock(), request.actor)
        found = await _own(connection, services, request.caller, person)
    assert found.setup_until is not None, "whoever was reset has a secret"
    return InvitedOut(found.person_id, setup, utc(found.setup_until))


async def _check_no_way_around(connection: AsyncConnection, role: str) -> None:
    """Raise approval_needed where an operator would make itself the second person."""
    if role == "approver" and await store.has_approver(connection):
        raise CoalitionError(
            Code.APPROVAL_NEEDED,
            "whoever could make or reset an approver would be two persons at once: it is done at "
            "the command line, with coalition people",
        )


async def _own(
    connection: AsyncConnection, services: Services, caller: Caller, person_id: str
) -> Person:
    found = await store.find(connection, services.ring, person_id)
    if found is None or not (caller.is_house or found.merchant_id == caller.merchant_id):
        raise store.no_person()
    return found


def _out(one: Person) -> PersonOut:
    return PersonOut(
        one.person_id,
        one.name,
        one.email,
        one.role,
        one.merchant,
        one.status,
        utc(one.created_at),
    )


ROUTES = [make_person, get_people, disable_person, reset_person]
