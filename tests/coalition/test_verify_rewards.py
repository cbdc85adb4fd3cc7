"""verify() finds whatever is wrong with rewards and vouchers, and nothing where it is right."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.rewards.shop import open_shop, voucher

from coalition.ledger import commands as ask
from coalition.verify import verify
from coalition.verify.rewards import REWARDS

GONE, STOCK, EACH, DONE, POSTED, CODE = (rule.says for rule in REWARDS)
CASES = [
    (GONE, "update reward_count set sold = sold + 1"),
    (GONE, "delete from reward_count"),
    (STOCK, "update terms set terms = jsonb_set(terms, '{rewards,0,stock}', '1')"),
    (EACH, "update voucher set status = 'cancelled' where status = 'issued'"),
    (EACH, "update burn set quantity = 4 where reward is not null"),
    (DONE, "update voucher set remaining = 5000, status = 'issued' where status = 'part_used'"),
    (DONE, "update voucher_event set remaining = 1 where kind = 'used'"),
    (POSTED, "update voucher_event set amount = 1 where kind = 'used'"),
    (POSTED, "delete from voucher_event where kind = 'used'"),
    (POSTED, "update voucher_event set kind = 'used' where kind = 'cancelled'"),
    (CODE, "delete from voucher_code where voucher_no = (select max(voucher_no) from voucher)"),
    (CODE, "update voucher_code set reward = 'other'"),
]


@pytest.fixture
async def told(engine: AsyncEngine) -> AsyncEngine:
    """Three vouchers: one used in part, one cancelled, one as it was issued."""
    shop = await open_shop(engine, voucher(stock=5))
    await shop.member("ann", telecom=2_000, retail=2_000)
    answer = await shop.taken("ann", "airtime", 3)
    assert answer.bought is not None
    first, second, _ = (one.voucher_no for one in answer.bought.vouchers)
    of = (answer.member_id, answer.burn_no)
    for command in (ask.UseVoucher(*of, first, 1_500), ask.CancelVoucher(*of, second)):
        assert isinstance(await shop.world.post(command, "telecom"), ask.Done)
    return engine


async def test_what_is_right_breaks_no_rule(told: AsyncEngine) -> None:
    async with told.connect() as connection:
        assert await verify(connection) == []


@pytest.mark.parametrize(("rule", "change"), CASES)
async def test_what_is_wrong_is_named(told: AsyncEngine, rule: str, change: str) -> None:
    await crowd.change(told, change)
    async with told.connect() as connection:
        assert rule in {breach.rule for breach in await verify(connection)}


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in CASES} == {rule.says for rule in REWARDS}
