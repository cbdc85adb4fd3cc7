"""How a person proves who it is: signing in, the session's use, setting and changing a password.

Whatever is wrong with a sign-in, the answer is the same and takes as long: nobody learns whether
there is such an address, or which of password and code was wrong. Comparing a password takes a
tenth of a second and 19 MiB, so it is done by threads of its own, a few at once, outside any
database transaction. How many wrong ones are borne is people/patience.py.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor, of_person
from coalition.edge.access import Caller
from coalition.edge.alerts import RefusedSignInError
from coalition.edge.problems import RetryLaterError
from coalition.errors import CoalitionError, Code
from coalition.people import codes, secret_store, sessions, tokens
from coalition.people.password import check_password, hash_password, is_password
from coalition.people.patience import Patience
from coalition.people.person import read_email
from coalition.people.rights import moves_of, needs_code, rights_of
from coalition.people.secret_store import Proof
from coalition.people.tokens import Mark
from coalition.sealing.encryption import Keyring
from coalition.terms.book import HOUSE_ID

# A thread each would take the processor from the tills.
_AT_ONCE = 2
_WAITING_MAX = 32
# Sessions that were right lately, for the gate; no right is given by it.
_SEEN_MAX = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that began: what its cookie holds, and the mark of the browser."""

    token: str
    mark: Mark
    caller: Caller
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Setup:
    """What whoever sets a password is told: the second factor, and whether it has to have one."""

    email: str
    role: str
    needs_code: bool
    code_secret: str
    code_address: str


