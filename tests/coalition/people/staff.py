"""Persons for tests: made, set up, and signed in as browsers are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from tests.coalition.api.conftest import PEPPER, World

from coalition.audit.actor import Actor
from coalition.people import codes, store
from coalition.sealing.encryption import Keyring

PASSWORD = "correct horse battery"
RING = Keyring(PEPPER)
SOMEBODY = Actor("command:test", "ann@desk")


@dataclass
class Staff:
    """A person with a password. browser's cookies are sent by hand: they are for TLS alone."""

    world: World
    person_id: str
    email: str
    secret: str | None
    cookie: str = ""
    token: str = ""

    @property
    def actor(self) -> str:
        return f"person:{self.person_id}"

    def code(self) -> str | None:
        """What the app shows now."""
        if self.secret is None:
            return None
        return codes.code_at(self.secret, codes.step_at(self.world.clock.now))

    async def sign_in(self, password: str = PASSWORD) -> httpx.Response:
        """Sign in, half a minute after the code before, and keep the cookie and the token."""
        self.world.clock.pass_(seconds=codes.STEP_S)
        answer = await sign_in(self.world.client, self.email, password, self.code())
        if answer.status_code == 201:
            self.cookie = cookie_of(answer, "__Host-session")
            self.token = answer.json()["csrf_token"]
        return answer

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request by cookie, with the form's token."""
        headers = {"Cookie": f"__Host-session={self.cookie}", "X-CSRF-Token": self.token}
        headers |= more.pop("headers", {})
        return await self.world.client.request(method, path, headers=headers, **more)

    async def get(self, path: str) -> httpx.Response:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.ask("POST", path, json={} if body is None else body, headers=headers)


async def sign_in(
    client: httpx.AsyncClient, email: str, password: str, code: str | None, **headers: str
) -> httpx.Response:
    body = {"email": email, "password": password} | ({"code": code} if code else {})
    return await client.post("/v1/session", json=body, headers=headers)


def cookie_of(answer: httpx.Response, name: str) -> str:
    """What a browser would keep of an answer."""
    for line in answer.headers.get_list("set-cookie"):
        if line.startswith(f"{name}="):
            return str(line.split(";")[0].removeprefix(f"{name}="))
    return ""


async def invite(world: World, role: str, merchant: str, email: str, now: datetime) -> str:
    """Make a person; the one-time secret."""
    async with world.engine.begin() as connection:
        _, setup = await store.create(
            connection,
            RING,
            email=email,
            name=f"{role} of {merchant}",
            role=role,
            merchant=merchant,
            now=now,
            actor=SOMEBODY,
        )
    return setup


async def hire(
    world: World, role: str, merchant: str = "house", *, email: str = "", totp: bool = True
) -> Staff:
    """A person who set a password over HTTP, and is signed in."""
    email = email or f"{role}@{merchant}.example"
    setup = await invite(world, role, merchant, email, world.clock.now)
    begun = (await world.client.post("/v1/setup", json={"setup": setup})).json()
    secret: str | None = begun["totp_secret"] if totp else None
    staff = Staff(world, "", email, secret)
    body = {"setup": setup, "password": PASSWORD} | ({"code": staff.code()} if totp else {})
    done = await world.client.post("/v1/setup/finish", json=body)
    assert done.status_code == 200, done.text
    staff.person_id = done.json()["person"]
    signed_in = await staff.sign_in()
    assert signed_in.status_code == 201, signed_in.text
    return staff
