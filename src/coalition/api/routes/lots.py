"""The route of a lot's path: where its points came from, and every movement that took of them."""

from litestar import get
from litestar.params import FromPath

from coalition.api import views
from coalition.api.openapi.responses import reads
from coalition.edge.admission import ApiRequest
from coalition.errors import Code
from coalition.ledger import read
from coalition.wire import ids
from coalition.wire.targets import not_found, read_target


@get(
    "/lots/{lot_id:str}",
    opt={"scopes": ("earn", "burn"), "right": "paths"},
    tags=["Paths"],
    summary="A lot and where its points went",
    description="The caller's own origin only; the house sees every lot.",
    responses=reads(Code.NOT_FOUND),
)
async def get_lot(request: ApiRequest, lot_id: FromPath[str]) -> views.LotViewOut:
    services, caller = request.services, request.caller
    member_id, lot_no = read_target(ids.LOT, lot_id)
    async with services.engine.connect() as connection:
        view = await read.lot_view(connection, member_id, lot_no)
    if view is None or not (caller.is_house or view.origin_id == caller.merchant_id):
        raise not_found(ids.LOT)
    return views.lot_view_out(member_id, lot_no, view, caller, services.book)


ROUTES = [get_lot]
