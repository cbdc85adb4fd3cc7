"""Routes for whoever runs the program: is it alive, is it ready, what does it count. No key."""

import asyncio
from typing import Any

import msgspec
import structlog
from litestar import Request, Response, get, head
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.api.openapi.pages import front_page
from coalition.api.openapi.responses import opens
from coalition.database import is_current
from coalition.edge.meters import CONTENT_TYPE
from coalition.edge.services import Services
from coalition.failures import in_a_line

log = structlog.get_logger()

_TAGS = ["Operations"]
_CHECK_TIMEOUT_S = 3.0
# Where the look that is under way stands in the application's state.
_LOOKING = "readiness"
_OPEN_WINDOW = text("select exists (select from settlement_window where status = 'open')")


class HealthOut(msgspec.Struct, frozen=True):
    status: str


class ReadyOut(msgspec.Struct, frozen=True):
    """failing: database, migrations or window, the first of them that is not as it must be."""

    status: str
    failing: str | None


@get("/healthz", tags=_TAGS, summary="The process lives")
async def get_health() -> HealthOut:
    return HealthOut("ok")


@get(
    "/readyz",
    tags=_TAGS,
    summary="It can serve",
    description="The database answers, migrations are current, a window is open.",
    responses={
        503: ResponseSpec(ReadyOut, generate_examples=False, description="Not ready; says why")
    },
)
async def get_ready(request: Request[Any, Any, State]) -> Response[ReadyOut]:
    failing = await _failing(request.app.state)
    ready = ReadyOut("ready" if failing is None else "not ready", failing)
    return Response(ready, status_code=200 if failing is None else 503)


async def _failing(state: State) -> str | None:
    """The part that is not as it must be. Who asks while it is looked at shares what is found.

    So that asking for it without end takes one connection of the database, and not all.
    """
    task: asyncio.Task[str | None] | None = state.get(_LOOKING)
    if task is None or task.done():
        task = state[_LOOKING] = asyncio.create_task(_look(state["services"]))
    return await asyncio.shield(task)


async def _look(services: Services) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S), services.engine.connect() as connection:
            return await _part_failing(connection)
    except Exception as error:
        # Whatever it was: a database that cannot be asked is not ready, and the log says why.
        log.warning("database not ready", error=in_a_line(error))
        return "database"


async def _part_failing(connection: AsyncConnection) -> str | None:
    if not await is_current(connection):
        return "migrations"
    return None if await connection.scalar(_OPEN_WINDOW) else "window"


@get(
    "/metrics",
    tags=_TAGS,
    summary="Counts for Prometheus",
    description="This process's own numbers.",
    media_type="text/plain",
    responses=opens(),
)
async def get_metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    services: Services = request.app.state["services"]
    return Response(services.meters.render(), media_type=CONTENT_TYPE)


# Some load balancers look with HEAD.
@head("/healthz", media_type="text/plain", include_in_schema=False)
async def head_health() -> None:
    """As GET, without its body."""


@head("/readyz", include_in_schema=False)
async def head_ready(request: Request[Any, Any, State]) -> Response[None]:
    failing = await _failing(request.app.state)
    return Response(None, status_code=200 if failing is None else 503, media_type="text/plain")


@get("/", media_type="text/html", include_in_schema=False)
async def get_front_page() -> Response[str]:
    return front_page()


ROUTES = [get_front_page, get_health, head_health, get_ready, head_ready, get_metrics]
