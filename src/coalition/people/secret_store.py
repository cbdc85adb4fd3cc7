"""What proves a person, in the database: the password's hash, the second factor, set and compared.

A second factor is sealed like an e-mail address. Each code is good once: taking one moves totp_step
on, in one statement, so that of two requests with the same code one is refused.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.errors import CoalitionError, Code
from coalition.people.codes import step_of
from coalition.people.tokens import digest_of
from coalition.sealing.encryption import Keyring

_COLUMNS = "person_id, merchant_id, role, email_sealed, password_hash, totp_sealed, totp_step"
_BY_EMAIL = text(f"""
    select {_COLUMNS} from person where email_digest = any(:digests) and disabled_at is null
""")
_BY_SETUP = text(f"""
    select {_COLUMNS} from person
    where setup_digest = :digest and setup_until > :now and disabled_at is null
""")
_BY_ID = text(f"select {_COLUMNS} from person where person_id = :person_id and disabled_at is null")
_TAKE_STEP = text("""
    update person set totp_step = :step
    where person_id = :person_id and totp_sealed = :totp_sealed
      and (totp_step is null or totp_step < :step)
""")
_PREPARE = text("""
    update person set totp_sealed = :totp_sealed, totp_step = null
    where person_id = :person_id and setup_digest = :digest
""")
_FINISH = text("""
    update person set password_hash = :hash, totp_sealed = :totp_sealed, totp_step = :step,
        setup_digest = null, setup_until = null
    where person_id = :person_id and setup_digest = :digest and disabled_at is null
""")
_CHANGE = text("""
    update person set password_hash = :hash where person_id = :person_id and password_hash = :before
""")
_END_SESSIONS = text("delete from session where person_id = :person_id")
_OLDER = text("""
    select person_id, totp_sealed from person
    where totp_sealed is not null and get_byte(totp_sealed, 0) <> :newest for update
""")
_SEAL = text("update person set totp_sealed = :totp_sealed where person_id = :person_id")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a person proves itself by. hash None: no password is set; secret None: no second one."""

    person_id: str
    merchant_id: int
    role: str
    email: str
    hash: str | None = field(repr=False)
    secret: str | None = field(repr=False)
    totp_sealed: bytes | None = field(repr=False)
    totp_step: int | None


async def find_by_email(connection: AsyncConnection, ring: Keyring, email: str) -> Proof | None:
    """Of whoever has this address, as person.read_email() spells it; None: nobody."""
    digests = ring.digests(email, "email")
    row = (await connection.execute(_BY_EMAIL, {"digests": digests})).one_or_none()
    return None if row is None else _proof(row, ring)


async def find_by_setup(
    connection: AsyncConnection, ring: Keyring, secret: str, now: datetime
) -> Proof:
    """Of whoever was given this one-time secret. Raises CoalitionError, unauthenticated."""
    asked = {"digest": digest_of(secret), "now": now}
    row = (await connection.execute(_BY_SETUP, asked)).one_or_none()
    if row is None:
        raise CoalitionError(
            Code.UNAUTHENTICATED,
            "this one-time secret is unknown, used or too old: ask for another",
        )
    return _proof(row, ring)


async def find_by_id(connection: AsyncConnection, ring: Keyring, person_id: str) -> Proof | None:
    row = (await connection.execute(_BY_ID, {"person_id": person_id})).one_or_none()
    return None if row is None else _proof(row, ring)


async def take_code(connection: AsyncConnection, proof: Proof, code: str, now: datetime) -> bool:
    """Whether it is a good code of this person's; it is none from then on."""
    if proof.secret is None:
        return False
    step = step_of(proof.secret, code, now, proof.totp_step)
    if step is None:
        return False
    values = {"person_id": proof.person_id, "totp_sealed": proof.totp_sealed, "step": step}
    return (await connection.execute(_TAKE_STEP, values)).rowcount == 1


async def prepare_code(
    connection: AsyncConnection, ring: Keyring, proof: Proof, setup: str, secret: str
) -> None:
    """Keep a second factor that is to be confirmed; it is good for nothing until finish()."""
    sealed = ring.seal(secret, _about(proof.person_id))
    values = {"person_id": proof.person_id, "totp_sealed": sealed, "digest": digest_of(setup)}
    await connection.execute(_PREPARE, values)


async def finish(
    connection: AsyncConnection,
    proof: Proof,
    setup: str,
    hash_: str,
    *,
    step: int | None,
    now: datetime,
    actor: Actor,
) -> None:
    """Set the password, and the second factor where step says which code confirmed it.

    Raises CoalitionError, unauthenticated, where the one-time secret was used meanwhile.
    """
    values: dict[str, Any] = {
        "person_id": proof.person_id,
        "hash": hash_,
        "totp_sealed": None if step is None else proof.totp_sealed,
        "step": step,
        "digest": digest_of(setup),
    }
    if not (await connection.execute(_FINISH, values)).rowcount:
        raise CoalitionError(Code.UNAUTHENTICATED, "this one-time secret was used meanwhile")
    await connection.execute(_END_SESSIONS, {"person_id": proof.person_id})
    told = {"code": step is not None}
    await record(connection, actor, now, "person.setup", proof.person_id, after=told)


async def change_password(
    connection: AsyncConnection, proof: Proof, hash_: str, now: datetime, actor: Actor
) -> bool:
    """Put another password in the place of the one before, and end sessions; False: too late."""
    values = {"person_id": proof.person_id, "hash": hash_, "before": proof.hash}
    if not (await connection.execute(_CHANGE, values)).rowcount:
        return False
    await connection.execute(_END_SESSIONS, {"person_id": proof.person_id})
    await record(connection, actor, now, "person.password", proof.person_id)
    return True


async def seal_anew(engine: AsyncEngine, ring: Keyring) -> None:
    """Seal with the newest key what lies under an older one. Raises SealError."""
    async with engine.begin() as connection:
        for row in (await connection.execute(_OLDER, {"newest": ring.newest})).all():
            about = _about(row.person_id)
            sealed = ring.seal(ring.open(row.totp_sealed, about), about)
            await connection.execute(_SEAL, {"person_id": row.person_id, "totp_sealed": sealed})


def _about(person_id: str) -> str:
    return f"code of person {person_id}"


def _proof(row: Any, ring: Keyring) -> Proof:
    sealed: bytes | None = row.totp_sealed
    return Proof(
        row.person_id,
        row.merchant_id,
        row.role,
        ring.open(row.email_sealed, f"email of person {row.person_id}"),
        row.password_hash,
        None if sealed is None else ring.open(sealed, _about(row.person_id)),
        sealed,
        row.totp_step,
    )
