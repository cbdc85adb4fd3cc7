"""Routes of members and cards: enrol, look up, history, replace, block, unblock."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, FromPath, JSONBody

from coalition.api import views
from coalition.api.answers import REPLAYED, card_text
from coalition.api.openapi.responses import REPLAYED_HEADER, MaybeKeyedOperation, reads, writes
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.cursors import LIMIT, Cursor, Limit, decode_cursor, encode_cursor
from coalition.errors import CoalitionError, Code
from coalition.ledger import read
from coalition.members import store
from coalition.wire import ids
from coalition.wire.bodies import EnrolBody, NothingBody
from coalition.wire.keys import body_hash, request_id
from coalition.wire.movements import read_card

_SCOPES = {"scopes": ("members",)}
_NEWEST = 2**31 - 1


class EnrolOut(msgspec.Struct, frozen=True):
    member_id: str
    card: str


class ReplaceOut(msgspec.Struct, frozen=True):
    card: str


class CardStatusOut(msgspec.Struct, frozen=True):
    card: str
    status: str


@post(
    "/members",
    opt=_SCOPES,
    tags=["Members and cards"],
    summary="Enrol a member",
    description="Makes a member with a card and no points. An external_ref names one member of the "
    "merchant that enrols: sent again, it answers the first member and its card in use, with 200, "
    "and changes nothing. An Idempotency-Key is honoured.",
    responses={
        200: ResponseSpec(
            EnrolOut,
            generate_examples=False,
            description="There was a member of this external_ref already; this is that one",
        ),
        **writes(Code.IDEMPOTENCY_KEY_REUSED),
    },
    response_headers=[REPLAYED_HEADER],
    operation_class=MaybeKeyedOperation,
)
async def enrol(
    request: ApiRequest, data: Annotated[EnrolBody, Body(title="Enrolment")]
) -> Response[EnrolOut]:
    services, caller, key = request.services, request.caller, request.idempotency_key
    check_rate(caller)
    enrolment = store.Enrolment(data.external_ref, data.phone, data.birthday, data.locale)
    async with services.engine.begin() as connection:
        done = await store.enrol(
            connection,
            enrolment,
            caller.merchant_id,
            services.clock(),
            request_id=None if key is None else request_id(caller.merchant_id, "enrol", key),
            body_hash=body_hash(data),
            actor=request.actor,
        )
    content = EnrolOut(ids.encode(ids.MEMBER, done.member_id), card_text(done.card))
    return Response(
        content,
        status_code=201 if done.is_new else 200,
        headers={REPLAYED: "true"} if done.replayed else None,
    )


@get(
    "/cards/{card:str}",
    opt=_SCOPES,
    tags=["Members and cards"],
    summary="A card and its points",
    description="available leaves out points past their day. Soonest expiry first.",
    responses=reads(Code.UNKNOWN_CARD),
)
async def get_card(request: ApiRequest, card: FromPath[str]) -> views.CardOut:
    services = request.services
    number = read_card(card)
    view = await _card_view(request, number)
    return views.card_out(number, view, services.book)


async def _card_view(request: ApiRequest, number: int) -> read.CardView:
    services = request.services
    async with services.engine.connect() as connection:
        view = await read.card_view(connection, number, services.book, services.clock())
    if view is None:
        raise CoalitionError(Code.UNKNOWN_CARD, f"no card has the number {number}")
    return view


@get(
    "/cards/{card:str}/history",
    opt=_SCOPES,
    tags=["Members and cards"],
    summary="A card's movements, newest first",
    description="A merchant sees its own movements, the house all of them.",
    responses=reads(Code.UNKNOWN_CARD),
)
async def get_history(
    request: ApiRequest, card: FromPath[str], limit: Limit = LIMIT, cursor: Cursor = None
) -> views.HistoryPage:
    services, caller = request.services, request.caller
    number, before_no = read_card(card), decode_cursor(cursor, _NEWEST)
    async with services.engine.connect() as connection:
        member_id = await store.find_member(connection, number)
        if member_id is None:
            raise CoalitionError(Code.UNKNOWN_CARD, f"no card has the number {number}")
        lines = await read.history(
            connection,
            member_id,
            before_no=before_no,
            merchant_id=None if caller.is_house else caller.merchant_id,
            rows_max=limit + 1,
        )
    shown = lines[:limit]
    items = tuple(views.history_out(member_id, line, services.book) for line in shown)
    more = encode_cursor(shown[-1].posting_no) if len(lines) > limit else None
    return views.HistoryPage(items, more)


@post(
    "/cards/{card:str}/replace",
    opt=_SCOPES,
    tags=["Members and cards"],
    summary="Replace a lost or broken card",
    description="A new number; the old one is dead, the points stay.",
    responses=writes(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE),
)
async def replace_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> ReplaceOut:
    number = read_card(card)
    check_rate(request.caller)
    async with request.services.engine.begin() as connection:
        now = request.services.clock()
        new = await store.replace(connection, number, now, actor=request.actor)
    return ReplaceOut(card_text(new))


@post(
    "/cards/{card:str}/block",
    opt=_SCOPES,
    status_code=200,
    tags=["Members and cards"],
    summary="Block a card",
    description="No points move with it until it is unblocked. Blocking twice is blocking once.",
    responses=writes(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE),
)
async def block_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> CardStatusOut:
    return await _set_blocked(request, card, blocked=True)


@post(
    "/cards/{card:str}/unblock",
    opt=_SCOPES,
    status_code=200,
    tags=["Members and cards"],
    summary="Unblock a card",
    description="The card moves points again. Unblocking an active card changes nothing.",
    responses=writes(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE),
)
async def unblock_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> CardStatusOut:
    return await _set_blocked(request, card, blocked=False)


async def _set_blocked(request: ApiRequest, card: str, *, blocked: bool) -> CardStatusOut:
    number = read_card(card)
    check_rate(request.caller)
    async with request.services.engine.begin() as connection:
        now = request.services.clock()
        status = await store.set_blocked(
            connection, number, now, blocked=blocked, actor=request.actor
        )
    return CardStatusOut(card_text(number), status)


ROUTES = [enrol, get_card, get_history, replace_card, block_card, unblock_card]
