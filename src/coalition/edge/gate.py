"""The first to see a request and the last to see its answer, whichever way leads on from here.

A head that two readers may read differently is refused; an address without a right key asks no
faster than throttle.py lets it; and every answer says that it is for nobody else to keep.
"""

import re
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from coalition.edge.admission import CALLER, MARK_COOKIE, SESSION_COOKIE
from coalition.edge.problems import RetryLaterError, on_coalition_error
from coalition.edge.services import Services
from coalition.edge.throttle import address_of
from coalition.errors import CoalitionError, Code

# For load balancers, which ask as often as they like.
_HEALTH = ("/healthz", "/readyz")
_KEYED = "/v1/"
_ON_EVERY_ANSWER = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # Else the web server would write its own name.
    (b"server", b"api"),
]
# RFC 9110, section 7.2: a name, or an IPv6 address in brackets, and perhaps a port.
_HOST = re.compile(rb"([0-9A-Za-z._~!$&'()*+,;=%-]+|\[[0-9A-Fa-fv.:]+\])(:[0-9]{0,5})?")


class Gate:
    """An ASGI application in front of the till's way in and of the routes."""

    def __init__(self, services: Services, inside: ASGIApp) -> None:
        self._desk = services
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._inside(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_ON_EVERY_ANSWER]
                if 400 <= message["status"] < 500 and message["status"] != 429:
                    self._note_refusal(scope)
            await send(message)

        try:
            _check_head(scope)
            self._check_address(scope)
        except CoalitionError as error:
            request: Request[Any, Any, Any] = Request(scope)
            response = on_coalition_error(request, error).to_asgi_response(None, request)
            await response(scope, receive, send_on)
            return
        await self._inside(scope, receive, send_on)

    def _check_address(self, scope: HTTPScope) -> None:
        """Raise too_many_requests where the address has no more requests without a right key."""
        throttle, path = self._desk.throttle, scope["path"]
        is_open = not path.startswith(_KEYED) and path not in _HEALTH
        if not is_open and (throttle.is_calm or path in _HEALTH):
            return
        address = address_of(scope, self._desk.trusted_proxies)
        wait_s = throttle.wait_s(address)
        if wait_s and (is_open or not (self._knows(_authorization(scope)) or self._saw(scope))):
            detail = "your address asks faster than it may without a key"
            raise RetryLaterError(Code.TOO_MANY_REQUESTS, detail, wait_s)
        if is_open:
            throttle.spend(address)

    def _knows(self, authorization: str | None) -> bool:
        """Whether this is a right key, of the live or of the test coalition, as far as is known."""
        found = (self._desk.access, self._desk.test_access)
        return any(access is not None and access.knows(authorization) for access in found)

    def _saw(self, scope: HTTPScope) -> bool:
        """Whether somebody signed in with this browser."""
        cookies = Request[Any, Any, Any](scope).cookies
        found = cookies.get(SESSION_COOKIE), cookies.get(MARK_COOKIE)
        return self._desk.sign_in.knows(*found)

    def _note_refusal(self, scope: HTTPScope) -> None:
        """Count what was refused before anybody knew who asks, whatever was wrong with it."""
        if scope["path"].startswith(_KEYED) and CALLER not in scope["state"]:
            self._desk.throttle.spend(address_of(scope, self._desk.trusted_proxies))


def _check_head(scope: HTTPScope) -> None:
    """Raise malformed where whoever stands between may read the head otherwise than we do."""
    hosts = 0
    is_chunked = has_length = False
    for name, value in scope["headers"]:
        if name == b"host":
            hosts += 1
            if _HOST.fullmatch(value) is None:
                raise _malformed("Host: send the name of this server, such as api.example")
        elif name == b"transfer-encoding":
            if is_chunked or value.strip(b" \t").lower() != b"chunked":
                raise _malformed("Transfer-Encoding: send the body as it is, or chunked once")
            is_chunked = True
        elif name == b"content-length":
            has_length = True
    # HTTP/1.0, which some load balancers still speak, did not ask for it.
    if hosts > 1 or (not hosts and scope["http_version"] != "1.0"):
        raise _malformed(f"Host: send it once, not {hosts} times")
    if is_chunked and has_length:
        raise _malformed("send Content-Length or Transfer-Encoding, not both")


def _authorization(scope: HTTPScope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value.decode("latin-1")
    return None


def _malformed(detail: str) -> CoalitionError:
    return CoalitionError(Code.MALFORMED, detail)
