"""The order in which a request is looked at, which is the order of its errors.

Well-formed body (malformed, too_large), key (unauthenticated), scope (scope_missing), key of the
request (idempotency_key_missing); only then are the fields read (invalid) and is anything done.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException

from coalition.audit.actor import Actor
from coalition.edge.access import Caller
from coalition.edge.cursors import LIMIT_MAX
from coalition.edge.problems import RetryLaterError
from coalition.edge.sandbox import services_for
from coalition.edge.services import Services
from coalition.edge.throttle import place_of
from coalition.errors import CoalitionError, Code, shown
from coalition.people.rights import Right
from coalition.people.tokens import is_form_token
from coalition.wire.keys import is_key
from coalition.wire.syntax import check_syntax, decode, may_be_empty

# A till sends its body in one piece; whoever trickles it only holds a place.
BODY_TIMEOUT_S = 10.0
# What reading a body raises where the client left, or sent chunks that are none: the framework's
# word for it, and the server's.
BROKEN_OFF = (InternalServerException, OSError, RuntimeError)
# Headers that may stand there once.
ONCE = ("authorization", "idempotency-key", "content-encoding")

# What stands in a request's state: who asks, for the gate once it is known and for the routes where
# the till's way in knew it; of whose services; and by when, on the loop's clock, the body has to be
# there.
CALLER, SERVICES, BODY_BY_S = "caller", "services", "body_by_s"

# What holds who is signed in: this host's alone, over TLS alone, and no script's.
SESSION_COOKIE, MARK_COOKIE = "__Host-session", "__Host-known"
# What comes beside it with whatever changes something, since a browser sends cookies for anybody.
FORM_HEADER = "x-csrf-token"
_SAFE = ("GET", "HEAD", "OPTIONS")

T = TypeVar("T")


class ApiRequest(Request[Any, Any, State]):
    """A request whose body is decoded strictly by the handler's own `data`, and who sent it."""

    caller: Caller
    idempotency_key: str | None = None
    _checked: bytes | None = None
    _decoded: Any = None

    @property
    def services(self) -> Services:
        """Of the coalition that the request's key belongs to, once that is known."""
        services = self.scope["state"].get(SERVICES) or self.app.state["services"]
        assert isinstance(services, Services)
        return services

    @property
    def actor(self) -> Actor:
        """Who asks and from where, for the audit."""
        services = self.services
        place = place_of(self.scope, services.trusted_proxies)
        return Actor(self.caller.actor, place, services.alerts.tell_act)

    async def body(self) -> bytes:
        """The body, checked to be one JSON object. Absent is {} where no field is required.

        Content-Type is not asked: absent, or what a form would say, which is how curl -d labels
        whatever it sends, it is JSON that every body here must be.
        """
        if self._checked is None:
            body = await in_time(super().body(), self.scope["state"].get(BODY_BY_S))
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


async def in_time(reading: Awaitable[T], by_s: float | None = None) -> T:
    """What reading a body gives. Raises malformed where it comes too slowly, or breaks off.

    by_s: by when, on the loop's clock; None: BODY_TIMEOUT_S from now.
    """
    if by_s is None:
        by_s = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
    try:
        async with asyncio.timeout_at(by_s):
            return await reading
    except TimeoutError:
        detail = f"the body did not come whole within {BODY_TIMEOUT_S:g} s"
    except BROKEN_OFF:
        detail = "the body broke off before its end, or its chunks are not as HTTP has them"
    raise CoalitionError(Code.MALFORMED, detail)


async def admit(request: Request[Any, Any, Any]) -> None:
    """What every /v1 request passes before its handler; see the module for the order."""
    assert isinstance(request, ApiRequest), "the router's request_class"
    if request.method == "OPTIONS":
        # What a path serves is in /schema for everyone; Litestar answers it.
        return
    _check_headers(request)
    if request.method == "POST":
        await request.body()
    await _identify(request)


async def admit_anyone(request: Request[Any, Any, Any]) -> None:
    """What admit() does but for who asks, for a route by which somebody says who it is."""
    assert isinstance(request, ApiRequest), "the router's request_class"
    _check_headers(request)
    if request.method == "POST":
        await request.body()
    _check_site(request)


async def identify(request: Request[Any, Any, Any]) -> None:
    """What admit() does but for the body, for a route whose body is a file."""
    assert isinstance(request, ApiRequest), "the router's request_class"
    _check_headers(request)
    await _identify(request)


