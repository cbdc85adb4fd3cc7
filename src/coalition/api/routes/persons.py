"""Routes of who a member is: found by phone or reference, corrected, exported, erased."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import get, patch, post
from litestar.params import Body, FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.api.answers import card_text
from coalition.api.openapi.responses import reads, writes
from coalition.edge.access import Caller
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.services import Services
from coalition.edge.unknown_cards import slowed
from coalition.errors import CoalitionError, Code
from coalition.members import store as member_store
from coalition.privacy import store
from coalition.privacy.export import Export, export
from coalition.terms.standing import check_not_suspended
from coalition.wire import ids
from coalition.wire.bodies import CorrectBody, NothingBody
from coalition.wire.movements import read_phone

_SCOPES = ("members",)

Phone = Annotated[
    str | None,
    QueryParameter(max_length=64, description="With its country, the + written as %2B."),
]
ExternalRef = Annotated[
    str | None, QueryParameter(max_length=255, description="The merchant's own reference.")
]


class FoundOut(msgspec.Struct, frozen=True):
    member_id: str
    card: str


class MemberOut(msgspec.Struct, frozen=True):
    """What is known of a member."""

    member_id: str
    external_ref: str | None
    phone: str | None
    birthday: date | None
    locale: str | None


class ErasedOut(msgspec.Struct, frozen=True):
    member_id: str
    erased_at: datetime


@get(
    "/members",
    opt={"scopes": _SCOPES, "right": "members.read"},
    tags=["Members and cards"],
    summary="Find a member by phone or external_ref",
    description="Exactly one match, or 404. By phone: a member that this merchant enrolled or "
    "served; by external_ref: one that it enrolled. A key that asks for many that there are not is "
    "slowed, as for unknown cards.",
    responses=reads(Code.NOT_FOUND, Code.MERCHANT_SUSPENDED),
)
async def find_member(
    request: ApiRequest, phone: Phone = None, external_ref: ExternalRef = None
) -> FoundOut:
    services, caller = request.services, request.caller
    if (phone is None) == (external_ref is None):
        raise CoalitionError(Code.INVALID, "ask by phone or by external_ref: one of the two")
    wanted = read_phone(phone)
    if services.guessing.wait_s(caller.key_id):
        detail = "this key asked for too many members and cards that there are none of"
        raise slowed(services, caller, detail)
    async with services.engine.connect() as connection:
        found = await member_store.find_by(
            connection,
            services.ring,
            None if caller.is_house else caller.merchant_id,
            phone=wanted,
            external_ref=external_ref,
        )
        await check_not_suspended(connection, caller.merchant_id)
    if len(found) != 1:
        services.guessing.note(caller.key_id)
        raise CoalitionError(Code.NOT_FOUND, "no member of yours, or more than one, is found by it")
    [(member_id, card)] = found
    return FoundOut(ids.encode(ids.MEMBER, member_id), card_text(card))


@patch(
    "/members/{member_id:str}",
    opt={"scopes": _SCOPES, "right": "members.change"},
    tags=["Members and cards"],
    summary="Correct what is known of a member",
    description="For the merchant that enrolled the member, and the house. null takes a field "
    "away; what is left out stays.",
    responses=writes(Code.NOT_FOUND, Code.LIMIT_REACHED, Code.MERCHANT_SUSPENDED),
)
async def correct_member(
    request: ApiRequest,
    member_id: FromPath[str],
    data: Annotated[CorrectBody, Body(title="Correction")],
) -> MemberOut:
    services, caller = request.services, request.caller
    number = _number(member_id)
    changes = {
        name: value
        for name in data.__struct_fields__
        if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if "phone" in changes:
        changes["phone"] = read_phone(changes["phone"])
    check_rate(caller)
    async with services.engine.begin() as connection:
        await _person(connection, services, caller, number)
        await check_not_suspended(connection, caller.merchant_id)
        now = services.clock()
        person = await store.correct(
            connection, number, changes, services.ring, now, actor=request.actor
        )
    known = person.known
    return MemberOut(member_id, known.external_ref, known.phone, known.birthday, known.locale)


@get(
    "/members/{member_id:str}/export",
    opt={"scopes": _SCOPES, "right": "members.export"},
    tags=["Members and cards"],
    summary="All that is kept about a person",
    description="For the merchant that enrolled the member, and the house. Who looked is kept.",
    responses=reads(Code.NOT_FOUND, Code.MERCHANT_SUSPENDED),
)
async def export_member(request: ApiRequest, member_id: FromPath[str]) -> Export:
    services, caller = request.services, request.caller
    async with services.engine.begin() as connection:
        person = await _person(connection, services, caller, _number(member_id))
        await check_not_suspended(connection, caller.merchant_id)
        now, actor = services.clock(), request.actor
        return await export(connection, person, services.book, now, actor=actor)


@post(
    "/members/{member_id:str}/erase",
    opt={"scopes": ("house",), "right": "members.erase"},
    status_code=200,
    tags=["Members and cards"],
    summary="Erase what names a person",
    description="For good. Cards, points and movements stay, and name nobody. Erasing twice is "
    "erasing once.",
    responses=writes(Code.NOT_FOUND),
)
async def erase_member(
    request: ApiRequest, member_id: FromPath[str], data: JSONBody[NothingBody]
) -> ErasedOut:
    services, caller = request.services, request.caller
    number = _number(member_id)
    check_rate(caller)
    async with services.engine.begin() as connection:
        await _person(connection, services, caller, number)
        await store.erase(connection, [number], services.clock(), actor=request.actor)
        person = await store.find(connection, number, services.ring)
    assert person is not None, "it was there, and members stay"
    assert person.erased_at is not None, "it is erased now, or was before"
    return ErasedOut(member_id, person.erased_at)


def _number(member_id: str) -> int:
    found = ids.decode(ids.MEMBER, member_id)
    if found is None:
        raise _no_member()
    return found[0]


async def _person(
    connection: AsyncConnection, services: Services, caller: Caller, number: int
) -> store.Person:
    """The member, where this caller may know who it is; else there is none."""
    person = await store.find(connection, number, services.ring)
    if person is None or not (caller.is_house or person.enrolled_by == caller.merchant_id):
        raise _no_member()
    return person


def _no_member() -> CoalitionError:
    return CoalitionError(Code.NOT_FOUND, "there is no such member of yours")


ROUTES = (find_member, correct_member, export_member, erase_member)
