"""Routes of earns: earn, and reverse an earn."""

from typing import Annotated

from litestar import Response, post
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath

from coalition.api.answers import EarnOut, ReversalOut, answered, earn_out, reversal_out
from coalition.api.openapi.responses import REPLAYED_HEADER, KeyedOperation, moves
from coalition.api.path_ids import read_target
from coalition.api.posting import ask
from coalition.edge.admission import ApiRequest
from coalition.errors import Code
from coalition.ledger.commands import EarnAnswer, ReversalAnswer, ReverseEarn
from coalition.wire import ids
from coalition.wire.bodies import EarnBody, ReverseEarnBody
from coalition.wire.movements import invalid, read_earn

_OPT = {"scopes": ("earn",), "key": "required"}
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


@post(
    "/earns",
    opt=_OPT,
    tags=["Earn"],
    summary="Earn points",
    description="A purchase by amount or items, or points outright where the terms allow it. "
    "What comes to 0 points is nothing_earned.",
    responses=moves(
        Code.UNKNOWN_CARD,
        Code.CARD_NOT_ACTIVE,
        Code.NOTHING_EARNED,
        Code.LIMIT_REACHED,
        Code.MERCHANT_SUSPENDED,
    ),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def post_earn(
    request: ApiRequest, data: Annotated[EarnBody, Body(examples=[_PURCHASE])]
) -> Response[EarnOut]:
    book, now = request.services.book, request.services.clock()
    command = read_earn(data, book, request.caller.merchant_id, now)
    done = await ask(request, "earn", command, data, now)
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
    if data.points is not None and data.amount is not None:
        raise invalid("points and amount: one of the two, or none for all of it")
    member_id, earn_no = read_target(ids.EARN, earn_id)
    command = ReverseEarn(member_id, earn_no, data.points, data.amount)
    now = request.services.clock()
    done = await ask(request, "reverse_earn", command, data, now, earn_id)
    assert isinstance(done.answer, ReversalAnswer)
    return answered(reversal_out(done.answer, request.services.book), done)


ROUTES = [post_earn, reverse_earn]
