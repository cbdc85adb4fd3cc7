"""Voucher codes that others made: loaded once, given out once, and told of when they run low."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.rewards.shop import Shop, open_shop, voucher
from tests.world import RING

from coalition.errors import CoalitionError, Code
from coalition.jobs import tell_low_codes
from coalition.ledger import commands as ask
from coalition.ledger.post import Ledger
from coalition.rewards.codes import open_code
from coalition.rewards.loading import add_codes, find_external, free_codes, read_codes
from coalition.terms.rewards import VoucherTerms

LOADED = VoucherTerms(external=True, low=3)
CODES = [f"GIFT-{number:04d}" for number in range(6)]


async def _shop(engine: AsyncEngine, codes: list[str]) -> Shop:
    shop = await open_shop(engine, voucher("card", voucher=LOADED))
    await _load(shop, codes)
    return shop


async def _load(shop: Shop, codes: list[str]) -> int:
    key = find_external(shop.world.ledger.book, "telecom", "card", shop.world.now)
    async with shop.world.engine.begin() as connection:
        return await add_codes(connection, key, codes, RING, shop.world.now)


def _codes(answer: ask.BurnAnswer) -> list[str]:
    assert answer.bought is not None
    return [open_code(one.code, RING) for one in answer.bought.vouchers]


async def test_codes_are_loaded_once_and_kept_sealed(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES)
    assert await _load(shop, [*CODES, "GIFT-9999"]) == 1
    async with engine.connect() as connection:
        rows: Any = (await connection.execute(text("select * from voucher_code"))).all()
    assert len(rows) == 7
    assert not any(code.encode() in bytes(cell) for code in CODES for cell in rows[0][:2])


async def test_a_reward_gives_loaded_codes_as_they_stood_in_the_file(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES)
    await shop.member("ann", telecom=5_000, retail=5_000)
    given = _codes(await shop.taken("ann", "card", 2)) + _codes(await shop.taken("ann", "card"))
    assert len(set(given)) == 3
    assert set(given) <= set(CODES)
    assert await shop.world.breaches() == []


async def test_without_a_code_left_it_is_out_of_stock(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES[:1])
    await shop.member("ann", telecom=5_000, retail=5_000)
    for quantity, is_given in ((2, False), (1, True), (1, False)):
        outcome = await shop.take("ann", "card", quantity)
        if not is_given:
            assert isinstance(outcome, ask.Refused)
            assert outcome.code is Code.OUT_OF_STOCK
    assert (await shop.world.balance("ann")).available == 9_000


async def test_two_processes_never_give_one_code_to_two_members(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES)
    names = [f"m{number}" for number in range(8)]
    for name in names:
        await shop.member(name, telecom=500, retail=500)
    other = Ledger(engine)
    await other.start()
    outcomes = await asyncio.gather(
        *(
            (shop.world.ledger, other)[place % 2].post(
                [shop.world.request(shop.want(name, "card"), "telecom")]
            )
            for place, name in enumerate(names)
        )
    )
    answers = [one.answer for (one,) in outcomes if isinstance(one, ask.Done)]
    given = [code for one in answers if isinstance(one, ask.BurnAnswer) for code in _codes(one)]
    assert sorted(given) == CODES
    assert await shop.world.breaches() == []


async def test_a_code_of_a_cancelled_voucher_is_not_given_out_again(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES[:1])
    await shop.member("ann", telecom=1_000, retail=1_000)
    await shop.world.reverse_burn(await shop.taken("ann", "card"))
    async with engine.connect() as connection:
        assert await free_codes(connection) == {}
    assert isinstance(await shop.take("ann", "card"), ask.Refused)


async def test_it_is_told_when_fewer_are_left_than_the_terms_want(engine: AsyncEngine) -> None:
    shop = await _shop(engine, CODES[:3])
    await shop.member("ann", telecom=1_000, retail=1_000)
    assert await tell_low_codes(shop.world.ledger, shop.world.now) == []
    await shop.taken("ann", "card")
    (low,) = await tell_low_codes(shop.world.ledger, shop.world.now)
    assert (low.merchant, low.reward, low.left, low.low) == ("telecom", "card", 2, 3)


@pytest.mark.parametrize(("merchant", "reward"), [("nobody", "card"), ("telecom", "x")])
async def test_codes_for_what_there_is_not_are_refused(
    engine: AsyncEngine, merchant: str, reward: str
) -> None:
    shop = await _shop(engine, [])
    with pytest.raises(CoalitionError):
        find_external(shop.world.ledger.book, merchant, reward, shop.world.now)


async def test_a_reward_whose_codes_are_made_takes_no_loaded_ones(engine: AsyncEngine) -> None:
    shop = await open_shop(engine, voucher())
    with pytest.raises(CoalitionError, match='codes = "loaded"'):
        find_external(shop.world.ledger.book, "telecom", "airtime", shop.world.now)


def test_a_file_has_a_code_a_line_and_each_counts_once(tmp_path: Path) -> None:
    assert read_codes("A\n\n B \r\nA\n") == ["A", "B"]
    with pytest.raises(CoalitionError, match="line 2"):
        read_codes("A\n" + "x" * 201)
