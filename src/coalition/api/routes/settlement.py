"""Routes of settlement: windows, closing one, and what it came to. Scope statements or house.

A merchant sees itself: the paths its points or its till stand in, its own position and statement.
"""

import asyncio
import re
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, QueryParameter

from coalition.api import settlement_views as views
from coalition.api.openapi.responses import reads, writes
from coalition.api.proposals import propose_close
from coalition.api.routes.approvals import ProposedOut
from coalition.clearing import service
from coalition.clearing.statements import read_statement
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.cursors import LIMIT, Cursor, Limit, newest_of, slice_of
from coalition.errors import CoalitionError, Code
from coalition.wire.bodies import CloseBody
from settlement.documents import FORMATS, write_document
from settlement.obligation import Result

_OPT = {"scopes": ("statements",), "right": "statements"}
_TAGS = ["Settlement"]
# Begins with a digit, so that it is never a folder such as "..", wherever it comes to stand.
_LABEL = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}")
# Spreadsheets take a CSV file for UTF-8 only where it begins with this mark.
Bom = Annotated[
    bool,
    QueryParameter(
        description="true: the .csv file begins with UTF-8's byte order mark, by which a "
        "spreadsheet knows its encoding. The other formats have none."
    ),
]
_TRY = Example(
    summary="What would it come to, with another price?",
    value={"dry_run": True, "prices": {"telecom->retail": {"burn_price": "0.012"}}},
)
_CLOSE = Example(summary="Close a window whose end has come", value={})


@get(
    "/windows",
    opt=_OPT,
    tags=_TAGS,
    summary="Every window, the newest first",
    description="Exactly one is open, so that it is the first of the first page. Its closes_at is "
    "what the calendar says.",
    responses=reads(),
)
async def get_windows(
    request: ApiRequest, limit: Limit = LIMIT, cursor: Cursor = None
) -> views.WindowPage:
    async with request.services.engine.connect() as connection:
        windows = await service.list_windows(connection)
    shown, more = newest_of(windows, limit, cursor)
    return views.WindowPage(tuple(map(views.window_out, shown)), more)


@post(
    "/windows/{window:str}/close",
    opt={"scopes": ("house",), "right": "windows.close"},
    status_code=200,
    tags=_TAGS,
    summary="Close a window",
    description="Answers its positions; a second close answers the first's. Before its end only "
    'with "early": true, which from the first approver on is a proposal: 202. A dry run computes '
    "and changes nothing.",
    responses={
        202: ResponseSpec(
            ProposedOut, generate_examples=False, description="It needs a second person's approval"
        ),
        **writes(Code.NOT_FOUND),
    },
)
async def close_window(
    request: ApiRequest,
    window: FromPath[str],
    data: Annotated[CloseBody, Body(examples=[_CLOSE, _TRY])],
) -> Response[views.CloseOut]:
    services, label = request.services, _label(request, window)
    check_rate(request.caller)
    if data.early and not data.dry_run and data.prices is None:
        now, actor = services.clock(), request.actor
        approval_id = await propose_close(services.engine, label, now, actor)
        if approval_id is not None:
            proposed: Any = ProposedOut(approval_id)
            return Response(proposed, status_code=202)
    result = await service.close_window(
        services.engine,
        label,
        services.clock(),
        early=data.early,
        dry_run=data.dry_run,
        prices=data.prices,
        actor=request.actor,
    )
    if not data.dry_run:
        await services.ledger.refresh()
    return Response(views.close_out(label, result, is_dry_run=data.dry_run))


@get(
    "/windows/{window:str}/paths",
    opt=_OPT,
    tags=_TAGS,
    summary="Where a window's points went",
    description="A line a path, price and kind; price in major units a point, amount in minor "
    "units. A redeemer reads what it is paid, an origin what it pays.",
    responses=reads(Code.NOT_FOUND),
)
async def get_paths(
    request: ApiRequest, window: FromPath[str], limit: Limit = LIMIT, cursor: Cursor = None
) -> views.PathPage:
    rows = views.paths_out(await _result(request, window), request.caller)
    return views.PathPage(*slice_of(rows, limit, cursor))


@get(
    "/windows/{window:str}/positions",
    opt=_OPT,
    tags=_TAGS,
    summary="Where a window left each party",
    description="In minor units. All of them, the house included, net to 0 in each currency.",
    responses=reads(Code.NOT_FOUND),
)
async def get_positions(
    request: ApiRequest, window: FromPath[str], limit: Limit = LIMIT, cursor: Cursor = None
) -> views.PositionPage:
    rows = views.positions_out(await _result(request, window), request.caller)
    return views.PositionPage(*slice_of(rows, limit, cursor))


@get(
    "/windows/{window:str}/statements/{merchant:str}",
    opt=_OPT,
    tags=_TAGS,
    summary="A merchant's statement",
    description="JSON; with .csv or .xlsx behind the merchant's code, that file. A closed "
    "window's statement is the same, byte for byte, whenever it is asked for: a window keeps the "
    "format it was issued in. Times are the house's, with their offset from UTC.",
    responses=reads(Code.NOT_FOUND),
    media_type="application/json",
)
async def get_statement(
    request: ApiRequest, window: FromPath[str], merchant: FromPath[str], bom: Bom = False
) -> Response[bytes]:
    label = _label(request, window)
    party, dot, suffix = merchant.partition(".")
    ending = suffix if dot else "json"
    is_theirs = request.caller.is_house or party == request.caller.code
    if ending not in FORMATS or not is_theirs:
        raise CoalitionError(Code.NOT_FOUND, "There is no such statement.")
    if bom and not FORMATS[ending].may_have_bom:
        raise CoalitionError(Code.INVALID, f"bom: is for .csv only; leave it out for {ending}")
    async with request.services.engine.connect() as connection:
        statement = await read_statement(connection, label, party)

    # Off the loop: a large statement takes a second, and tills do not wait for it.
    body = await asyncio.to_thread(write_document, statement, ending, bom=bom)
    headers = {}
    if dot:
        headers["Content-Disposition"] = f'attachment; filename="{label}-{merchant}"'
    return Response(body, media_type=FORMATS[ending].media_type, headers=headers)


async def _result(request: ApiRequest, window: str) -> Result:
    async with request.services.engine.connect() as connection:
        return await service.read_result(connection, _label(request, window))


def _label(request: ApiRequest, window: str) -> str:
    if _LABEL.fullmatch(window) is None:
        example = [f" The open one is {one.label}." for one in request.services.book.windows[-1:]]
        raise CoalitionError(Code.NOT_FOUND, "".join(["There is no such window.", *example]))
    return window


ROUTES = [get_windows, close_window, get_paths, get_positions, get_statement]
