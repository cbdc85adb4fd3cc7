"""The order in which a request is looked at, which is the order of its errors.

Well-formed body (malformed, too_large), key (unauthenticated), scope (scope_missing), key of the
request (idempotency_key_missing); only then are the fields read (invalid) and is anything done.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from coalition.api.access import Caller
from coalition.api.desk import Desk
from coalition.api.idempotency import is_key
from coalition.api.problems import RetryLaterError
from coalition.api.syntax import check_syntax, decode, may_be_empty
from coalition.errors import CoalitionError, Code


class ApiRequest(Request[Any, Any, State]):
    """A request whose body is decoded strictly by the handler's own `data`, and who sent it."""

    caller: Caller
    idempotency_key: str | None = None
    _checked: bytes | None = None
    _decoded: Any = None

    @property
    def desk(self) -> Desk:
        desk = self.app.state["desk"]
        assert isinstance(desk, Desk)
        return desk

    async def body(self) -> bytes:
        """The body, checked to be one JSON object. Absent is {} where no field is required."""
        if self._checked is None:
            body = await super().body()
            if not body and may_be_empty(self._wanted()):
                body = b"{}"
            check_syntax(body)
            self._checked = body
        return self._checked

    async def json(self) -> Any:
        """The body as the struct the handler asks for. Raises invalid with the field's name."""
        if self._decoded is None:
            self._decoded = decode(await self.body(), self._wanted())
        return self._decoded

    def _wanted(self) -> type:
        field = self.route_handler.parsed_data_field
        assert field is not None, "every POST handler says what body it takes"
        wanted: type = field.annotation
        return wanted


async def admit(request: Request[Any, Any, Any]) -> None:
    """What every /v1 request passes before its handler; see the module for the order."""
    assert isinstance(request, ApiRequest), "the router's request_class"
    if request.method == "POST":
        await request.body()
    await identify(request)


async def identify(request: Request[Any, Any, Any]) -> None:
    """What admit() does after the body; a route whose body is a file is passed by this alone."""
    assert isinstance(request, ApiRequest), "the router's request_class"
    caller = await request.desk.access.authenticate(request.headers.get("authorization"))
    opt = request.route_handler.opt
    scopes: tuple[str, ...] = opt["scopes"]
    if not any(caller.may(scope) for scope in scopes):
        needed = " or ".join(scopes)
        raise CoalitionError(Code.SCOPE_MISSING, f"this key lacks the scope {needed}")
    request.caller = caller
    if caller.merchant_id not in request.desk.book.codes:
        # Synced and given a key since this process last looked.
        await request.desk.ledger.refresh()
    request.idempotency_key = _idempotency_key(request, needed=opt.get("key") == "required")
    if request.method == "GET":
        check_rate(caller)


def check_rate(caller: Caller) -> None:
    """Raise too_many_requests where the key asks too fast; a POST's own mistakes come before."""
    if caller.over_rate_s:
        raise RetryLaterError(
            Code.TOO_MANY_REQUESTS, "this key asks faster than it may", caller.over_rate_s
        )


def _idempotency_key(request: ApiRequest, *, needed: bool) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None and not needed:
        return None
    if key is None or not is_key(key):
        raise CoalitionError(
            Code.IDEMPOTENCY_KEY_MISSING,
            "send Idempotency-Key: 1 to 255 visible ASCII characters, a new one a request",
        )
    return key
