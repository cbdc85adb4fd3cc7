"""Persons in the database: made, found by e-mail or id, listed, disabled, given a new way in.

The audit says who did it and to which person, by id, in the same database transaction; never an
e-mail address or a name. Passwords and codes are secret_store.py's.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import Actor
from coalition.audit.store import record
from coalition.errors import CoalitionError, Code, shown
from coalition.people.person import Person, Status, check_role, new_id, read_email, read_name
from coalition.people.tokens import digest_of, new_token
from coalition.sealing.encryption import Keyring
from coalition.terms.book import HOUSE_ID, POOL_ID

# A one-time secret to set a password with is good for so long.
SETUP_GOOD_FOR = timedelta(days=3)
_EMAIL, _NAME = "email", "name"

_COLUMNS = """
    p.person_id, p.person_no, p.merchant_id, m.code as merchant, p.role, p.email_sealed,
    p.name_sealed, p.created_at, p.disabled_at, p.password_hash is not null as has_password,
    p.setup_until
"""
_FIND = text(f"""
    select {_COLUMNS} from person p join merchant m using (merchant_id) where person_id = :person_id
""")
# Who was disabled keeps its row, and whoever has the address now comes first.
_BY_EMAIL = text("""
    select person_id from person where email_digest = any(:digests)
    order by disabled_at is not null, person_no desc limit 1
""")
_LIST = text(f"""
    select {_COLUMNS} from person p join merchant m using (merchant_id)
    where person_no > :after_no
      and (cast(:merchant_id as int) is null or merchant_id = :merchant_id)
    order by person_no limit :rows_max
""")
_PARTY = text("select merchant_id, suspended from merchant where code = :code")
_TAKEN = text("""
    select exists (select from person where email_digest = any(:digests) and disabled_at is null)
""")
_INSERT = text("""
    insert into person (person_id, merchant_id, role, email_sealed, email_digest, name_sealed,
                        created_at, setup_digest, setup_until)
    values (:person_id, :merchant_id, :role, :email_sealed, :email_digest, :name_sealed, :now,
            :setup_digest, :setup_until)
""")
_DISABLE = text("""
    update person set disabled_at = :now, password_hash = null, totp_sealed = null,
        setup_digest = null, setup_until = null
    where person_id = :person_id and disabled_at is null
""")
_RESET = text("""
    update person set password_hash = null, totp_sealed = null, totp_step = null,
        setup_digest = :setup_digest, setup_until = :setup_until
    where person_id = :person_id and disabled_at is null
""")
_END_SESSIONS = text("""
    delete from session where cast(:person_id as text) is null or person_id = :person_id
""")
_HAS_APPROVER = text("select exists (select from person where role = 'approver')")
_STANDING = text("""
    select merchant_id, role from person where person_id = :person_id and disabled_at is null
""")
_OLDER = text("""
    select person_id, email_sealed, name_sealed from person
    where get_byte(email_sealed, 0) <> :newest or get_byte(name_sealed, 0) <> :newest
    order by person_no for update
""")
_SEAL = text("""
    update person set email_sealed = :email_sealed, email_digest = :email_digest,
        name_sealed = :name_sealed
    where person_id = :person_id
