"""The till's way in: earns and burns that are right, from the server to the ledger directly.

A chain's tills send little else, and the framework's routing, injection and response took most of
such a request's time. Whatever is wrong, or unusual in how it is sent, goes on to the routes, which
read it from its beginning and say what is wrong. What is answered here reads as the routes would
have answered it, which a test holds.
"""

import asyncio
import re
from typing import Any, NamedTuple

import msgspec
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from coalition.api.answers import REPLAYED, burn_out, earn_out
from coalition.api.posting import asker_of, post
from coalition.edge import admission
from coalition.edge.access import Caller
from coalition.edge.admission import BODY_BY_S, CALLER, ONCE, SERVICES, in_time
from coalition.edge.problems import on_any_error
from coalition.edge.sandbox import services_for
from coalition.edge.services import Services
from coalition.errors import CoalitionError
from coalition.ledger.commands import BurnAnswer, Done, EarnAnswer, Refused
from coalition.ledger.commands import Request as Asked
from coalition.terms.book import Book
from coalition.wire.bodies import BurnBody, EarnBody
from coalition.wire.keys import is_key
from coalition.wire.read import Operation, read
from coalition.wire.syntax import BODY_BYTES_MAX, read_right

_CONTENT_TYPE = (b"content-type", b"application/json")
_IS_REPLAYED = (REPLAYED.lower().encode(), b"true")
_AUTHORIZATION, _KEY, _ENCODING = (name.encode() for name in ONCE)
_LENGTH = b"content-length"
_LENGTH_SMALL = re.compile(rb"[0-9]{1,6}")
_NEEDED = {_AUTHORIZATION, _KEY, _LENGTH}
_LOOKED_AT = {*_NEEDED, _ENCODING}
_encoder = msgspec.json.Encoder()


class _Sent(NamedTuple):
    """What a request's headers say."""

    authorization: str
    idempotency_key: str
    content_length: int


class _Asked(NamedTuple):
    """A request that is right, whose caller may ask it, and of whose services."""

    services: Services
    caller: Caller
    operation: Operation
    request: Asked


# What is asked at a path, and the body that it takes.
_OPERATIONS: dict[str, tuple[Operation, type[EarnBody | BurnBody]]] = {
    "/v1/earns": ("earn", EarnBody),
    "/v1/burns": ("burn", BurnBody),
}


class TillLane:
    """An ASGI application in front of the routes."""

    def __init__(self, live: Services, routes: ASGIApp) -> None:
        self._live = live
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = sent = None
        if scope["type"] == ScopeType.HTTP and scope["method"] == "POST":
            operation = _OPERATIONS.get(scope["path"])
            # A query asks for a preview, or for nothing that is known.
            plain = operation is not None and not scope["query_string"]
            sent = _sent(scope) if plain else None
        if operation is None or sent is None:
            await self._routes(scope, receive, send)
            return
        state = scope["state"]
        state[BODY_BY_S] = asyncio.get_running_loop().time() + admission.BODY_TIMEOUT_S
        asked = done = None
        try:
            message = await in_time(receive(), state[BODY_BY_S])
            asked = await self._understand(*operation, sent, message, state)
            if asked is not None:
                done = await post(asked.services, asked.caller, asked.operation, asked.request)
        except Exception as error:
            request: Request[Any, Any, Any] = Request(scope)
            response = on_any_error(request, error)
            await response.to_asgi_response(None, request)(scope, receive, send)
            return
        # Outside of the try: the routes answer their own errors, and nobody answers twice.
        if asked is None or done is None:
            await self._routes(scope, _again(message, receive), send)
        else:
            await _send(send, done, asked.services.book)

    async def _understand(
        self,
        operation: Operation,
        wanted: type[EarnBody | BurnBody],
        sent: _Sent,
        message: Any,
        state: dict[str, Any],
    ) -> _Asked | None:
        """What is asked for; None: the routes have to look at it."""
        content: bytes = message.get("body", b"")
        # The server may say that more is to come where nothing is: the length tells.
        if len(content) != sent.content_length:
            return None
        right = read_right(content, wanted)
        if right is None or _is_unusual(right[0]):
            return None
        services = state[SERVICES] = await services_for(sent.authorization, self._live)
        try:
            caller = state[CALLER] = await services.access.authenticate(sent.authorization)
        except CoalitionError:
            return None
        asker = asker_of(caller, services)
        if not asker.may(operation):
            return None
        asked = read(operation, right[0], sent.idempotency_key, asker)
        if isinstance(asked, Refused):
            return None
        return _Asked(services, caller, operation, asked)


def _is_unusual(body: EarnBody | BurnBody) -> bool:
    """A PIN is compared first, which takes a while; a reward's voucher needs a code."""
    return type(body) is BurnBody and (body.pin is not None or body.reward is not None)


def _sent(scope: HTTPScope) -> _Sent | None:
    """What the headers say, where each is there once and the body is neither packed nor chunked."""
    looked_at = [pair for pair in scope["headers"] if pair[0] in _LOOKED_AT]
    found = dict(looked_at)
    if len(looked_at) != len(_Sent._fields) or found.keys() != _NEEDED:
        return None
    key, length = found[_KEY].decode("latin-1"), found[_LENGTH]
    # The routes refuse a body by its length before it comes.
    if not is_key(key) or not _LENGTH_SMALL.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        return None
    return _Sent(found[_AUTHORIZATION].decode("latin-1"), key, int(length))


def _again(message: Any, receive: Receive) -> Receive:
    """What gives the message once more, and then whatever follows it."""
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return receive_again


async def _send(send: Send, done: Done, book: Book) -> None:
    answer = done.answer
    if isinstance(answer, EarnAnswer):
        content = _encoder.encode(earn_out(answer, book))
    else:
        assert isinstance(answer, BurnAnswer), "what was asked is an earn or a burn"
        content = _encoder.encode(burn_out(answer, book))
    headers = [_CONTENT_TYPE, (b"content-length", str(len(content)).encode())]
    if done.replayed:
        headers.append(_IS_REPLAYED)
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
