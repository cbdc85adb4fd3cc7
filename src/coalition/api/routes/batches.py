"""Routes of files: send one, see how far it is, read what became of its rows.

The file goes from the wire to the disk as it comes; posting its rows is batches/services.py.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import msgspec
from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition import turns
from coalition.api.openapi.responses import reads, writes
from coalition.batches import store
from coalition.batches.names import read_batch_id, spelt
from coalition.batches.results import unpack
from coalition.batches.spool import FILE_BYTES_MAX, Intake, too_large
from coalition.batches.store import Batch, Format, Status
from coalition.batches.uploads import NoPlaceError, Pace
from coalition.edge.admission import (
    BODY_TIMEOUT_S,
    BROKEN_OFF,
    ApiRequest,
    check_rate,
    identify,
)
from coalition.edge.problems import RetryLaterError
from coalition.errors import CoalitionError, Code
from coalition.terms.standing import check_not_suspended
from coalition.turns import Turn
from coalition.wire.bodies import NothingBody

_OPT = {"scopes": ("earn", "burn"), "right": "batches"}
_TAGS = ["Bulk"]
_FORMATS: dict[str, Format] = {"application/x-ndjson": "ndjson", "text/csv": "csv"}
_RETRY_AFTER_S = 30
# Rows of results that are sent together.
_SENT_ROWS = 200


class BatchOut(msgspec.Struct, frozen=True):
    batch_id: str
    status: Status


class BatchViewOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a file is. rows are those that have a result; reason says why a batch failed."""

    batch_id: str
    status: Status
    rows: int
    posted: int
    replayed: int
    refused: int
    reason: str | None = None


@post(
    "/batches",
    opt=_OPT,
    status_code=202,
    # The body is a file: it is neither JSON nor bounded like one.
    before_request=identify,
    request_max_body_size=None,
    tags=_TAGS,
    summary="Send a file of earns, burns and reversals",
    description="application/x-ndjson, or text/csv with a header; a row is a line of at most "
    '64 KiB: `{"op": "earn"|"burn"|"reverse_earn"|"reverse_burn", "key", ...}` and the fields of '
    "the request it stands for; a reversal has earn_id or burn_id, or card and reference. key is "
    "the row's "
    "Idempotency-Key, shared with the requests over HTTP. At most 256 MiB and 5 million rows. "
    "CSV is UTF-8, its cells separated by commas, semicolons or tabs; items, and a take that is no "
    "word, are JSON in a cell, hold is true or false. Blank rows are left out. "
    "A row needs the scope of its op. At most 20 files of a merchant are sent, wait or are posted "
    "at once, and none comes slower than 8 KiB a second for half a minute; merchants take turns. "
    "A row spends what a request does of its key's rate: the file is slowed, nothing is refused. "
    "A merchant that is suspended sends no files.",
    responses=writes(Code.MERCHANT_SUSPENDED),
)
async def post_batch(request: ApiRequest) -> BatchOut:
    services, caller = request.services, request.caller
    format_ = _format(request)
    check_rate(caller)
    async with services.engine.connect() as connection:
        await check_not_suspended(connection, caller.merchant_id)
    batch_id, uploads = uuid4(), services.batches.uploads
    try:
        await uploads.take(batch_id, caller.merchant_id)
    except NoPlaceError as error:
        raise RetryLaterError(error.code, error.detail, _RETRY_AFTER_S) from None
    try:
        await _keep(request, batch_id, format_)
    finally:
        await uploads.release(batch_id)
    services.batches.wake()
    return BatchOut(spelt(batch_id), "running")


async def _keep(request: ApiRequest, batch_id: UUID, format_: Format) -> None:
    """Take the file in and have it recorded, or leave nothing of it."""
    services, caller = request.services, request.caller
    with services.batches.create(batch_id) as file:
        try:
            intake = Intake(file)
            await _take_in(request, batch_id, intake)
            owner = caller.merchant_id, caller.scopes, caller.actor
            await services.batches.admit(batch_id, file, intake, format_, *owner)
        except BaseException:
            services.batches.drop(batch_id)
            raise


def _format(request: ApiRequest) -> Format:
    format_ = _FORMATS.get(request.content_type[0].lower())
    if format_ is None:
        right = " or ".join(_FORMATS)
        raise CoalitionError(Code.INVALID, f"Content-Type: send the file as {right}")
    return format_


