"""Routes of members and cards: enrol, look up, history, replace, block, unblock, set a PIN."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, JSONBody

from coalition.api import views
from coalition.api.answers import REPLAYED, card_text
from coalition.api.openapi.responses import REPLAYED_HEADER, MaybeKeyedOperation, reads, writes
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.cursors import LIMIT, Cursor, Limit, decode_cursor, page_of
from coalition.edge.unknown_cards import asking_for
from coalition.errors import CoalitionError, Code
from coalition.ledger import read
from coalition.ledger.checks import suspended
from coalition.members import cards, store
from coalition.members.pin import check_pin
from coalition.terms.standing import check_not_suspended
from coalition.wire import ids
from coalition.wire.bodies import EnrolBody, NothingBody, PinBody
from coalition.wire.keys import body_hash, request_id
from coalition.wire.movements import read_card, read_phone

_READS = {"scopes": ("members",), "right": "members.read"}
_CHANGES = {"scopes": ("members",), "right": "members.change"}
_NEWEST = 2**31 - 1
_PINS = [
    Example(summary="The first", value={"pin": "730619"}),
    Example(summary="Another", value={"pin": "264850", "old_pin": "730619"}),
]


class EnrolOut(msgspec.Struct, frozen=True):
    member_id: str
    card: str


class ReplaceOut(msgspec.Struct, frozen=True):
    card: str


class PinOut(msgspec.Struct, frozen=True):
    """The card whose member's PIN was set."""

    card: str


class CardStatusOut(msgspec.Struct, frozen=True):
    card: str
    status: str


@post(
    "/members",
    opt=_CHANGES,
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
        **writes(Code.IDEMPOTENCY_KEY_REUSED, Code.MERCHANT_SUSPENDED),
    },
    response_headers=[REPLAYED_HEADER],
    operation_class=MaybeKeyedOperation,
)
async def enrol(
    request: ApiRequest, data: Annotated[EnrolBody, Body(title="Enrolment")]
) -> Response[EnrolOut]:
    services, caller, key = request.services, request.caller, request.idempotency_key
    check_rate(caller)
    enrolment = store.Enrolment(
        data.external_ref, read_phone(data.phone), data.birthday, data.locale
    )
    async with services.engine.begin() as connection:
        done = await store.enrol(
            connection,
            enrolment,
            caller.merchant_id,
            services.clock(),
            ring=services.ring,
            request_id=None if key is None else request_id(caller.merchant_id, "enrol", key),
            body_hash=body_hash(data),
            actor=request.actor,
        )
        if not done.replayed:
            await check_not_suspended(connection, caller.merchant_id)
    content = EnrolOut(ids.encode(ids.MEMBER, done.member_id), card_text(done.card))
    return Response(
        content,
        status_code=201 if done.is_new else 200,
        headers={REPLAYED: "true"} if done.replayed else None,
    )


@get(
    "/cards/{card:str}",
    opt=_READS,
    tags=["Members and cards"],
    summary="A card and its points",
    description="available leaves out points past their day. Soonest expiry first. A card that "
    "was replaced has none: its member's points are the new card's. A merchant that is suspended "
    "reads no balance.",
    responses=reads(Code.UNKNOWN_CARD, Code.MERCHANT_SUSPENDED),
)
async def get_card(request: ApiRequest, card: FromPath[str]) -> views.CardOut:
    services, caller = request.services, request.caller
    number = read_card(card)
    async with asking_for(services, caller, number), services.engine.connect() as connection:
        view = await read.card_view(connection, number, services.book, services.clock())
        if view is None:
            raise cards.unknown_card(number)
    merchant = services.book.merchants.get(caller.merchant_id)
    if merchant is not None and (refusal := suspended(merchant)) is not None:
        raise CoalitionError(refusal.code, refusal.detail)
    return views.card_out(number, view, services.book)


@get(
    "/cards/{card:str}/history",
    opt=_READS,
    tags=["Members and cards"],
    summary="A card's movements, newest first",
    description="A merchant sees its own movements, the house all of them. A card that was "
    "replaced shows none: 409 card_not_active.",
    responses=reads(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE),
)
async def get_history(
    request: ApiRequest, card: FromPath[str], limit: Limit = LIMIT, cursor: Cursor = None
) -> views.HistoryPage:
    services, caller = request.services, request.caller
    number, before_no = read_card(card), decode_cursor(cursor, _NEWEST)
    async with asking_for(services, caller, number), services.engine.connect() as connection:
        member_id = await store.find_member(connection, number)
        if member_id is None:
            raise cards.unknown_card(number)
        if await read.is_replaced(connection, number):
            detail = f"card {number} was replaced; ask with the one that replaced it"
            raise CoalitionError(Code.CARD_NOT_ACTIVE, detail)
        lines = await read.history(
            connection,
            member_id,
            before_no=before_no,
            merchant_id=None if caller.is_house else caller.merchant_id,
            rows_max=limit + 1,
        )
    shown, more = page_of(lines, limit, lambda one: one.posting_no)
    items = tuple(views.history_out(member_id, line, services.book) for line in shown)
    return views.HistoryPage(items, more)


