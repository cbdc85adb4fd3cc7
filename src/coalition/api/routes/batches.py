"""Routes of files: send one, see how far it is, read what became of its rows.

The file goes from the wire to the disk as it comes; posting its rows is batches/services.py.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import msgspec
from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.api.openapi.responses import reads, writes
from coalition.batches import store
from coalition.batches.results import unpack
from coalition.batches.spool import FILE_BYTES_MAX, Intake, too_large
from coalition.batches.store import Batch, Format, Status
from coalition.edge.admission import (
    BODY_TIMEOUT_S,
    BROKEN_OFF,
    ApiRequest,
    check_rate,
    identify,
)
from coalition.edge.problems import RetryLaterError
from coalition.errors import CoalitionError, Code

_OPT = {"scopes": ("earn", "burn")}
_TAGS = ["Bulk"]
_FORMATS: dict[str, Format] = {"application/x-ndjson": "ndjson", "text/csv": "csv"}
# Files of one merchant that wait; more would only fill the disk.
RUNNING_MAX = 20
_RETRY_AFTER_S = 30
_PREFIX = "bat_"
# Rows of results spelt out before the event loop is free again.
_TURN_ROWS = 200


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
    "A row needs the scope of its op.",
    responses=writes(),
)
async def post_batch(request: ApiRequest) -> BatchOut:
    services, caller = request.services, request.caller
    format_ = _format(request)
    check_rate(caller)
    await _check_waiting(services.engine, caller.merchant_id)
    batch_id = uuid4()
    with services.batches.create(batch_id) as file:
        try:
            intake = Intake(file)
            await _take_in(request, intake)
            await services.batches.admit(
                batch_id,
                file,
                intake,
                format_,
                caller.merchant_id,
                caller.scopes,
                caller.actor,
            )
        except BaseException:
            services.batches.drop(batch_id)
            raise
    services.batches.wake()
    return BatchOut(_PREFIX + batch_id.hex, "running")


def _format(request: ApiRequest) -> Format:
    format_ = _FORMATS.get(request.content_type[0].lower())
    if format_ is None:
        right = " or ".join(_FORMATS)
        raise CoalitionError(Code.INVALID, f"Content-Type: send the file as {right}")
    return format_


async def _check_waiting(engine: AsyncEngine, merchant_id: int) -> None:
    async with engine.connect() as connection:
        waiting = await store.count_running(connection, merchant_id)
    if waiting >= RUNNING_MAX:
        detail = f"{waiting} of your files wait to be posted; send the next when one is done"
        raise RetryLaterError(Code.TOO_MANY_REQUESTS, detail, _RETRY_AFTER_S)


async def _take_in(request: ApiRequest, intake: Intake) -> None:
    """The body into the spool file. Raises too_large, and malformed where it breaks off."""
    announced = request.content_length
    if announced is not None and announced > FILE_BYTES_MAX:
        raise too_large()
    pieces = aiter(request.stream())
    while (piece := await _next_piece(pieces)) is not None:
        intake.write(piece)
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
    description="rows are those with a result. A failed one says why, and may be sent again.",
    responses=reads(Code.NOT_FOUND),
)
async def get_batch(request: ApiRequest, batch_id: FromPath[str]) -> BatchViewOut:
    batch = await _own(request, batch_id)
    return BatchViewOut(
        batch_id=_PREFIX + batch.batch_id.hex,
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
    encoder = msgspec.json.Encoder()
    async for first_row, packed in store.chunks(engine, batch_id):
        turn: list[bytes] = []
        for result in unpack(first_row, packed):
            turn.append(encoder.encode(result) + b"\n")
            if len(turn) == _TURN_ROWS:
                yield b"".join(turn)
                turn.clear()
                await asyncio.sleep(0)
        if turn:
            yield b"".join(turn)


async def _own(request: ApiRequest, text: str) -> Batch:
    """The caller's batch of this id. Raises not_found, whether there is none or another's."""
    caller = request.caller
    digits = text.removeprefix(_PREFIX)
    batch = None
    if text.startswith(_PREFIX) and len(digits) == 32 and digits.isalnum():
        try:
            batch_id = UUID(hex=digits)
        except ValueError:
            batch_id = None
        if batch_id is not None and batch_id.hex == digits:
            async with request.services.engine.connect() as connection:
                batch = await store.find(connection, batch_id)
    if batch is None or not (batch.merchant_id == caller.merchant_id or caller.is_house):
        raise CoalitionError(Code.NOT_FOUND, "There is no such batch.")
    return batch


ROUTES = [post_batch, get_batch, get_results]