async def _identify(request: ApiRequest) -> None:
    caller = request.scope["state"].get(CALLER) or await _who_asks(request)
    opt = request.route_handler.opt
    _check_may(caller, opt["scopes"], opt["right"])
    request.caller = caller
    if caller.merchant_id not in request.services.book.codes:
        # Synced and given a key since this process last looked.
        await request.services.ledger.refresh()
    is_look = "previews" in opt and is_preview(request)
    needs_key = opt.get("key") == "required" and not is_look
    request.idempotency_key = _idempotency_key(request, needed=needs_key)
    if "previews" not in opt and "preview" in request.query_params:
        # Whoever wants a look must not find that it was done.
        raise CoalitionError(Code.INVALID, "preview: only an earn can be looked at; leave it out")
    if request.method == "GET":
        _check_query(request)
        check_rate(caller)


def is_preview(request: ApiRequest) -> bool:
    """Whether only a look is asked for, which needs no key: nothing is written."""
    return bool(request.query_params.get("preview") == "true")


async def _who_asks(request: ApiRequest) -> Caller:
    """The key's owner, or who is signed in where no key is sent. Raises unauthenticated."""
    state, live = request.scope["state"], request.app.state["services"]
    authorization = request.headers.get("authorization")
    token = request.cookies.get(SESSION_COOKIE) if authorization is None else None
    if token is None:
        services = state[SERVICES] = await services_for(authorization, live)
        caller: Caller = await services.access.authenticate(authorization)
    else:
        state[SERVICES] = live
        signed_in, _ = await live.sign_in.find(token, live.clock())
        over_rate_s = live.access.allowance.take(signed_in.key_id)
        caller = replace(signed_in, over_rate_s=over_rate_s)
        sent = request.headers.get(FORM_HEADER, "")
        _check_site(request)
        if request.method not in _SAFE and not is_form_token(token, sent):
            raise CoalitionError(
                Code.UNAUTHENTICATED, f"send {FORM_HEADER.title()} as the session's beginning told"
            )
    state[CALLER] = caller
    return caller


def _check_site(request: ApiRequest) -> None:
    """Raise unauthenticated for what a browser says that another site had it send.

    Else that site could sign somebody in as whom it likes, which no token is there against yet.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if request.method not in _SAFE and site not in ("none", "same-origin"):
        raise CoalitionError(Code.UNAUTHENTICATED, "another site sent this: ask from our own pages")


def _check_may(caller: Caller, scopes: tuple[str, ...], right: Right | None) -> None:
    """Raise scope_missing where key or person may not; right None: whoever is signed in may."""
    if caller.rights is not None:
        if right is not None and right not in caller.rights:
            raise CoalitionError(
                Code.SCOPE_MISSING, f"the role {caller.role} has no right to this ({right})"
            )
    elif not scopes:
        raise CoalitionError(Code.SCOPE_MISSING, "this is for a person who is signed in, not a key")
    elif not any(caller.may(scope) for scope in scopes):
        needed = " or ".join(scopes)
        raise CoalitionError(Code.SCOPE_MISSING, f"this key lacks the scope {needed}")


def _check_headers(request: ApiRequest) -> None:
    """Raise malformed for a body that is packed, and for a header that stands twice."""
    for name in ONCE:
        # Whoever stands between may read the one, and we the other.
        if len(request.headers.getall(name, ())) > 1:
            raise CoalitionError(Code.MALFORMED, f"{name.title()}: send it once")
    encoding = request.headers.get("content-encoding", "").strip(" \t").lower()
    if encoding not in ("", "identity"):
        detail = f"Content-Encoding: send the body as it is, not in {shown(encoding)!r}"
        raise CoalitionError(Code.MALFORMED, detail)


def _check_query(request: ApiRequest) -> None:
    """Raise invalid for a list's parameter that is none of its own, twice there, or no number."""
    known = request.route_handler.parsed_fn_signature.parameters.keys() & {"limit", "cursor"}
    if not known or not request.scope["query_string"]:
        return
    asked = request.query_params
    for name in asked:
        if name not in known:
            names = " and ".join(sorted(known, reverse=True))
            raise CoalitionError(Code.INVALID, f"{shown(name)}: a list takes {names} only")
        if len(asked.getall(name)) > 1:
            raise CoalitionError(Code.INVALID, f"{name}: send it once")
    limit = asked.get("limit", "1")
    if not (limit.isascii() and limit.isdigit()):
        raise CoalitionError(Code.INVALID, f"limit: a whole number in digits, 1 to {LIMIT_MAX}")


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
