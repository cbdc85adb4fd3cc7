"""Routes of earns: earn, and reverse an earn."""

from typing import Annotated, Literal

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, QueryParameter

from coalition.api import posting
from coalition.api.answers import (
    EarnOut,
    ReversalOut,
    answered,
    earn_out,
    preview_out,
    reversed_answer,
)
from coalition.api.openapi.responses import REPLAYED_HEADER, KeyedOperation, moves
from coalition.api.posting import ask
from coalition.edge.admission import ApiRequest
from coalition.errors import Code
from coalition.ledger.commands import EarnAnswer
from coalition.wire.bodies import EarnBody, ReverseEarnBody, ReverseEarnCalledBody

_OPT = {"scopes": ("earn",), "key": "required", "right": "earn"}
_PURCHASE = Example(
    summary="A purchase",
    value={
        "card": "9000000000000001",
        "amount": 12_500,
        "currency": "CNY",
        "items": [{"category": "food", "amount": 12_500}],
        "occurred_at": "2026-03-01T09:30:00+08:00",
        "reference": "receipt-4711",
    },
)
_PREVIEW = (
    "true: what the earn would come to, rule by rule. Nothing is written, no Idempotency-Key is "
    "needed, and the answer is 200 with earn_id null."
)
_RETURN = Example(
    summary="Part of the goods",
    value={"card": "9000000000000001", "reference": "receipt-4711", "amount": 2_500},
)


@post(
    "/earns",
    opt=_OPT | {"previews": True},
    tags=["Earn"],
    summary="Earn points",
    description="A purchase by amount or items, an action, or points outright where the terms "
    "allow it. Each rule that gives points makes a lot, and a rule that several pay for one for "
    "each of them. What comes to 0 points is nothing_earned.",
    responses=moves(
        Code.UNKNOWN_CARD,
        Code.CARD_NOT_ACTIVE,
        Code.NOTHING_EARNED,
        Code.LIMIT_REACHED,
        Code.MERCHANT_SUSPENDED,
    )
    | {200: ResponseSpec(EarnOut, generate_examples=False, description="A preview")},
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def post_earn(
    request: ApiRequest,
    data: Annotated[EarnBody, Body(examples=[_PURCHASE])],
    # As the admission reads it: a preview needs no key.
    preview: Annotated[Literal["true", "false"], QueryParameter(description=_PREVIEW)] = "false",
) -> Response[EarnOut]:
    if preview == "true":
        foreseen = await posting.preview(request, data)
        return Response(preview_out(foreseen, request.services.book), status_code=200)
    done = await ask(request, "earn", data)
    assert isinstance(done.answer, EarnAnswer)
    return answered(earn_out(done.answer, request.services.book), done)


@post(
    "/earns/{earn_id:str}/reverse",
    opt=_OPT,
    tags=["Earn"],
    summary="Take an earn's points back",
    description="By points, by the amount of the goods returned, or all of it. What was spent "
    "already is taken from the same origin's other points, then owed.",
    responses=moves(Code.NOT_FOUND, Code.ALREADY_REVERSED),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def reverse_earn(
    request: ApiRequest,
    earn_id: FromPath[str],
    data: Annotated[ReverseEarnBody, Body(examples=[Example(value={"amount": 2_500})])],
) -> Response[ReversalOut]:
    return reversed_answer(await ask(request, "reverse_earn", data, earn_id), request.services.book)


@post(
    "/earns/reverse",
    opt=_OPT,
    tags=["Earn"],
    summary="Take back the points of an earn named by its reference",
    description="As by its id, of the caller's one earn by the card's member that was sent with "
    "this reference. More than one is invalid: reverse by id then.",
    responses=moves(Code.UNKNOWN_CARD, Code.NOT_FOUND, Code.ALREADY_REVERSED),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def reverse_earn_called(
    request: ApiRequest, data: Annotated[ReverseEarnCalledBody, Body(examples=[_RETURN])]
) -> Response[ReversalOut]:
    return reversed_answer(await ask(request, "reverse_earn", data), request.services.book)


ROUTES = [post_earn, reverse_earn, reverse_earn_called]
