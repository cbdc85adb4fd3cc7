"""A member's personal data in the database: read, corrected, erased, kept no longer than needed.

Erasing takes away what names the person. The ledger holds none of it: points, cards and windows
stay as they are, and verify goes on. The audit says that somebody was corrected or erased, by whom,
and which fields; not what stood in them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import record, record_all
from coalition.errors import CoalitionError, Code
from coalition.members.personal import Enrolment, opened, sealed
from coalition.sealing.encryption import Keyring
from coalition.wire import ids

MEMBERS_AT_ONCE = 500

_COLUMNS = """
    m.member_id, m.enrolled_by, m.enrolled_at, m.erased_at, m.locale, m.birth_month,
    m.external_ref_sealed, m.phone_sealed, m.birthday_sealed
"""
_FIND = text(f"select {_COLUMNS} from member m where member_id = :member_id")
_LOCK = text(f"select {_COLUMNS} from member m where member_id = :member_id for update")
_CORRECT = text("""
    update member set external_ref_sealed = :external_ref_sealed,
        external_ref_digest = :external_ref_digest, phone_sealed = :phone_sealed,
        phone_digest = :phone_digest, birthday_sealed = :birthday_sealed,
        birth_month = :birth_month, locale = :locale
    where member_id = :member_id
""")
_ERASE = text("""
    update member set erased_at = :now, external_ref = null, phone = null, birthday = null,
        locale = null, external_ref_sealed = null, external_ref_digest = null,
        phone_sealed = null, phone_digest = null, birthday_sealed = null, birth_month = null,
        request_id = null, body_hash = null
    where member_id = any(:member_ids) and erased_at is null
    returning member_id
""")
_ERASE_PIN = text("delete from pin where member_id = any(:member_ids)")
# Members of whom something is known, in the order of their numbers, with their last movement.
_SILENT = text("""
    select m.member_id,
           coalesce(last.recorded_at, m.enrolled_at) < :before as is_silent
    from (select * from member where member_id > :after and erased_at is null
          order by member_id limit :limit) m
    left join lateral (
        select p.recorded_at from posting p where p.member_id = m.member_id
        order by p.posting_no desc limit 1) last on true
""")
_UNSEALED = text("""
    select member_id, external_ref, phone, birthday, locale from member
    where num_nonnulls(external_ref, phone, birthday) > 0
    order by member_id limit :limit for update
""")
_SEAL = text("""
    update member set external_ref = null, phone = null, birthday = null,
        external_ref_sealed = :external_ref_sealed, external_ref_digest = :external_ref_digest,
        phone_sealed = :phone_sealed, phone_digest = :phone_digest,
        birthday_sealed = :birthday_sealed, birth_month = :birth_month
    where member_id = :member_id
""")
_OLDER = text(f"""
    select {_COLUMNS} from member m
    where member_id > :after and exists (
        select from unnest(array[external_ref_sealed, phone_sealed, birthday_sealed]) as v (sealed)
        where sealed is not null and get_byte(sealed, 0) <> :newest)
    order by member_id limit :limit for update
