"""Where API keys are kept: made, listed, rotated, ended and found. A secret's HMAC only.

Each change is in the audit, with whoever made it; that a key was used is not one.
How a key is spelt and compared is keys.py; what a scope allows is the API's to say.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import record
from coalition.errors import CoalitionError, Code
from coalition.keys.key import SCOPES, ParsedKey, hmac_of, mint
from coalition.terms.book import HOUSE_ID, POOL_ID

_SLOTS = (1, 2)
_CODES_SHOWN = 20
# As long as an id is, and shorter than any secret.
_ID_SHOWN = 12

_SELECT = """
    select k.key_id, k.merchant_id, m.code, k.slot, k.is_live, k.scopes, k.secret_hmac, k.label,
           k.created_at, k.revoked_at, k.last_used_at, k.expires_on, m.time_zone
    from api_key k join merchant m using (merchant_id)
"""
_FIND_ALL = text(_SELECT + "where k.key_id = any(:key_ids) and k.revoked_at is null")
_ANY = text(_SELECT + "where k.key_id = :key_id")
_ALL = text(_SELECT + "order by k.merchant_id, k.created_at, k.key_id")
_IN_USE = text(
    _SELECT + "where k.merchant_id = :merchant_id and k.revoked_at is null order by k.slot"
)
# The merchant's row is the lock: two keys made at once take different slots, or one is refused.
_LOCK = text("select merchant_id from merchant where code = :code for no key update")
_ZONE = text("select time_zone from merchant where merchant_id = :merchant_id")
_CODES = text("select code from merchant where merchant_id <> :pool_id order by merchant_id")
_INSERT = text("""
    insert into api_key (key_id, merchant_id, slot, is_live, scopes, secret_hmac, label, created_at,
                         expires_on)
    values (:key_id, :merchant_id, :slot, :is_live, cast(:scopes as text[]), :secret_hmac, :label,
            :created_at, :expires_on)
""")
_REVOKE = text("update api_key set revoked_at = :now where key_id = :key_id and revoked_at is null")
_EXPIRE = text("""
    update api_key set expires_on = :expires_on where key_id = :key_id and revoked_at is null
""")
_NOTE_USES = text("""
    update api_key set last_used_at = greatest(last_used_at, :now) where key_id = any(:key_ids)
""")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept. Who is asked with it must also compare is_live: the secret alone does
    not tell coal_live_ from coal_test_. expires_on is the last good day by its merchant's calendar;
    last_used_at is right to a minute.
    """

    key_id: str
    merchant_id: int
    merchant: str
    slot: int
    is_live: bool
    scopes: frozenset[str]
    secret_hmac: bytes = field(repr=False)
    label: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    expires_on: date | None
    zone: ZoneInfo

    def is_expired(self, now: datetime) -> bool:
        return self.expires_on is not None and now.astimezone(self.zone).date() > self.expires_on

    def was_used_since(self, moment: datetime) -> bool:
        return self.last_used_at is not None and self.last_used_at >= moment


async def create(
    connection: AsyncConnection,
    *,
    pepper: bytes,
    merchant: str,
    scopes: Collection[str],
    live: bool,
    label: str,
    now: datetime,
    expires_on: date | None = None,
    actor: Actor = NOT_KNOWN,
) -> ParsedKey:
    """A new key of the merchant with that code. Its text can be shown now and never again.

    A key of it whose last good day is past is revoked to make room. Raises CoalitionError:
    not_found for an unknown merchant, invalid for scopes it may not have or a day that is past,
    limit_reached where two of its keys are in use already.
    """
    merchant_id = await _lock(connection, merchant)
    _check_scopes(merchant_id, scopes)
    key = await _add(
        connection,
        pepper=pepper,
        merchant=merchant,
        merchant_id=merchant_id,
        scopes=scopes,
        live=live,
        label=label,
        now=now,
        expires_on=expires_on,
        actor=actor,
    )
    told = {"merchant": merchant, "scopes": sorted(scopes), "live": live, "expires_on": expires_on}
    await record(connection, actor, now, "key.create", key.key_id, after=told)
    return key


