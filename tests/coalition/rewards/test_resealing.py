"""Voucher codes go along when what is sealed gets a newer key, so that the older one may go."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.rewards.shop import open_shop, voucher
from tests.world import RING

from coalition.ledger import commands as ask
from coalition.rewards.codes import SealedCode, digests_of, open_code
from coalition.rewards.resealing import seal_codes_anew
from coalition.sealing.encryption import Keyring

NEWER = {1: b"n" * 32}
BOTH = Keyring(b"a pepper of thirty-two bytes, yes", NEWER)
ALONE = Keyring(b"another pepper, so that the older key is gone", NEWER)


async def test_codes_open_and_are_found_with_the_newer_key_alone(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, voucher("card"))
    await shop.member("ann", telecom=5_000, retail=5_000)
    answer = await shop.taken("ann", "card", 2)
    assert isinstance(answer, ask.BurnAnswer)
    assert answer.bought is not None
    given = [open_code(one.code, RING) for one in answer.bought.vouchers]
    assert await seal_codes_anew(engine, BOTH) == 2
    assert await seal_codes_anew(engine, BOTH) == 0
    async with engine.connect() as connection:
        rows = (await connection.execute(text("select digest, sealed from voucher_code"))).all()
    kept = {row.digest: open_code(SealedCode(row.digest, row.sealed), ALONE) for row in rows}
    assert sorted(kept.values()) == sorted(given)
    assert all(digests_of(code, ALONE)[0] == digest for digest, code in kept.items())
    assert await shop.world.breaches() == []
