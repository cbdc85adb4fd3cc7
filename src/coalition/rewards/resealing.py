"""Voucher codes under a newer key: what makes it safe to drop the older ones."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.rewards.codes import SealedCode, open_code, seal_code
from coalition.sealing.encryption import Keyring

CODES_AT_ONCE = 1_000
_OLDER = text("""
    select digest, sealed from voucher_code where get_byte(sealed, 0) <> :newest
    limit :limit for update
""")
_SEAL = text("""
    update voucher_code set digest = anew.digest, sealed = anew.sealed
    from unnest(cast(:known as bytea[]), cast(:digests as bytea[]), cast(:seals as bytea[]))
        as anew (known, digest, sealed)
    where voucher_code.digest = anew.known
""")


async def seal_codes_anew(engine: AsyncEngine, ring: Keyring) -> int:
    """Seal with the newest key what lies under an older one; how many codes. Raises SealError."""
    count = 0
    while True:
        async with engine.begin() as connection:
            asked = {"newest": ring.newest, "limit": CODES_AT_ONCE}
            rows = (await connection.execute(_OLDER, asked)).all()
            if not rows:
                return count
            known = [SealedCode(row.digest, row.sealed) for row in rows]
            anew = [seal_code(open_code(one, ring), ring) for one in known]
            await connection.execute(
                _SEAL,
                {
                    "known": [one.digest for one in known],
                    "digests": [one.digest for one in anew],
                    "seals": [one.sealed for one in anew],
                },
            )
        count += len(rows)