async def _add(
    connection: AsyncConnection,
    *,
    pepper: bytes,
    merchant: str,
    merchant_id: int,
    scopes: Collection[str],
    live: bool,
    label: str,
    now: datetime,
    expires_on: date | None,
    actor: Actor,
) -> ParsedKey:
    in_use = []
    for one in await _keys_in_use(connection, merchant_id):
        if one.is_expired(now):
            await revoke(connection, one.key_id, now, actor=actor)
        else:
            in_use.append(one)
    slot = _free_slot(merchant, in_use)
    await _check_day(connection, merchant_id, expires_on, now)
    key = mint(live=live)
    await connection.execute(
        _INSERT,
        {
            "key_id": key.key_id,
            "merchant_id": merchant_id,
            "slot": slot,
            "is_live": live,
            "scopes": [scope for scope in SCOPES if scope in scopes],
            "secret_hmac": hmac_of(pepper, key.secret),
            "label": label,
            "created_at": now,
            "expires_on": expires_on,
        },
    )
    return key


async def list_keys(connection: AsyncConnection) -> list[StoredKey]:
    """Every key there ever was, by merchant, the oldest first."""
    return [_stored(row) for row in await connection.execute(_ALL)]


async def rotate(
    connection: AsyncConnection,
    *,
    pepper: bytes,
    merchant: str,
    now: datetime,
    actor: Actor = NOT_KNOWN,
) -> ParsedKey:
    """A second key like the merchant's first, so that it can change over and then revoke the first.

    It has no last good day. Raises CoalitionError: not_found for an unknown merchant or one without
    a key in use, limit_reached where two are in use already.
    """
    merchant_id = await _lock(connection, merchant)
    in_use = await _keys_in_use(connection, merchant_id)
    if not in_use:
        raise CoalitionError(
            Code.NOT_FOUND, f"{merchant} has no key in use to rotate: create one instead"
        )
    first = in_use[0]
    key = await _add(
        connection,
        pepper=pepper,
        merchant=merchant,
        merchant_id=merchant_id,
        scopes=first.scopes,
        live=first.is_live,
        label=first.label,
        now=now,
        expires_on=None,
        actor=actor,
    )
    told = {"merchant": merchant, "like": first.key_id}
    await record(connection, actor, now, "key.rotate", key.key_id, after=told)
    return key


async def revoke(
    connection: AsyncConnection, key_id: str, now: datetime, *, actor: Actor = NOT_KNOWN
) -> StoredKey:
    """End a key for good. A key that was revoked before keeps its first date.

    key_id may be the whole key, whose owner has it at hand: it is known by the id in it.
    Raises CoalitionError, not_found, where there is no such key.
    """
    key_id = _id_in(key_id)
    revoked = await connection.execute(_REVOKE, {"key_id": key_id, "now": now})
    if revoked.rowcount:
        await record(connection, actor, now, "key.revoke", key_id, after={"revoked_at": now})
    return await find(connection, key_id)


async def expire(
    connection: AsyncConnection,
    key_id: str,
    expires_on: date | None,
    now: datetime,
    *,
    actor: Actor = NOT_KNOWN,
) -> StoredKey:
    """Give a key another last good day, by its merchant's calendar; None: none.

    Raises CoalitionError: not_found, and invalid for a day that is past or a key that is revoked.
    """
    before = await find(connection, key_id)
    if before.revoked_at is not None:
        raise CoalitionError(
            Code.INVALID, f"key {before.key_id} is revoked, which no day changes: make another one"
        )
    await _check_day(connection, before.merchant_id, expires_on, now)
    await connection.execute(_EXPIRE, {"key_id": before.key_id, "expires_on": expires_on})
    await record(
        connection,
        actor,
        now,
        "key.expire",
        before.key_id,
        before={"expires_on": before.expires_on},
        after={"expires_on": expires_on},
    )
    return await find(connection, before.key_id)


async def is_known(connection: AsyncConnection, key_id: str) -> bool:
    """Whether there is a key of this id, revoked or not; key_id may be a whole key."""
    found = await connection.execute(_ANY, {"key_id": _id_in(key_id)})
    return found.first() is not None


async def find(connection: AsyncConnection, key_id: str) -> StoredKey:
    """The key of this id, revoked or not; key_id may be a whole key. Raises not_found."""
    key_id = _id_in(key_id)
    row = (await connection.execute(_ANY, {"key_id": key_id})).one_or_none()
    if row is None:
        raise CoalitionError(
            Code.NOT_FOUND,
            # Cut: whatever was sent may hold a secret.
            f"there is no key with the id {key_id[:_ID_SHOWN]!r}: "
            "an id is the 12 characters after coal_live_ or coal_test_",
        )
    return _stored(row)


