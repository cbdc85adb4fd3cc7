"""verify() finds every way in which the ledger can be wrong, and nothing where it is right."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import RETAIL, TELECOM, asked, card, earn

from coalition.clearing.service import close_due
from coalition.ledger.commands import (
    Burn,
    Done,
    Outcome,
    Request,
    ReverseBurn,
    ReverseEarn,
    Transfer,
)
from coalition.ledger.post import Ledger
from coalition.verify import BREACHES_MAX, SAID, Breach, verify
from coalition.verify.rules import RULES as SUMS
from coalition.verify.validity import VALIDITY

FEBRUARY = datetime(2017, 2, 10, tzinfo=UTC)
CHANGE = "a posting's change is the lots it made less the legs it wrote"
DEBTS = "what a member owes an origin is what reversed earns left owing, less what was paid since"
PENDING_AFTER = "every posting states what of its member's lots was pending after it"
JANUARY_REBUILT = "window 2017-01 is what its ledger rows come to"


@dataclass(frozen=True, slots=True)
class Case:
    """How to break one rule, and what of the row that breaks it is named.

    also: a closed window's stored result cannot be changed without its rebuild showing it.
    """

    rule: str
    change: tuple[str, ...]
    names: str
    also: tuple[str, ...] = ()


# Member 1, in order: posting 1 earns lot 2 at telecom and posting 3 lot 4 at retail, 100 each;
# burn 5 takes 30 of lot 2. That is January. Then posting 6 earns lot 7 at telecom, 100, burn 8
# takes 70 of lot 2 and 40 of lot 4, reversal 9 gives 10 of lot 4 back, reversal 10 takes 20 of
# earn 6 back, transfer 11 gives 5 of lot 4 to member 2, hold 12 takes 15, and burn 13 takes 5.

CASES = (
    Case(
        "history was imported before the first live posting, by a clock of its own",
        ("update posting set imported = true where member_id = 1 and posting_no = 13",),
        "posting 13 of member 1 is imported: recorded at 2017-02-10",
    ),
    Case(
        "a lot's points are what remains of it and what its legs took",
        (
            "update leg set points = points + 1 where posting_no = 8 and lot_no = 2",
            "update leg set points = points - 1 where posting_no = 8 and lot_no = 4",
        ),
        "lot 2 of member 1: 100 points, but 0 remain and legs took 101",
    ),
    Case(
        "an account's available points are what remains in its lots",
        (
            "update account set available = available + 1, spent_points = spent_points - 1"
            " where member_id = 1",
            "update posting set change = change + 1, available_after = available_after + 1"
            " where member_id = 1 and posting_no = 13",
        ),
        "member 1: 126 available, but 125 remain",
        also=(CHANGE,),
    ),
    Case(
        "an account's held points are the legs of its held burns",
        ("update account set held = held + 1 where member_id = 1",),
        "member 1: 16 held, but legs of held burns come to 15",
    ),
    Case(
        "an account's available points are the sum of its journal",
        (
            "update posting set change = change + 1, available_after = available_after + 1"
            " where member_id = 1 and posting_no = 13",
            "update account set spent_points = spent_points - 1 where member_id = 1",
        ),
        "member 1: 125 available, but its postings come to 126",
        also=(CHANGE,),
    ),
    Case(
        "what an account counts as spent on a day is what its burns, holds and transfers took",
        ("update account set spent_points = 0 where member_id = 1",),
        "member 1: 0 counted as spent on 2017-02-10, but its postings took 135",
    ),
    Case(
        "every posting states the balance that the ones before it add up to",
        ("update posting set available_after = 7 where member_id = 1 and posting_no = 8",),
        "posting 8 of member 1: 7 available after it, but postings come to 160",
    ),
    Case(
        "what a member owes is the sum of its debts, each of a reversed earn",
        ("update account set owed = owed + 1 where member_id = 3",),
        "member 3: 31 owed, but its debts come to 30",
    ),
    Case(
        "a burn's points are its legs, except what reversals returned",
        ("update burn set points = points + 1 where member_id = 1 and burn_no = 8",),
        "burn 8 of member 1: 111 points, 10 returned, but legs come to 100",
    ),
    Case(
        "a leg has its lot's origin and its burn's kind and redeemer",
        (f"update leg set redeemer_id = {TELECOM} where posting_no = 8 and lot_no = 2",),
        "leg (member 1, lot 2, posting 8)",
    ),
    Case(
        "every leg of a posted burn is in exactly one window, and no leg of another is in any",
        ("update leg set window_id = null where posting_no = 8 and lot_no = 2",),
        "leg (member 1, lot 2, posting 8) of a posted burn: window",
    ),
    Case(
        "a burn never gives back to a lot more than it took from it",
        # The 20 that were clawed back from lot 7 make room there for what burn 8 gives back.
        (
            "update leg set lot_no = 7, origin_id = (select origin_id from lot where lot_no = 7)"
            " where posting_no = 9",
            "update lot set remaining = remaining - 10 where member_id = 1 and lot_no = 4",
            "update lot set remaining = remaining + 10 where member_id = 1 and lot_no = 7",
        ),
        "burn 8 of member 1: lot 7 was given 10 too much",
    ),
    Case(
        CHANGE,
        (
            "update posting set change = change + 1, available_after = available_after + 1"
            " where member_id = 1 and posting_no = 6",
            "update posting set change = change - 1 where member_id = 1 and posting_no = 8",
            "update account set spent_points = spent_points + 1 where member_id = 1",
        ),
        "posting 6 of member 1: change 101, but its lots and legs come to 100",
    ),
    Case(
        DEBTS,
        (f"update debt set origin_id = {RETAIL} where member_id = 3",),
        f"member 3: origin {RETAIL} is owed 30, but reversals and earns come to 0",
    ),
    Case(
        "what is given back names the window of the leg it gives back, where that is another one",
        ("update leg set about_window_id = 1 where member_id = 1 and posting_no = 9",),
        "leg (member 1, lot 4, posting 9) is about window 1, not",
    ),
    Case(
        "no earn is reversed beyond its points, nor any of its lots",
        ("update posting set owed = 90 where member_id = 1 and posting_no = 10",),
        "earn 6 of member 1: 110 of 100 points reversed",
        also=(DEBTS,),
    ),
    Case(
        "a reversal of an earn of several lots takes back what it takes of each of them",
        # As if posting 6 had made lot 4 as well.
        ("update lot set earn_no = 6 where member_id = 1 and lot_no = 4",),
        "reversal 10 of member 1: 20 points, 0 lapsed, 0 owed, but its lots:",
        also=(CHANGE,),
    ),
    Case(
        "no reversal of an earn finds more lapsed than expired of its lots",
        ("update posting set lapsed = 1 where member_id = 1 and posting_no = 10",),
        "earn 6 of member 1: 1 points found lapsed, but 0 expired",
    ),
    Case(
        "what one member gave, another received, with the same origins",
        ("update lot set kind = 'adjustment' where kind = 'transfer'",),
        f"points of origin {RETAIL} given in transfers: 5, received: 0",
    ),
    Case(
        "no open lot expires before the day its account knows of",
        ("update lot set expires_on = '2017-03-01' where member_id = 1 and lot_no = 7",),
        "member 1: next expiry known , but lot 7 expires on 2017-03-01",
    ),
    Case(
        "no open lot is pending longer than its account knows of",
        ("update lot set active_from = '2017-02-11' where member_id = 1 and lot_no = 7",),
        "member 1: none pending from  on, but lot 7 is until 2017-02-11",
    ),
    Case(
        PENDING_AFTER,
        ("update posting set pending_after = 3 where member_id = 1 and posting_no = 6",),
        "posting 6 of member 1: 3 pending after it, but its lots come to 0",
    ),
    Case(
        "nothing was burned, held or given away while it was pending",
        ("update lot set active_from = '2017-02-13' where member_id = 1 and lot_no = 2",),
        "leg (member 1, lot 2, posting 8): on 2017-02-10 it was pending until 2017-02-13",
        also=(PENDING_AFTER,),
    ),
    Case(
        "points that lapse by inactivity have moved, and not before the day their account knows of",
        ("update lot set inactive_months = 3 where member_id = 1 and lot_no = 7",),
        "member 1: next expiry known , but lot 7 moved on  and lives 3 months",
    ),
    Case(
        "an account's counter is not behind any number it gave out",
        ("update account set last_no = 12 where member_id = 1",),
        "member 1: counter 12, but number 13 is in use",
    ),
    Case(
        "exactly one window is open, and windows follow each other without a gap",
        ("update settlement_window set status = 'closed', closed_at = now() where window_id = 2",),
        "0 windows are open",
    ),
    Case(
        "exactly one window is open, and windows follow each other without a gap",
        ("update settlement_window set opens_at = opens_at + interval '1 s' where window_id = 2",),
        "window 2017-02 opens at 2017-02-01 00:00:01+00, but the one before closes at 2017-02-01",
    ),
    Case(
        "the net positions of a window add up to zero in every currency",
        (f"delete from position where party_id = {TELECOM}",),
        "window 1: positions in CNY come to",
        also=(JANUARY_REBUILT, "a position is what its obligations come to"),
    ),
    Case(
        "a position is what its obligations come to",
        (
            "update position set receivable = receivable + 1, payable = payable + 1"
            f" where party_id = {TELECOM}",
        ),
        f"window 1, party {TELECOM}: receivable",
        also=(JANUARY_REBUILT,),
    ),
    Case(
        "a window's opening balance is the closing balance of the one before",
        (f"update position set opening = 1, closing = closing + 1 where party_id = {TELECOM}",),
        f"window 1, party {TELECOM}: opens at 1, but closed at 0 before",
        also=(JANUARY_REBUILT,),
    ),
    Case(
        "every path of a closed window holds the points of its legs",
        ("update path set points = points + 1 where kind = 'redemption'",),
        "window 2017-01: paths hold 31 points of burns, but its legs hold 30",
        also=(JANUARY_REBUILT,),
    ),
    Case(
        JANUARY_REBUILT,
        ("update path set price = price + 1 where kind = 'redemption'",),
        "window 2017-01: obligation is stored, but the ledger does not give it",
    ),
    Case(
        "a window that is netted after one that keeps its terms keeps its own, of every merchant",
        (f"update window_terms set window_id = 0 where merchant_id = {TELECOM}",),
        f"window 2017-01: the terms that merchant {TELECOM} was netted by are not kept",
    ),
    Case(
        JANUARY_REBUILT,
        ("update leg set occurred_on = '2016-12-31' where window_id = 1",),
        "window 2017-01: path follows from the ledger, but is not stored",
    ),
)


@pytest.fixture
async def told(engine: AsyncEngine) -> AsyncEngine:
    """A ledger with a closed window, and something of every kind in the open one."""
    await crowd.found(engine, members=3)
    ledger = Ledger(engine)
    await ledger.start()
    await _all(ledger, asked(earn(1, 100), TELECOM), asked(earn(1, 100), RETAIL))
    await _all(ledger, asked(Burn(card(1), 30, crowd.START), RETAIL))
    await _all(ledger, asked(earn(3, 50), TELECOM))
    await close_due(engine, FEBRUARY)
    later = FEBRUARY
    await _all(
        ledger,
        asked(earn(1, 100, at=later), TELECOM, now=later),
        asked(Burn(card(1), 110, later), RETAIL, now=later),
        asked(ReverseEarn(3, 1, 20), TELECOM, now=later),
        asked(Burn(card(3), 30, later), RETAIL, now=later),
    )
    await _all(
        ledger,
        asked(ReverseBurn(1, 8, 10), RETAIL, now=later),
        asked(ReverseEarn(1, 6, 20), TELECOM, now=later),
        asked(Transfer(card(1), card(2), 5), RETAIL, now=later),
        asked(Burn(card(1), 15, later, hold_seconds=60), RETAIL, now=later),
        asked(Burn(card(1), 5, later), RETAIL, now=later),
        # All of it is spent: what is reversed now is owed.
        asked(ReverseEarn(3, 1), TELECOM, now=later),
    )
    return engine


async def _all(ledger: Ledger, *requests: Request) -> None:
    outcomes: list[Outcome] = await ledger.post(requests)
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Done)]
    assert not refused


async def _verified(engine: AsyncEngine) -> list[Breach]:
    async with engine.connect() as connection:
        return await verify(connection)


async def test_a_sound_ledger_breaks_no_rule_and_every_rule_is_told(told: AsyncEngine) -> None:
    says: list[str] = []
    async with told.connect() as connection:
        assert await verify(connection, on_rule=says.append) == []
    assert says == [*SAID, JANUARY_REBUILT]


async def test_an_empty_coalition_breaks_no_rule(engine: AsyncEngine) -> None:
    await crowd.found(engine, members=1)
    assert await _verified(engine) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.names[:60])
async def test_a_broken_rule_is_reported_with_its_row_and_nothing_else_is(
    told: AsyncEngine, case: Case
) -> None:
    await crowd.change(told, *case.change)
    breaches = await _verified(told)
    # What is changed behind the program's back has a wrong digest besides: tests/attacks.
    of_sums = {rule.says for rule in (*SUMS, *VALIDITY)} | {JANUARY_REBUILT}
    assert {breach.rule for breach in breaches} & of_sums == {case.rule, *case.also}
    rows = [breach.row for breach in breaches if breach.rule == case.rule]
    assert any(case.names in row for row in rows), rows


def test_every_rule_has_a_case() -> None:
    assert {rule.says for rule in (*SUMS, *VALIDITY)} - {case.rule for case in CASES} == set()


async def test_no_more_rows_are_named_than_anybody_would_read(engine: AsyncEngine) -> None:
    await crowd.found(engine, members=BREACHES_MAX + 1)
    await crowd.change(engine, "update account set held = 1")
    assert len(await _verified(engine)) == BREACHES_MAX
