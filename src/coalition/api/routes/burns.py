"""Routes of burns: burn or hold, capture, void, reverse, and look at one."""

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, JSONBody

from coalition.api import views
from coalition.api.answers import BurnOut, ReversalOut, answered, burn_out, reversed_answer
from coalition.api.openapi.responses import REPLAYED_HEADER, KeyedOperation, moves, reads
from coalition.api.posting import ask
from coalition.edge.admission import ApiRequest
from coalition.errors import Code
from coalition.ledger import read
from coalition.ledger.commands import BurnAnswer, Done
from coalition.ledger.state import REDEEMED
from coalition.wire import ids
from coalition.wire.bodies import (
    BurnBody,
    NothingBody,
    PartBody,
    ReverseBurnBody,
    ReverseBurnCalledBody,
)
from coalition.wire.targets import not_found, read_target

_OPT = {"scopes": ("burn",), "key": "required", "right": "burn"}
_CARD = "9000000000000001"
_EXAMPLES = [
    Example(summary="Points that expire first", value={"card": _CARD, "points": 500}),
    Example(
        summary="An exact mix, held for 15 minutes",
        value={
            "card": _CARD,
            "points": 1_000,
            "take": {"mix": {"telecom": 500, "retail": 500}},
            "hold": True,
            "hold_seconds": 900,
        },
    ),
    Example(summary="A reward", value={"card": _CARD, "reward": "airtime-50", "quantity": 2}),
]
_PART = [Example(value={"points": 300})]
_RETURN = [Example(value={"card": _CARD, "reference": "receipt-4712", "points": 300})]


@post(
    "/burns",
    opt=_OPT,
    tags=["Burn"],
    summary="Burn points, or hold them",
    description="take says which points: oldest (default), own_first, only one origin, or a mix. "
    "A reward's price says points and take; its vouchers come in the answer. "
    "A hold reserves them until a capture, a void, or its time is over.",
    responses=moves(
        Code.UNKNOWN_CARD,
        Code.OUT_OF_STOCK,
        Code.CARD_NOT_ACTIVE,
        Code.PIN_REQUIRED,
        Code.LIMIT_REACHED,
        Code.MERCHANT_SUSPENDED,
        Code.INSUFFICIENT_POINTS,
    ),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def post_burn(
    request: ApiRequest, data: Annotated[BurnBody, Body(examples=_EXAMPLES)]
) -> Response[BurnOut]:
    return _burned(request, await ask(request, "burn", data))


@post(
    "/burns/{burn_id:str}/capture",
    opt=_OPT,
    status_code=200,
    tags=["Burn"],
    summary="Capture a hold",
    description="Posts the burn in the window that is open now. Fewer points than held: the "
    "newest legs go back. For a merchant that is suspended the house captures.",
    responses=moves(Code.NOT_FOUND, Code.NOT_HELD, Code.MERCHANT_SUSPENDED),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def capture_burn(
    request: ApiRequest, burn_id: FromPath[str], data: Annotated[PartBody, Body(examples=_PART)]
) -> Response[BurnOut]:
    return _burned(request, await ask(request, "capture", data, burn_id))


@post(
    "/burns/{burn_id:str}/void",
    opt=_OPT,
    status_code=200,
    tags=["Burn"],
    summary="Void a hold",
    description="Gives every held point back.",
    responses=moves(Code.NOT_FOUND, Code.NOT_HELD),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def void_burn(
    request: ApiRequest, burn_id: FromPath[str], data: JSONBody[NothingBody]
) -> Response[BurnOut]:
    return _burned(request, await ask(request, "void", data, burn_id))


@post(
    "/burns/{burn_id:str}/reverse",
    opt=_OPT,
    tags=["Burn"],
    summary="Give a burn's points back",
    description="Into the very lots they came from, the leg taken last first. Absent points: all.",
    responses=moves(Code.NOT_FOUND, Code.NOT_USABLE, Code.ALREADY_REVERSED),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def reverse_burn(
    request: ApiRequest,
    burn_id: FromPath[str],
    data: Annotated[ReverseBurnBody, Body(examples=_PART)],
) -> Response[ReversalOut]:
    return reversed_answer(await ask(request, "reverse_burn", data, burn_id), request.services.book)


@post(
    "/burns/reverse",
    opt=_OPT,
    tags=["Burn"],
    summary="Give back the points of a burn named by its reference",
    description="As by its id, of the caller's one burn or hold by the card's member that was sent "
    "with this reference. More than one is invalid: reverse by id then.",
    responses=moves(Code.UNKNOWN_CARD, Code.NOT_FOUND, Code.NOT_USABLE, Code.ALREADY_REVERSED),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def reverse_burn_called(
    request: ApiRequest, data: Annotated[ReverseBurnCalledBody, Body(examples=_RETURN)]
) -> Response[ReversalOut]:
    return reversed_answer(await ask(request, "reverse_burn", data), request.services.book)


@get(
    "/burns/{burn_id:str}",
    opt={"scopes": ("burn",), "right": "paths"},
    tags=["Paths"],
    summary="A burn and its legs",
    description="legs: what is left of it now; one of the caller's own origin says when it was "
    "earned. history: every leg as it was written, with the window in which it is settled.",
    responses=reads(Code.NOT_FOUND),
)
async def get_burn(request: ApiRequest, burn_id: FromPath[str]) -> views.BurnViewOut:
    services, caller = request.services, request.caller
    member_id, burn_no = read_target(ids.BURN, burn_id)
    async with services.engine.connect() as connection:
        view = await read.burn_view(connection, member_id, burn_no, services.clock())
    is_own = view is not None and view.kind in REDEEMED
    is_own = is_own and view is not None and view.redeemer_id == caller.merchant_id
    if view is None or not (is_own or caller.is_house):
        raise not_found(ids.BURN)
    return views.burn_view_out(member_id, burn_no, view, caller, services.book)


def _burned(request: ApiRequest, done: Done) -> Response[BurnOut]:
    assert isinstance(done.answer, BurnAnswer)
    services = request.services
    return answered(burn_out(done.answer, services.book, services.ring), done)


ROUTES = [post_burn, capture_burn, void_burn, reverse_burn, reverse_burn_called, get_burn]
