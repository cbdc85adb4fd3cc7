"""Where API keys are kept: made, listed, rotated, revoked and found. A secret's HMAC only.

How a key is spelt and compared is keys.py; what a scope allows is the API's to say.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import CoalitionError, Code
from coalition.keys.key import SCOPES, ParsedKey, hmac_of, mint
from coalition.terms.book import HOUSE_ID, POOL_ID

_SLOTS = (1, 2)
_CODES_SHOWN = 20
# As long as an id is, and shorter than any secret.
_ID_SHOWN = 12

_SELECT = """
    select k.key_id, k.merchant_id, m.code, k.slot, k.is_live, k.scopes, k.secret_hmac, k.label,
           k.created_at, k.revoked_at
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
_CODES = text("select code from merchant where merchant_id <> :pool_id order by merchant_id")
_INSERT = text("""
    insert into api_key (key_id, merchant_id, slot, is_live, scopes, secret_hmac, label, created_at)
    values (:key_id, :merchant_id, :slot, :is_live, cast(:scopes as text[]), :secret_hmac, :label,
            :created_at)
""")
_REVOKE = text("update api_key set revoked_at = :now where key_id = :key_id and revoked_at is null")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept. Who is asked with it must also compare is_live: the secret alone does
    not tell coal_live_ from coal_test_.
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


async def create(
    connection: AsyncConnection,
    *,
    pepper: bytes,
    merchant: str,
    scopes: Collection[str],
    live: bool,
    label: str,
    now: datetime,
) -> ParsedKey:
    """A new key of the merchant with that code. Its text can be shown now and never again.

    Raises CoalitionError: not_found for an unknown merchant, invalid for scopes it may not have,
    limit_reached where two of its keys are in use already.
    """
    merchant_id = await _lock(connection, merchant)
    _check_scopes(merchant_id, scopes)
    in_use = await _keys_in_use(connection, merchant_id)
    slot = _free_slot(merchant, in_use)
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
        },
    )
    return key


async def list_keys(connection: AsyncConnection) -> list[StoredKey]:
    """Every key there ever was, by merchant, the oldest first."""
    return [_stored(row) for row in await connection.execute(_ALL)]


async def rotate(
    connection: AsyncConnection, *, pepper: bytes, merchant: str, now: datetime
) -> ParsedKey:
    """A second key like the merchant's first, so that it can change over and then revoke the first.

    Raises CoalitionError: not_found for an unknown merchant or one without a key in use,
    limit_reached where two are in use already.
    """
    merchant_id = await _lock(connection, merchant)
    in_use = await _keys_in_use(connection, merchant_id)
    if not in_use:
        raise CoalitionError(
            Code.NOT_FOUND, f"{merchant} has no key in use to rotate: create one instead"
        )
    first = in_use[0]
    return await create(
        connection,
        pepper=pepper,
        merchant=merchant,
        scopes=first.scopes,
        live=first.is_live,
        label=first.label,
        now=now,
    )


async def revoke(connection: AsyncConnection, key_id: str, now: datetime) -> StoredKey:
    """End a key for good. A key that was revoked before keeps its first date.

    key_id may be the whole key, whose owner has it at hand: it is known by the id in it.
    Raises CoalitionError, not_found, where there is no such key.
    """
    key_id = _id_in(key_id)
    await connection.execute(_REVOKE, {"key_id": key_id, "now": now})
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


async def find_all(connection: AsyncConnection, key_ids: Collection[str]) -> dict[str, StoredKey]:
    """Those of these ids that are keys in use."""
    rows = await connection.execute(_FIND_ALL, {"key_ids": list(key_ids)})
    return {key.key_id: key for key in map(_stored, rows)}


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
    )
