"""What goes wrong, as problem documents (RFC 9457): the one table of HTTP statuses.

Which code applies is decided elsewhere; here every exception becomes an answer, and nothing of the
program's insides leaves with it.
"""

import time
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from coalition.errors import CoalitionError, Code, shown
from coalition.failures import in_a_line, in_full
from coalition.ledger.post import ConnectionLostError, SchemaChangedError
from coalition.wire.syntax import BODY_BYTES_MAX

log = structlog.get_logger()

STATUS: dict[Code, int] = {
    Code.MALFORMED: 400,
    Code.TOO_LARGE: 413,
    Code.UNAUTHENTICATED: 401,
    Code.SCOPE_MISSING: 403,
    Code.IDEMPOTENCY_KEY_MISSING: 400,
    Code.INVALID: 422,
    Code.UNKNOWN_CARD: 404,
    Code.NOT_FOUND: 404,
    Code.OUT_OF_STOCK: 409,
    Code.NOT_USABLE: 409,
    Code.APPROVAL_NEEDED: 409,
    Code.OWN_APPROVAL: 403,
    Code.CARD_NOT_ACTIVE: 409,
    Code.PIN_REQUIRED: 403,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.IDEMPOTENCY_IN_FLIGHT: 409,
    Code.ALREADY_REVERSED: 409,
    Code.NOT_HELD: 409,
    Code.NOTHING_EARNED: 422,
    Code.LIMIT_REACHED: 409,
    Code.MERCHANT_SUSPENDED: 409,
    Code.INSUFFICIENT_POINTS: 409,
    Code.TOO_MANY_REQUESTS: 429,
    Code.BUSY: 503,
    Code.INTERNAL: 500,
}
# No answer to a mistake is as long as the mistake, whoever forgot to cut what it says again.
_DETAIL_CHARACTERS_MAX = 500
MEDIA_TYPE = "application/problem+json"
# SQLSTATE classes: connection exception, insufficient resources, operator intervention.
_AWAY = ("08", "53", "57")
_LOST = (
    PoolTimeoutError,
    OSError,
    ConnectionLostError,
    SchemaChangedError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
)


class Problem(msgspec.Struct, frozen=True):
    """An error. Programs branch on `code`; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem(
    code: str, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response[Problem]:
    """A problem document with this code."""
    body = Problem(
        type=f"urn:problem-type:coalition:{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail if len(detail) <= _DETAIL_CHARACTERS_MAX else detail[:_DETAIL_CHARACTERS_MAX],
        code=code,
    )
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


class RetryLaterError(CoalitionError):
    """Too many requests, or too busy. retry_after_s goes out as Retry-After."""

    def __init__(self, code: Code, detail: str, retry_after_s: int) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


AnyRequest = Request[Any, Any, State]


def on_coalition_error(request: AnyRequest, error: CoalitionError) -> Response[Problem]:
    """What the caller can put right, with its code's status."""
    request.app.state["services"].alerts.tell_refusal(error)
    headers = {}
    if error.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="coalition"'
    if isinstance(error, RetryLaterError):
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.code is Code.BUSY:
        headers["Retry-After"] = "1"
    return _answer(request, error.code, STATUS[error.code], error.detail, headers)


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """What Litestar refuses by itself: an unknown path, a wrong method, a bad query parameter."""
    status = error.status_code
    if status == 405:
        detail = f"{shown(request.method)} is not served at {shown(request.url.path)}"
        return _answer(request, "method_not_allowed", 405, detail, dict(error.headers or {}))
    if status == 404:
        return _answer(request, Code.NOT_FOUND, 404, "nothing is served at this path")
    if status == 400 and (extra := getattr(error, "extra", None)):
        return _answer(request, Code.INVALID, STATUS[Code.INVALID], _parameters(extra))
    if status == 413:
        detail = f"the body has more than {BODY_BYTES_MAX} bytes"
        return _answer(request, Code.TOO_LARGE, status, detail)
    if status == 400:
        return _answer(request, Code.MALFORMED, status, error.detail)
    return on_unexpected_error(request, error)


def on_any_error(request: AnyRequest, error: Exception) -> Response[Problem]:
    """What is answered where no route handles the error."""
    if isinstance(error, CoalitionError):
        return on_coalition_error(request, error)
    return on_unexpected_error(request, error)


def on_unexpected_error(request: AnyRequest, error: Exception) -> Response[Problem]:
    """503 for a database that is away or has no connection left; else a mistake of ours, 500."""
    if _is_connection_lost(error):
        _tell_unavailable(request, error)
        detail = "the database cannot be reached right now; try again with the same Idempotency-Key"
        return _answer(request, Code.BUSY, 503, detail, {"Retry-After": "1"})
    log.error("unexpected error", path=_route(request), exception=in_full(error))
    return _answer(request, Code.INTERNAL, 500, "the program failed; the failure is in its log")


def _tell_unavailable(request: AnyRequest, error: Exception) -> None:
    more = request.app.state["services"].outage_lines.due(time.monotonic())
    if more is not None:
        log.error("database unavailable", path=_route(request), error=in_a_line(error), **more)


def _route(request: AnyRequest) -> str:
    """The path as the routes spell it: /v1/cards/{card}. What was asked for may be a card."""
    # The till's way in has no template, and takes two paths only.
    return request.scope.get("path_template") or shown(request.scope["path"])


def _answer(
    request: AnyRequest, code: str, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response[Problem]:
    request.app.state["services"].meters.count_problem(code)
    return problem(code, status, detail, headers)


def _is_connection_lost(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        # The class does not tell. What tells is whether the connection survived; an error without
        # a statement came while connecting.
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        is_away = error.connection_invalidated or error.statement is None
        return is_away or sqlstate.startswith(_AWAY)
    return isinstance(error, _LOST)


def _parameters(extra: object) -> str:
    if not isinstance(extra, list):
        return "a query parameter is not as described"
    found = (one for one in extra if isinstance(one, dict))
    return "; ".join(f"{one.get('key')}: {one.get('message')}" for one in found)