def _id_in(text: str) -> str:
    """The id in a whole key, mistyped or not; an id, or anything else, as it is."""
    for mode in ("coal_live_", "coal_test_"):
        if text.startswith(mode):
            return text.removeprefix(mode).partition("_")[0]
    return text


async def find_all(
    connection: AsyncConnection, key_ids: Collection[str], now: datetime
) -> dict[str, StoredKey]:
    """Those of these ids that are keys in use: neither revoked nor past their last good day."""
    rows = await connection.execute(_FIND_ALL, {"key_ids": list(key_ids)})
    return {key.key_id: key for key in map(_stored, rows) if not key.is_expired(now)}


async def note_uses(connection: AsyncConnection, key_ids: Collection[str], now: datetime) -> None:
    """Keep that these keys were used by now."""
    await connection.execute(_NOTE_USES, {"key_ids": list(key_ids), "now": now})


async def _lock(connection: AsyncConnection, merchant: str) -> int:
    merchant_id: int | None = (
        await connection.execute(_LOCK, {"code": merchant})
    ).scalar_one_or_none()
    if merchant_id is None:
        raise CoalitionError(
            Code.NOT_FOUND,
            f"there is no merchant {merchant!r}: there are {await _codes(connection)}; "
            "a new one is there once its file is synced",
        )
    if merchant_id == POOL_ID:
        raise CoalitionError(
            Code.INVALID, "the pool asks for nothing: make the key for the house or a merchant"
        )
    return merchant_id


async def _codes(connection: AsyncConnection) -> str:
    codes = (await connection.execute(_CODES, {"pool_id": POOL_ID})).scalars().all()
    more = f" and {len(codes) - _CODES_SHOWN} more" if len(codes) > _CODES_SHOWN else ""
    return (", ".join(codes[:_CODES_SHOWN]) or "none") + more


def _check_scopes(merchant_id: int, scopes: Collection[str]) -> None:
    known = ", ".join(SCOPES)
    if not scopes:
        raise CoalitionError(Code.INVALID, f"a key needs at least one scope of {known}")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise CoalitionError(
            Code.INVALID, f"{', '.join(unknown)}: no such scope; the scopes are {known}"
        )
    if "house" in scopes and merchant_id != HOUSE_ID:
        raise CoalitionError(
            Code.INVALID,
            "only the house's own keys may have the scope house: "
            "leave it out, or make the key for the merchant house",
        )


async def _keys_in_use(connection: AsyncConnection, merchant_id: int) -> list[StoredKey]:
    rows = await connection.execute(_IN_USE, {"merchant_id": merchant_id})
    return [_stored(row) for row in rows]


async def _check_day(
    connection: AsyncConnection, merchant_id: int, expires_on: date | None, now: datetime
) -> None:
    if expires_on is None:
        return
    zone = ZoneInfo(await connection.scalar(_ZONE, {"merchant_id": merchant_id}))
    today = now.astimezone(zone).date()
    if expires_on < today:
        raise CoalitionError(
            Code.INVALID,
            f"{expires_on} is past where the merchant is; a key's last good day is {today} or "
            "later, and to end it now revoke it",
        )


def _free_slot(merchant: str, in_use: list[StoredKey]) -> int:
    taken = {key.slot for key in in_use}
    for slot in _SLOTS:
        if slot not in taken:
            return slot
    ids = " and ".join(key.key_id for key in in_use)
    raise CoalitionError(
        Code.LIMIT_REACHED, f"{merchant} has two keys in use, {ids}: revoke one of them first"
    )


def _stored(row: Row[tuple[object, ...]]) -> StoredKey:
    return StoredKey(
        key_id=row.key_id,
        merchant_id=row.merchant_id,
        merchant=row.code,
        slot=row.slot,
        is_live=row.is_live,
        scopes=frozenset(row.scopes),
        secret_hmac=row.secret_hmac,
        label=row.label,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        expires_on=row.expires_on,
        zone=ZoneInfo(row.time_zone),
    )
