"""What rules remembered of an earn that is reversed: taken out of their sums again.

A return out of a period's brackets takes what the period's sum then comes to less: of the points
that lapsed in that period what is left of them, then of the earn's own lot, then of the others of
its origin, those of the period first, and the rest is owed.
"""

from collections.abc import Iterable
from datetime import datetime

from coalition.earning.memory import NOTHING_YET
from coalition.earning.rules.brackets import BracketsRule
from coalition.ledger.earned import Counted, EarnPart, EarnRow, Pool
from coalition.ledger.state import Lot, Member, State
from coalition.terms.book import Book


def take_by_sums(
    earned: EarnRow,
    amount: int,
    number: int,
    taken: dict[int, int],
    member: Member,
    state: State,
    book: Book,
    now: datetime,
) -> list[Counted]:
    """What the return `number` of so many minor units takes out of each sum that the earn is in.

    taken, by lot, is added to: what is to be taken of the lots. What is owed is recorded.
    """
    back = []
    for row in earned.sums:
        spent = _spent_back(row, earned, amount)
        points = _points_back(row, earned, spent, member, book)
        pool = member.pools.setdefault((row.merchant_id, row.key), Pool({row.earn_no}, 0))
        lapsed = min(points, pool.lapsed_left + _lapsing(row, pool, member, state))
        pool.lapsed_left -= lapsed
        owed = _claw(row, points - lapsed, pool, taken, member, book, now)
        assert row.origin_id is not None, "a sum is of an origin"
        owe(row.origin_id, owed, member, state)
        is_whole = earned.reversed_amount + amount == earned.amount
        back.append(
            Counted(
                row.member_id,
                row.earn_no,
                number,
                row.merchant_id,
                *row.key,
                -spent,
                -points,
                -row.times if is_whole else 0,
                row.origin_id,
                lapsed,
                owed,
            )
        )
    return back


def owe(origin_id: int, points: int, member: Member, state: State) -> None:
    """Let the member owe so many points more."""
    if points:
        state.record_debt(member, origin_id, member.debts.get(origin_id, 0) + points)


def forget(
    earned: EarnRow,
    back: Iterable[tuple[EarnPart, int]],
    number: int,
    member: Member,
    state: State,
) -> None:
    """Take out of what other rules count what the return `number` takes of each of its lots."""
    by_rule: dict[str | None, int] = {}
    for part, points in back:
        by_rule[part.rule] = by_rule.get(part.rule, 0) + points
    is_whole = (
        earned.reversed_amount == earned.amount
        if earned.sums
        else earned.reversed_points == earned.points
    )
    for row in earned.own_counts:
        points = by_rule.get(row.rule, 0)
        times = row.times if is_whole else 0
        if row.origin_id is None and (points or times):
            gone = Counted(
                row.member_id, row.earn_no, number, row.merchant_id, *row.key, 0, -points, -times
            )
            state.record_counted(member, gone)
            earned.counted.append(gone)


def _spent_back(row: Counted, earned: EarnRow, amount: int) -> int:
    """Of what counted, what is returned: in proportion, and all of it with the whole amount."""
    if not earned.amount:
        return 0
    before = row.spent * earned.reversed_amount // earned.amount
    return row.spent * (earned.reversed_amount + amount) // earned.amount - before


def _points_back(row: Counted, earned: EarnRow, spent: int, member: Member, book: Book) -> int:
    tally = member.tallies.get(row.merchant_id, {}).get(row.key, NOTHING_YET)
    if tally.spent == spent:
        return tally.points
    terms = book.merchants[row.merchant_id].on(earned.occurred_on)
    rules = {rule.name: rule for rule in terms.rules if isinstance(rule, BracketsRule)}
    rule = rules[row.rule]
    # Within one period the brackets may have changed: no more is taken than was given.
    return min(tally.points, rule.total(tally.spent) - rule.total(tally.spent - spent))


def _lapsing(row: Counted, pool: Pool, member: Member, state: State) -> int:
    """Of the period's points, those that expire in this very group."""
    return sum(
        leg.points
        for leg in state.new_legs
        if leg.kind == "expiry"
        and leg.member_id == row.member_id
        and _is_of(member.lots[leg.lot_no], row, pool)
    )


def _is_of(lot: Lot, row: Counted, pool: Pool) -> bool:
    return lot.rule == row.rule and lot.earn_no in pool.earns


def _claw(
    row: Counted,
    wanted: int,
    pool: Pool,
    taken: dict[int, int],
    member: Member,
    book: Book,
    now: datetime,
) -> int:
    """Add to `taken` what the lots of the origin still have of so many points; what is missing."""
    if not wanted:
        return 0
    today = book.today(now)

    def turn(lot: Lot) -> tuple[bool, bool, bool]:
        is_own = lot.earn_no == row.earn_no and lot.rule == row.rule
        return (not is_own, not _is_of(lot, row, pool), not lot.is_pending(today))

    # A stable sort: of those alike, the oldest stays first.
    for lot in sorted(member.lots_in_order(), key=turn):
        if lot.origin_id == row.origin_id and wanted:
            part = min(lot.remaining - taken.get(lot.lot_no, 0), wanted)
            taken[lot.lot_no] = taken.get(lot.lot_no, 0) + part
            wanted -= part
    return wanted