""")


async def create(
    connection: AsyncConnection,
    ring: Keyring,
    *,
    email: str,
    name: str,
    role: str,
    merchant: str,
    now: datetime,
    actor: Actor,
) -> tuple[Person, str]:
    """Make a person of this party, a merchant's code or house; and the one-time secret.

    Raises CoalitionError: invalid (address, name, role), not_found (no such merchant),
    limit_reached (the address is somebody's).
    """
    email, name = read_email(email), read_name(name)
    party = (await connection.execute(_PARTY, {"code": merchant})).one_or_none()
    if party is None or party.merchant_id == POOL_ID:
        raise CoalitionError(Code.NOT_FOUND, f"there is no merchant {shown(merchant)!r}")
    check_role(role, is_house=party.merchant_id == HOUSE_ID)
    taken = CoalitionError(
        Code.LIMIT_REACHED, "email: this address is a person's already; an address is one person's"
    )
    if await connection.scalar(_TAKEN, {"digests": ring.digests(email, _EMAIL)}):
        raise taken
    person_id, secret = new_id("per"), new_token()
    values = {
        **_sealed(ring, person_id, email, name),
        "merchant_id": party.merchant_id,
        "role": role,
        "now": now,
        **_setup(secret, now),
    }
    try:
        await connection.execute(_INSERT, values)
    except IntegrityError as error:
        if "person_email" not in str(error.orig):
            raise
        raise taken from error
    told = {"merchant": merchant, "role": role}
    await record(connection, actor, now, "person.create", person_id, after=told)
    made = await find(connection, ring, person_id)
    assert made is not None, "it was made just now"
    return made, secret


async def find(connection: AsyncConnection, ring: Keyring, person_id: str) -> Person | None:
    """Who has this id; None: nobody."""
    row = (await connection.execute(_FIND, {"person_id": person_id})).one_or_none()
    return None if row is None else _person(row, ring)


async def find_named(connection: AsyncConnection, ring: Keyring, named: str) -> Person:
    """Whoever an id or an e-mail address names. Raises CoalitionError, not_found."""
    person_id = named
    if "@" in named:
        digests = ring.digests(read_email(named), _EMAIL)
        person_id = await connection.scalar(_BY_EMAIL, {"digests": digests}) or ""
    found = await find(connection, ring, person_id)
    if found is None:
        raise no_person()
    return found


async def list_people(
    connection: AsyncConnection,
    ring: Keyring,
    *,
    merchant_id: int | None = None,
    after_no: int = 0,
    rows_max: int = 10_000,
) -> list[Person]:
    """Persons in the order in which they were made; of one party, or of all."""
    asked = {"merchant_id": merchant_id, "after_no": after_no, "rows_max": rows_max}
    return [_person(row, ring) for row in await connection.execute(_LIST, asked)]


async def disable(connection: AsyncConnection, person: Person, now: datetime, actor: Actor) -> None:
    """End what a person may, for good, and its sessions at once; twice does nothing."""
    done = await connection.execute(_DISABLE, {"person_id": person.person_id, "now": now})
    await connection.execute(_END_SESSIONS, {"person_id": person.person_id})
    if done.rowcount:
        told = {"status": person.status}, {"status": "disabled"}
        await record(
            connection,
            actor,
            now,
            "person.disable",
            person.person_id,
            before=told[0],
            after=told[1],
        )


async def reset(connection: AsyncConnection, person: Person, now: datetime, actor: Actor) -> str:
    """Take password and second factor away, and the sessions; the one-time secret to set new ones.

    Raises CoalitionError, not_found, for who is disabled.
    """
    secret = new_token()
    values = {"person_id": person.person_id, **_setup(secret, now)}
    if not (await connection.execute(_RESET, values)).rowcount:
        raise CoalitionError(
            Code.NOT_FOUND, "this person is disabled, for good: make another with the same address"
        )
    await connection.execute(_END_SESSIONS, {"person_id": person.person_id})
    await record(connection, actor, now, "person.reset", person.person_id)
    return secret


async def end_sessions(
    connection: AsyncConnection, person_id: str | None, now: datetime, actor: Actor
) -> int:
    """Sign a person out everywhere, or everybody; how many sessions there were."""
    ended = (await connection.execute(_END_SESSIONS, {"person_id": person_id})).rowcount
    told = {"sessions": ended}
    await record(connection, actor, now, "session.endall", person_id or "all", after=told)
    return ended


async def has_approver(connection: AsyncConnection) -> bool:
    """Whether there ever was one: from then on what needs two persons needs two.

    One who is disabled counts, or disabling the only one would be a way around.
    """
    return bool(await connection.scalar(_HAS_APPROVER))


async def role_of(connection: AsyncConnection, person_id: str) -> tuple[int, str] | None:
    """The party and role of a person; None where it is disabled, or there is none."""
    row = (await connection.execute(_STANDING, {"person_id": person_id})).one_or_none()
    return None if row is None else (row.merchant_id, row.role)


async def seal_anew(engine: AsyncEngine, ring: Keyring) -> int:
    """Seal with the newest key what lies under an older one; how many persons. Raises SealError."""
    async with engine.begin() as connection:
        rows = (await connection.execute(_OLDER, {"newest": ring.newest})).all()
        for row in rows:
            email = ring.open(row.email_sealed, _about(_EMAIL, row.person_id))
            name = ring.open(row.name_sealed, _about(_NAME, row.person_id))
            await connection.execute(_SEAL, _sealed(ring, row.person_id, email, name))
        # The second factor is sealed with the same keys.
        return len(rows)


def no_person() -> CoalitionError:
    return CoalitionError(Code.NOT_FOUND, "there is no such person of yours")


def _about(column: str, person_id: str) -> str:
    return f"{column} of person {person_id}"


def _sealed(ring: Keyring, person_id: str, email: str, name: str) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "email_sealed": ring.seal(email, _about(_EMAIL, person_id)),
        "email_digest": ring.digest(email, _EMAIL),
        "name_sealed": ring.seal(name, _about(_NAME, person_id)),
    }


def _setup(secret: str, now: datetime) -> dict[str, Any]:
    return {"setup_digest": digest_of(secret), "setup_until": now + SETUP_GOOD_FOR}


def _person(row: Any, ring: Keyring) -> Person:
    status: Status = "active" if row.has_password else "invited"
    if row.disabled_at is not None:
        status = "disabled"
    return Person(
        row.person_id,
        row.person_no,
        row.merchant_id,
        row.merchant,
        row.role,
        ring.open(row.email_sealed, _about(_EMAIL, row.person_id)),
        ring.open(row.name_sealed, _about(_NAME, row.person_id)),
        status,
        row.created_at,
        row.setup_until,
    )