class SignIn:
    """One a process. What several must agree on is in the database, but for patience."""

    def __init__(
        self,
        engine: AsyncEngine,
        pepper: bytes,
        ring: Keyring,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._pepper = pepper
        self._ring = ring
        self._patience = Patience(monotonic_s)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._under_way = 0
        self._seen: dict[str, None] = {}

    async def sign_in(
        self,
        email: str,
        password: str,
        code: str | None,
        mark_text: str | None,
        now: datetime,
        *,
        address: str,
        actor_of: Callable[[str], Actor],
    ) -> SignedIn:
        """Begin a session. address: who asks, as it is counted; mark_text: the browser's cookie.

        Raises CoalitionError: unauthenticated, too_many_requests, busy.
        """
        email = _spelt(email)
        person = tokens.digest_of(email)
        mark = tokens.read_mark(self._pepper, mark_text)
        if mark is not None and not tokens.is_mark_of(self._pepper, mark, email):
            mark = None
        spent = self._patience.take(address, person, mark.nonce if mark else None)
        if isinstance(spent, int):
            raise RetryLaterError(
                Code.TOO_MANY_REQUESTS, "too many sign-ins that were wrong; wait a while", spent
            )
        async with self._engine.connect() as connection:
            proof = await secret_store.find_by_email(connection, self._ring, email)
        # Nobody's password is compared as well, so that it takes as long.
        if not await self._is_right(proof, password) or proof is None or proof.hash is None:
            raise _refused()
        async with self._engine.begin() as connection:
            await self._check_code(connection, proof, code, now)
            actor = actor_of(of_person(proof.person_id))
            token = await sessions.begin(connection, proof.person_id, proof.hash, now, actor)
            if token is None:
                raise _refused()
        self._patience.give_back(spent)
        caller, ends_at = await self.find(token, now)
        return SignedIn(token, mark or tokens.new_mark(self._pepper, email), caller, ends_at)

    async def find(self, token: str, now: datetime) -> tuple[Caller, datetime]:
        """Who is signed in by this cookie, and until when. Raises unauthenticated."""
        session = await sessions.find(self._engine, token, now)
        if session is None:
            self._seen.pop(token, None)
            raise RefusedSignInError("the session ended: sign in again")
        if len(self._seen) >= _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[token] = None
        rights = rights_of(session.role, is_house=session.merchant_id == HOUSE_ID)
        caller = Caller(
            session.merchant_id,
            session.merchant,
            moves_of(rights),
            key_id=session.person_id,
            rights=rights,
            role=session.role,
        )
        return caller, session.ends_at

    def knows(self, token: str | None, mark_text: str | None) -> bool:
        """Whether somebody signed in by this session lately, or by this browser ever."""
        if token is not None and token in self._seen:
            return True
        return mark_text is not None and tokens.read_mark(self._pepper, mark_text) is not None

    async def sign_out(self, token: str, now: datetime, actor: Actor) -> None:
        self._seen.pop(token, None)
        async with self._engine.begin() as connection:
            await sessions.end(connection, token, now, actor)

    async def begin_setup(self, setup: str, now: datetime) -> Setup:
        """A second factor for whoever was given this one-time secret; asked again, another one.

        Raises CoalitionError, unauthenticated.
        """
        secret = codes.new_secret()
        async with self._engine.begin() as connection:
            proof = await secret_store.find_by_setup(connection, self._ring, setup, now)
            await secret_store.prepare_code(connection, self._ring, proof, setup, secret)
        address = codes.address_of(secret, proof.email)
        return Setup(proof.email, proof.role, needs_code(proof.role), secret, address)

    @staticmethod
    def code_now(setup: Setup, now: datetime) -> str:
        """What the app shows, for whoever sets a password without one at hand."""
        return codes.code_at(setup.code_secret, codes.step_at(now))

    async def finish_setup(
        self,
        setup: str,
        password: str,
        code: str | None,
        now: datetime,
        actor_of: Callable[[str], Actor],
    ) -> str:
        """Set the password and, where a code confirms it, the second factor; the person's id.

        Raises CoalitionError: unauthenticated, invalid (the password will not do, or the code is
        missing where the role needs one, or wrong), busy.
        """
        async with self._engine.connect() as connection:
            proof = await secret_store.find_by_setup(connection, self._ring, setup, now)
        check_password(password, proof.email)
        step = self._confirmed(proof, code, now)
        hash_ = await self._hashed(proof, password)
        actor = actor_of(of_person(proof.person_id))
        async with self._engine.begin() as connection:
            await secret_store.finish(
                connection, proof, setup, hash_, step=step, now=now, actor=actor
            )
        return proof.person_id

    async def change_password(
        self, caller: Caller, old: str, new: str, now: datetime, address: str, actor: Actor
    ) -> None:
        """Set another password with the one before; every session of the person ends.

        Raises CoalitionError: unauthenticated, invalid, too_many_requests, busy.
        """
        async with self._engine.connect() as connection:
            proof = await secret_store.find_by_id(connection, self._ring, caller.key_id)
        if proof is None:
            raise _refused()
        check_password(new, proof.email)
        spent = self._patience.take(address, tokens.digest_of(proof.email), caller.key_id)
        if isinstance(spent, int):
            raise RetryLaterError(Code.TOO_MANY_REQUESTS, "too many wrong passwords", spent)
        if not await self._is_right(proof, old):
            raise CoalitionError(Code.INVALID, "old_password: it is not your password")
        self._patience.give_back(spent)
        hash_ = await self._hashed(proof, new)
        async with self._engine.begin() as connection:
            if not await secret_store.change_password(connection, proof, hash_, now, actor):
                raise CoalitionError(Code.INVALID, "old_password: it was changed meanwhile")

    def _confirmed(self, proof: Proof, code: str | None, now: datetime) -> int | None:
        if code is None:
            if needs_code(proof.role):
                raise CoalitionError(
                    Code.INVALID, f"code: a {proof.role} signs in with a second factor; confirm it"
                )
            return None
        step = None if proof.secret is None else codes.step_of(proof.secret, code, now, None)
        if step is None:
            raise CoalitionError(
                Code.INVALID, "code: it is not the one that the app shows now; check its clock"
            )
        return step

    async def _check_code(
        self, connection: AsyncConnection, proof: Proof, code: str | None, now: datetime
    ) -> None:
        if proof.secret is None:
            if needs_code(proof.role):
                raise _refused()
            return
        if code is None or not await secret_store.take_code(connection, proof, code, now):
            raise _refused()

    async def _is_right(self, proof: Proof | None, password: str) -> bool:
        pepper = self._pepper
        person_id, kept = (proof.person_id, proof.hash) if proof else (None, None)
        return await self._apart(lambda: is_password(pepper, person_id, password, kept))

    async def _hashed(self, proof: Proof, password: str) -> str:
        pepper, person_id = self._pepper, proof.person_id
        return await self._apart(lambda: hash_password(pepper, person_id, password))

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do work of the processor's in a thread. Raises busy where too much waits for one."""
        if self._under_way >= _AT_ONCE + _WAITING_MAX:
            raise RetryLaterError(Code.BUSY, "too many sign in at once; try again", 1)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def _spelt(email: str) -> str:
    """An address as it is looked up; what is none is looked up as well, and not found."""
    try:
        return read_email(email)
    except CoalitionError:
        return ""


def _refused() -> RefusedSignInError:
    return RefusedSignInError("e-mail, password or code is not right")