@post(
    "/cards/{card:str}/replace",
    opt=_CHANGES,
    tags=["Members and cards"],
    summary="Replace a lost or broken card",
    description="A new number; the old one is dead, the points stay. For the merchant that "
    "enrolled the member or issued the number, and the house; one that the house blocked, for the "
    "house alone. An Idempotency-Key is honoured: the request repeated answers the same number.",
    responses=writes(
        Code.UNKNOWN_CARD,
        Code.CARD_NOT_ACTIVE,
        Code.IDEMPOTENCY_KEY_REUSED,
        Code.MERCHANT_SUSPENDED,
    ),
    response_headers=[REPLAYED_HEADER],
    operation_class=MaybeKeyedOperation,
)
async def replace_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> Response[ReplaceOut]:
    services, caller, key = request.services, request.caller, request.idempotency_key
    number = read_card(card)
    check_rate(caller)
    async with asking_for(services, caller, number), services.engine.begin() as connection:
        done = await cards.replace(
            connection,
            number,
            caller.merchant_id,
            services.clock(),
            request_id=None if key is None else request_id(caller.merchant_id, "replace", key),
            body_hash=None if key is None else body_hash(data, card),
            actor=request.actor,
        )
    headers = {REPLAYED: "true"} if done.replayed else None
    return Response(ReplaceOut(card_text(done.card)), headers=headers)


@post(
    "/cards/{card:str}/block",
    opt=_CHANGES,
    status_code=200,
    tags=["Members and cards"],
    summary="Block a card",
    description="No points move with it until it is unblocked. For a merchant that enrolled or "
    "served the member, and the house. Blocking twice is blocking once: it stays its first "
    "blocker's to unblock, unless the house blocks it too.",
    responses=writes(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE, Code.MERCHANT_SUSPENDED),
)
async def block_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> CardStatusOut:
    services, caller = request.services, request.caller
    number = read_card(card)
    check_rate(caller)
    async with asking_for(services, caller, number), services.engine.begin() as connection:
        status = await cards.block(
            connection, number, caller.merchant_id, services.clock(), actor=request.actor
        )
    return CardStatusOut(card_text(number), status)


@post(
    "/cards/{card:str}/unblock",
    opt=_CHANGES,
    status_code=200,
    tags=["Members and cards"],
    summary="Unblock a card",
    description="The card moves points again. For the merchant that blocked it, and the house. "
    "Unblocking an active card changes nothing.",
    responses=writes(Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE, Code.MERCHANT_SUSPENDED),
)
async def unblock_card(
    request: ApiRequest, card: FromPath[str], data: JSONBody[NothingBody]
) -> CardStatusOut:
    services, caller = request.services, request.caller
    number = read_card(card)
    check_rate(caller)
    async with asking_for(services, caller, number), services.engine.begin() as connection:
        status = await cards.unblock(
            connection, number, caller.merchant_id, services.clock(), actor=request.actor
        )
    return CardStatusOut(card_text(number), status)


@post(
    "/cards/{card:str}/pin",
    opt=_CHANGES,
    status_code=200,
    tags=["Members and cards"],
    summary="Set the PIN of a card's member",
    description="The PIN is the member's, whatever card is in use. Terms say with how many points "
    "it is asked for. The first is set by the merchant that enrolled the member, or by the house; "
    "another with the one before as old_pin; and the house resets any. After five wrong attempts "
    "in a row it is locked, for a minute at first and up to a day.",
    responses=writes(
        Code.UNKNOWN_CARD, Code.CARD_NOT_ACTIVE, Code.PIN_REQUIRED, Code.MERCHANT_SUSPENDED
    ),
)
async def set_pin(
    request: ApiRequest, card: FromPath[str], data: Annotated[PinBody, Body(examples=_PINS)]
) -> PinOut:
    services, caller = request.services, request.caller
    number = read_card(card)
    try:
        check_pin(data.pin)
    except ValueError as error:
        raise CoalitionError(Code.INVALID, f"pin: {error}") from None
    check_rate(caller)
    async with asking_for(services, caller, number):
        now, actor = services.clock(), request.actor
        await services.pins.change(caller, number, data.pin, data.old_pin, now, actor=actor)
    return PinOut(card_text(number))


ROUTES = [enrol, get_card, get_history, replace_card, block_card, unblock_card, set_pin]