async def _take_in(request: ApiRequest, batch_id: UUID, intake: Intake) -> None:
    """The body into the spool file.

    Raises too_large, and malformed where it breaks off or comes too slowly.
    """
    announced = request.content_length
    if announced is not None and announced > FILE_BYTES_MAX:
        raise too_large()
    pieces, pace = aiter(request.stream()), Pace(turns.monotonic_s())
    while (piece := await _next_piece(pieces)) is not None:
        pace.note(len(piece), turns.monotonic_s())
        intake.write(piece)
        await request.services.batches.uploads.keep(batch_id)
    if announced is not None and intake.size_bytes != announced:
        detail = f"the file has {intake.size_bytes} bytes, and Content-Length says {announced}"
        raise CoalitionError(Code.MALFORMED, detail)


async def _next_piece(pieces: AsyncIterator[bytes]) -> bytes | None:
    """None at the end. A large file takes its time, but not between two pieces."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await anext(pieces, None)
    except TimeoutError:
        detail = f"nothing more of the file came within {BODY_TIMEOUT_S:g} s: send it again"
    except BROKEN_OFF:
        detail = "the file broke off: send it again"
    raise CoalitionError(Code.MALFORMED, detail)


@get(
    "/batches/{batch_id:str}",
    opt=_OPT,
    tags=_TAGS,
    summary="How far a file is",
    description="rows are those with a result. A failed one says why, and may be sent again: rows "
    "that are posted are replayed. A file fails where its key is revoked, or its merchant "
    "suspended, while it is posted.",
    responses=reads(Code.NOT_FOUND),
)
async def get_batch(request: ApiRequest, batch_id: FromPath[str]) -> BatchViewOut:
    return _view(await _own(request, batch_id))


@post(
    "/batches/{batch_id:str}/cancel",
    opt=_OPT,
    status_code=200,
    tags=_TAGS,
    summary="Stop a file that waits or is being posted",
    description="For good: it is then failed, with the reason cancelled. Rows that are posted stay "
    "posted, the group that is being posted too, and may be reversed one by one. Cancelling twice "
    "is cancelling once; a file that is over stays as it is.",
    responses=writes(Code.NOT_FOUND),
)
async def cancel_batch(
    request: ApiRequest, batch_id: FromPath[str], data: JSONBody[NothingBody]
) -> BatchViewOut:
    check_rate(request.caller)
    batch = await _own(request, batch_id)
    return _view(await request.services.batches.cancel(batch.batch_id, request.actor))


def _view(batch: Batch) -> BatchViewOut:
    return BatchViewOut(
        batch_id=spelt(batch.batch_id),
        status=batch.status,
        rows=batch.row_count,
        posted=batch.posted,
        replayed=batch.replayed,
        refused=batch.refused,
        reason=batch.reason,
    )


@get(
    "/batches/{batch_id:str}/results",
    opt=_OPT,
    media_type="application/x-ndjson",
    tags=_TAGS,
    summary="What became of each row",
    description='A line a row, in order: `{"row", "status": "posted"|"replayed"|"refused", '
    '"code"?, "detail"?, "id"?, "points"?, "key"?}`. While the batch runs: the rows so far.',
    responses={**reads(Code.NOT_FOUND), 200: ResponseSpec(str, generate_examples=False)},
)
async def get_results(request: ApiRequest, batch_id: FromPath[str]) -> Stream:
    batch = await _own(request, batch_id)
    lines = _results(request.services.engine, batch.batch_id)
    return Stream(lines, media_type="application/x-ndjson")


async def _results(engine: AsyncEngine, batch_id: UUID) -> AsyncIterator[bytes]:
    encoder, turn = msgspec.json.Encoder(), Turn()
    async for first_row, packed in store.chunks(engine, batch_id):
        lines: list[bytes] = []
        for result in unpack(first_row, packed):
            lines.append(encoder.encode(result) + b"\n")
            if len(lines) == _SENT_ROWS:
                yield b"".join(lines)
                lines.clear()
            if turn.is_over:
                await turn.give_way()
        if lines:
            yield b"".join(lines)


async def _own(request: ApiRequest, text: str) -> Batch:
    """The caller's batch of this id. Raises not_found, whether there is none or another's."""
    caller = request.caller
    batch_id, batch = read_batch_id(text), None
    if batch_id is not None:
        async with request.services.engine.connect() as connection:
            batch = await store.find(connection, batch_id)
    if batch is None or not (batch.merchant_id == caller.merchant_id or caller.is_house):
        raise CoalitionError(Code.NOT_FOUND, "There is no such batch.")
    return batch


ROUTES = [post_batch, get_batch, cancel_batch, get_results]
