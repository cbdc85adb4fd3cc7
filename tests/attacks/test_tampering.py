"""The attack: the database's owner sets triggers aside and changes, deletes or invents rows, as
consistently as rows alone can be. `coalition verify` names every one of them.

docs/tampering.md shows the same table to those who have to trust it.
"""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.attacks.tamperings import TABLE, Tampering
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, TELECOM, asked, card, earn

from coalition.clearing.service import close_due
from coalition.earning.validity import Validity
from coalition.ledger.commands import (
    Burn,
    Capture,
    Done,
    Expire,
    Request,
    ReverseBurn,
    ReverseEarn,
    Transfer,
)
from coalition.ledger.post import Ledger
from coalition.terms.book import HOUSE_ID
from coalition.verify import RULES, verify
from coalition.verify.check import AGREED, MOVEMENTS, WINDOWS
from coalition.verify.sides import SIDES

FEBRUARY = datetime(2017, 2, 10, tzinfo=UTC)


@pytest.fixture
async def told(engine: AsyncEngine) -> AsyncEngine:
    """A ledger with a closed window, and something of every kind in the open one."""
    await crowd.found(engine, members=4, validity=Validity(days=40))
    ledger = Ledger(engine)
    await ledger.start()
    start, later = crowd.START, FEBRUARY
    await _all(ledger, asked(earn(1, 100), TELECOM), asked(earn(1, 100), RETAIL))
    await _all(ledger, asked(Burn(card(1), 30, start), RETAIL))
    await _all(ledger, asked(Burn(card(1), 20, start, hold_seconds=600), RETAIL))
    await _all(ledger, asked(Capture(1, 6, 15), RETAIL))
    await _all(ledger, asked(earn(3, 50), TELECOM), asked(Burn(card(3), 30, start), RETAIL))
    await close_due(engine, FEBRUARY)
    await _all(
        ledger,
        asked(earn(1, 100, at=later), TELECOM, now=later),
        asked(Burn(card(1), 70, later), RETAIL, key=crowd.key(1), now=later),
    )
    await _all(
        ledger,
        asked(ReverseBurn(1, 10, 10), RETAIL, now=later),
        asked(Transfer(card(1), card(2), 5), RETAIL, now=later),
        asked(Burn(card(1), 15, later, hold_seconds=7_000_000), RETAIL, now=later),
    )
    gone = datetime.combine(date(2017, 2, 25), later.timetz())
    await _all(ledger, Request(Expire(3), HOUSE_ID, gone))
    await _all(ledger, asked(ReverseBurn(3, 3), RETAIL, now=gone))
    await _all(ledger, asked(Burn(card(3), 30, gone), RETAIL, now=gone))
    await _all(ledger, asked(ReverseEarn(3, 1), TELECOM, now=gone))
    return engine


async def _all(ledger: Ledger, *requests: Request) -> None:
    outcomes = await ledger.post(requests)
    assert not [outcome for outcome in outcomes if not isinstance(outcome, Done)], outcomes


async def test_what_was_posted_by_the_door_breaks_no_rule(told: AsyncEngine) -> None:
    await crowd.assert_sound(told)


@pytest.mark.parametrize("done", TABLE, ids=lambda done: done.what)
async def test_whatever_the_owner_of_the_database_changes_is_named(
    told: AsyncEngine, done: Tampering
) -> None:
    await crowd.change(told, *done.statements)
    async with told.connect() as connection:
        breaches = await verify(connection)
    assert done.rule in {breach.rule for breach in breaches}, breaches


def test_every_rule_of_what_belongs_together_names_some_tampering() -> None:
    assert {rule.says for rule in SIDES} - {done.rule for done in TABLE} == set()
    assert {done.rule for done in TABLE} - {rule.says for rule in RULES} == {
        AGREED, MOVEMENTS, WINDOWS,
    }  # fmt: skip
