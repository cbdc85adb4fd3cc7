"""Routes by which a person says who it is: sign in and out, who am I, set and change a password."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import Body, JSONBody

from coalition.api.answers import utc
from coalition.api.openapi.responses import opens_to_all, reads, writes
from coalition.audit.actor import Actor
from coalition.edge.access import Caller
from coalition.edge.admission import (
    MARK_COOKIE,
    SESSION_COOKIE,
    ApiRequest,
    admit_anyone,
    check_rate,
)
from coalition.edge.throttle import address_of, place_of
from coalition.errors import Code
from coalition.people.tokens import form_token
from coalition.wire.bodies import FinishSetupBody, PasswordBody, SetupBody, SignInBody

_TAGS = ["People"]
_ANYBODY: dict[str, object] = {"scopes": (), "right": None}
# A browser that is known by its mark has tries of its own (people/patience.py).
_MARK_LASTS_S = 180 * 86_400


class SessionOut(msgspec.Struct, frozen=True):
    """Who is signed in. csrf_token goes out as X-CSRF-Token with whatever is no GET."""

    person: str
    role: str
    merchant: str
    rights: tuple[str, ...]
    csrf_token: str
    ends_at: datetime


class SetupOut(msgspec.Struct, frozen=True):
    """A second factor for an authenticator app, as text and as the address that a QR code holds."""

    email: str
    role: str
    code_required: bool
    totp_secret: str
    totp_address: str


class SetUpOut(msgspec.Struct, frozen=True):
    person: str


@post(
    "/session",
    before_request=admit_anyone,
    security=[],
    tags=_TAGS,
    summary="Sign in",
    description="With e-mail and password, and the code of an authenticator app where the person "
    "has one; those who move money have one. Sets the cookie `__Host-session`: 30 minutes idle, 12 "
    "hours at most. Whatever is wrong, the answer is the same. After some wrong ones, 429 says how "
    "long to wait: at this address, not elsewhere.",
    responses=opens_to_all(Code.UNAUTHENTICATED),
)
async def begin_session(request: ApiRequest, data: JSONBody[SignInBody]) -> Response[SessionOut]:
    services = request.services
    signed_in = await services.sign_in.sign_in(
        data.email,
        data.password,
        data.code,
        request.cookies.get(MARK_COOKIE),
        services.clock(),
        address=address_of(request.scope, services.trusted_proxies),
        actor_of=_actor_of(request),
    )
    content = _session(signed_in.caller, signed_in.token, signed_in.ends_at)
    cookies = [
        _cookie(SESSION_COOKIE, signed_in.token, None),
        _cookie(MARK_COOKIE, signed_in.mark.text, _MARK_LASTS_S),
    ]
    return Response(content, cookies=cookies)


@get(
    "/session",
    opt=_ANYBODY,
    tags=_TAGS,
    summary="Who is signed in, and what it may",
    description="The rights are those of the role; the token is the same for the whole session.",
    responses=reads(),
)
async def get_session(request: ApiRequest) -> SessionOut:
    token = request.cookies[SESSION_COOKIE]
    caller, ends_at = await request.services.sign_in.find(token, request.services.clock())
    return _session(caller, token, ends_at)


@delete(
    "/session",
    opt=_ANYBODY,
    tags=_TAGS,
    summary="Sign out",
    description="The session ends, in every process at once.",
    responses=reads(),
)
async def end_session(request: ApiRequest) -> Response[None]:
    services = request.services
    token = request.cookies[SESSION_COOKIE]
    await services.sign_in.sign_out(token, services.clock(), request.actor)
    return Response(None, status_code=204, cookies=[_cookie(SESSION_COOKIE, "", 0)])


@post(
    "/session/password",
    opt=_ANYBODY,
    status_code=204,
    tags=_TAGS,
    summary="Change one's password",
    description="With the one before. Every session of the person ends: sign in again.",
    responses=writes(),
)
async def change_password(request: ApiRequest, data: JSONBody[PasswordBody]) -> None:
    services = request.services
    check_rate(request.caller)
    address = address_of(request.scope, services.trusted_proxies)
    await services.sign_in.change_password(
        request.caller,
        data.old_password,
        data.password,
        services.clock(),
        address,
        request.actor,
    )


@post(
    "/setup",
    before_request=admit_anyone,
    security=[],
    status_code=200,
    tags=_TAGS,
    summary="Begin with a one-time secret",
    description="Whoever was made a person, or given a new way in, has a secret that is good for "
    "three days and once. This answers a second factor for an authenticator app; the password "
    "follows with /v1/setup/finish.",
    responses=opens_to_all(Code.UNAUTHENTICATED),
)
async def begin_setup(request: ApiRequest, data: JSONBody[SetupBody]) -> SetupOut:
    services = request.services
    setup = await services.sign_in.begin_setup(data.setup, services.clock())
    return SetupOut(
        setup.email, setup.role, setup.needs_code, setup.code_secret, setup.code_address
    )


@post(
    "/setup/finish",
    before_request=admit_anyone,
    security=[],
    status_code=200,
    tags=_TAGS,
    summary="Set the password",
    description="12 characters or more. The code that the app shows now confirms the second "
    "factor; a role that moves money needs it, to others it is left free.",
    responses=opens_to_all(Code.UNAUTHENTICATED),
)
async def finish_setup(
    request: ApiRequest, data: Annotated[FinishSetupBody, Body(title="Password")]
) -> SetUpOut:
    services = request.services
    person_id = await services.sign_in.finish_setup(
        data.setup, data.password, data.code, services.clock(), _actor_of(request)
    )
    return SetUpOut(person_id)


def _actor_of(request: ApiRequest) -> Callable[[str], Actor]:
    services = request.services
    place = place_of(request.scope, services.trusted_proxies)
    return lambda name: Actor(name, place, services.alerts.tell_act)


def _session(caller: Caller, token: str, ends_at: datetime) -> SessionOut:
    rights = tuple(sorted(caller.rights or ()))
    return SessionOut(
        caller.key_id, caller.role, caller.code, rights, form_token(token), utc(ends_at)
    )


def _cookie(name: str, value: str, lasts_s: int | None) -> Cookie:
    # Lax: a link from a mail still finds who is signed in; what changes something needs the token.
    return Cookie(
        name, value=value, path="/", secure=True, httponly=True, samesite="lax", max_age=lasts_s
    )


ROUTES = [begin_session, get_session, end_session, change_password, begin_setup, finish_setup]
