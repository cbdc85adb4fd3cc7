"""Whether a merchant is suspended right now, asked of the database: for what changes no points.

What moves points, and what only reads, goes by the book (ledger/checks.py), in the same words.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.errors import CoalitionError, Code
from coalition.terms.terms import suspended_words

_STANDING = text("select code, suspended from merchant where merchant_id = :merchant_id")


async def check_not_suspended(connection: AsyncConnection, merchant_id: int) -> None:
    """Raise merchant_suspended where this merchant may do nothing but reverse and void."""
    merchant = (await connection.execute(_STANDING, {"merchant_id": merchant_id})).one()
    if merchant.suspended:
        raise CoalitionError(Code.MERCHANT_SUSPENDED, suspended_words(merchant.code))
