"""Voucher codes that others made: how they come in, and which rewards run low of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import CoalitionError, Code
from coalition.rewards.codes import CODE_CHARACTERS_MAX, digests_of, seal_code
from coalition.rewards.voucher import RewardKey
from coalition.sealing.encryption import Keyring
from coalition.terms.book import Book

_ADD = text("""
    insert into voucher_code (digest, sealed, merchant_id, reward, added_at)
    select digest, sealed, :merchant_id, :reward, :now
    from unnest(cast(:digests as bytea[]), cast(:seals as bytea[])) as t (digest, sealed)
    on conflict do nothing
""")
# By whichever key it was hashed with: the same code is loaded once.
_KNOWN = text("select digest from voucher_code where digest = any(:digests)")
_FREE = text("""
    select merchant_id, reward, count(*) as free from voucher_code
    where member_id is null group by 1, 2
""")


@dataclass(frozen=True, slots=True)
class LowCodes:
    """A reward of which fewer codes are left than its merchant wants there to be."""

    merchant: str
    reward: str
    left: int
    low: int


def find_external(book: Book, merchant: str, reward: str, now: datetime) -> RewardKey:
    """The reward of these codes, whose vouchers want loaded codes. Raises invalid."""
    found = book.merchants.get(book.ids.get(merchant, -1))
    if found is None:
        raise CoalitionError(Code.INVALID, f"no merchant is called {merchant!r}")
    rewards = (*book.terms_today(found, now).rewards, *found.terms.rewards)
    one = next((one for one in rewards if one.code == reward), None)
    if one is None:
        raise CoalitionError(Code.INVALID, f"{merchant} has no reward {reward!r} in its file")
    if one.voucher is None or not one.voucher.external:
        raise CoalitionError(
            Code.INVALID,
            f'{reward} gives no loaded codes; write voucher = {{ codes = "loaded" }} in '
            f"{merchant}.toml first",
        )
    return found.merchant_id, reward


def read_codes(content: str) -> list[str]:
    """The codes of a file, one a line; each once. Raises invalid with the first wrong line."""
    codes: dict[str, None] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        code = line.strip()
        if len(code) > CODE_CHARACTERS_MAX or "\0" in code:
            raise CoalitionError(
                Code.INVALID, f"line {number}: a code has at most {CODE_CHARACTERS_MAX} characters"
            )
        if code:
            codes[code] = None
    return list(codes)


async def add_codes(
    connection: AsyncConnection,
    key: RewardKey,
    codes: Sequence[str],
    ring: Keyring,
    now: datetime,
) -> int:
    """Add the codes that are not there yet; how many those were. A thousand or so at a time."""
    old = {digest: code for code in codes for digest in digests_of(code, ring)}
    found = await connection.scalars(_KNOWN, {"digests": list(old)})
    known = {old[digest] for digest in found}
    sealed = [seal_code(code, ring) for code in codes if code not in known]
    added = await connection.execute(
        _ADD,
        {
            "merchant_id": key[0],
            "reward": key[1],
            "now": now,
            "digests": [one.digest for one in sealed],
            "seals": [one.sealed for one in sealed],
        },
    )
    return added.rowcount


async def free_codes(connection: AsyncConnection) -> dict[RewardKey, int]:
    """How many loaded codes of each reward may still be given out."""
    rows = await connection.execute(_FREE)
    return {(row.merchant_id, row.reward): row.free for row in rows}


async def low_codes(connection: AsyncConnection, book: Book, now: datetime) -> list[LowCodes]:
    """The rewards of today that have fewer codes left than they should."""
    wanting = [
        (merchant.merchant_id, merchant.terms.code, reward.code, reward.voucher.low)
        for merchant in book.merchants.values()
        for reward in book.terms_today(merchant, now).rewards
        if reward.voucher is not None and reward.voucher.external and reward.voucher.low
    ]
    if not wanting:
        return []
    free = await free_codes(connection)
    left = [(*one, free.get((one[0], one[2]), 0)) for one in wanting]
    return [
        LowCodes(code, reward, there, low) for _, code, reward, low, there in left if there < low
    ]