""")


@dataclass(frozen=True, slots=True)
class Person:
    """Who a member is. erased_at: since when nothing of that is known any more."""

    member_id: int
    enrolled_by: int
    enrolled_at: datetime
    erased_at: datetime | None
    known: Enrolment


async def find(connection: AsyncConnection, member_id: int, ring: Keyring) -> Person | None:
    """Who this member is; None where there is none. Raises SealError."""
    row = (await connection.execute(_FIND, {"member_id": member_id})).one_or_none()
    return None if row is None else _person(row, ring)


async def correct(
    connection: AsyncConnection,
    member_id: int,
    changes: Mapping[str, object],
    ring: Keyring,
    now: datetime,
    *,
    actor: Actor = NOT_KNOWN,
) -> Person:
    """Put right what is known of a member; changes names fields of Enrolment, None: take it away.

    Raises CoalitionError: not_found for no member, or one that is erased; limit_reached where the
    reference is another member's of that merchant.
    """
    row = (await connection.execute(_LOCK, {"member_id": member_id})).one_or_none()
    if row is None or row.erased_at is not None:
        raise CoalitionError(Code.NOT_FOUND, "there is no such member, or it was erased")
    before = _person(row, ring)
    known = Enrolment(**{**asdict(before.known), **changes})
    columns = asdict(sealed(known, member_id, ring))
    try:
        await connection.execute(_CORRECT, {"member_id": member_id, **columns})
    except IntegrityError as error:
        raise CoalitionError(
            Code.LIMIT_REACHED,
            "external_ref: it names another member of this merchant already; a reference names one",
        ) from error
    told = {"fields": sorted(changes)}
    await record(
        connection, actor, now, "member.correct", _spelt(member_id), member_id=member_id, after=told
    )
    return Person(member_id, before.enrolled_by, before.enrolled_at, None, known)


async def erase(
    connection: AsyncConnection,
    member_ids: list[int],
    now: datetime,
    *,
    actor: Actor = NOT_KNOWN,
) -> list[int]:
    """Take away who these members are, for good; those that were not erased before."""
    erased = list(await connection.scalars(_ERASE, {"member_ids": member_ids, "now": now}))
    await connection.execute(_ERASE_PIN, {"member_ids": erased})
    objects = [(_spelt(member_id), member_id) for member_id in erased]
    await record_all(connection, actor, now, "member.erase", objects)
    return erased


async def erase_silent(
    engine: AsyncEngine, now: datetime, retention_days: int, *, actor: Actor = NOT_KNOWN
) -> int:
    """Erase whoever made no movement for so many days; how many. The ledger is not touched."""
    before, after, count = now - timedelta(days=retention_days), 0, 0
    while True:
        async with engine.begin() as connection:
            asked = {"before": before, "after": after, "limit": MEMBERS_AT_ONCE}
            rows = (await connection.execute(_SILENT, asked)).all()
            if not rows:
                return count
            silent = [row.member_id for row in rows if row.is_silent]
            count += len(await erase(connection, silent, now, actor=actor)) if silent else 0
            after = rows[-1].member_id


async def seal_rest(engine: AsyncEngine, ring: Keyring) -> int:
    """Seal what lies open since before there were seals; how many members. Twice does nothing."""
    count = 0
    while True:
        async with engine.begin() as connection:
            rows = (await connection.execute(_UNSEALED, {"limit": MEMBERS_AT_ONCE})).all()
            if not rows:
                return count
            known = [
                (row.member_id, Enrolment(row.external_ref, row.phone, row.birthday, row.locale))
                for row in rows
            ]
            await _write(connection, known, ring)
        count += len(rows)


async def seal_anew(
    engine: AsyncEngine, ring: Keyring, now: datetime, *, actor: Actor = NOT_KNOWN
) -> int:
    """Seal with the newest key what lies under an older one; how many members. Raises SealError.

    Once it is done, and every process knows the newest key, the older ones may go. That it begins
    is an act, on the newest key's version.
    """
    after, count = 0, 0
    while True:
        async with engine.begin() as connection:
            asked = {"after": after, "newest": ring.newest, "limit": MEMBERS_AT_ONCE}
            rows = (await connection.execute(_OLDER, asked)).all()
            if not rows:
                return count
            known = [(row.member_id, opened(row, row.member_id, ring)) for row in rows]
            await _write(connection, known, ring)
            if not count:
                await record(connection, actor, now, "personal.rotate", str(ring.newest))
            after = rows[-1].member_id
        count += len(rows)


async def _write(
    connection: AsyncConnection, known: list[tuple[int, Enrolment]], ring: Keyring
) -> None:
    values = []
    for member_id, enrolment in known:
        columns = asdict(sealed(enrolment, member_id, ring))
        del columns["locale"]
        values.append({"member_id": member_id, **columns})
    await connection.execute(_SEAL, values)


def _spelt(member_id: int) -> str:
    """A member, as the audit names it."""
    return ids.encode(ids.MEMBER, member_id)


def _person(row: Any, ring: Keyring) -> Person:
    member_id: int = row.member_id
    return Person(
        member_id,
        row.enrolled_by,
        row.enrolled_at,
        row.erased_at,
        opened(row, member_id, ring),
    )
