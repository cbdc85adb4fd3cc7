"""The route of gifts from one member to another."""

from typing import Annotated

from litestar import Response, post
from litestar.openapi.spec import Example
from litestar.params import Body

from coalition.api.answers import TransferOut, answered, transfer_out
from coalition.api.openapi.responses import REPLAYED_HEADER, KeyedOperation, moves
from coalition.api.posting import ask
from coalition.edge.admission import ApiRequest
from coalition.errors import Code
from coalition.ledger.commands import TransferAnswer
from coalition.wire.bodies import TransferBody

_GIFT = Example(
    value={"from_card": "9000000000000001", "to_card": "9000000000000019", "points": 200}
)


@post(
    "/transfers",
    opt={"scopes": ("transfer",), "key": "required", "right": "transfer"},
    tags=["Move between members"],
    summary="Give points to another member",
    description="Origins and expiries go along; nothing is owed for it between merchants. It is "
    "limited as a burn is, and counts as one of the giver's.",
    responses=moves(
        Code.UNKNOWN_CARD,
        Code.CARD_NOT_ACTIVE,
        Code.PIN_REQUIRED,
        Code.LIMIT_REACHED,
        Code.MERCHANT_SUSPENDED,
        Code.INSUFFICIENT_POINTS,
    ),
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def post_transfer(
    request: ApiRequest, data: Annotated[TransferBody, Body(examples=[_GIFT])]
) -> Response[TransferOut]:
    done = await ask(request, "transfer", data)
    assert isinstance(done.answer, TransferAnswer)
    return answered(transfer_out(done.answer, request.services.book), done)


ROUTES = [post_transfer]
