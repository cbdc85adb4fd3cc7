"""Deciding reversals: a burn's points go back into their lots, an earn's are taken back."""

from coalition.errors import Code
from coalition.ledger import journal, rewards
from coalition.ledger.answer import reversal_answer
from coalition.ledger.checks import before_movement
from coalition.ledger.commands import Done, Outcome, Refused, Request, ReverseBurn, ReverseEarn
from coalition.ledger.legs import post_burn, put_back
from coalition.ledger.state import BurnRow, EarnRow, Lot, Member, State
from coalition.ledger.take import give_back
from coalition.terms.book import Book


def reverse_burn(
    request: Request, command: ReverseBurn, member: Member, row: BurnRow, state: State, book: Book
) -> Outcome:
    """Give points of a posted burn back into the very lots they came from, last leg first."""
    early = before_movement(command.occurred_at, row.occurred_at, "burn")
    if early is not None:
        return early
    if row.status != "posted":
        return Refused(
            Code.ALREADY_REVERSED if row.status == "voided" else Code.INVALID,
            f"The burn is {row.status}: "
            + ("its points are back." if row.status == "voided" else "void it instead."),
        )
    left = row.points - row.returned
    points = left if command.points is None else command.points
    if left == 0 or points > left:
        return Refused(Code.ALREADY_REVERSED, _left(left, row.points, points))
    if row.reward is not None and points != left:
        return Refused(Code.INVALID, rewards.WHOLE)
    number = member.next_no()
    returned = give_back(row.taken(), points)
    paid = put_back(row, returned, number, member, state, book, request.now)
    if row.reward is not None:
        rewards.give_back(row, number, request, state, book)
    row.returned += points
    state.record_burn_change(row)
    member.account.available += points - paid
    posting = journal.write(
        "reverse_burn",
        number,
        points - paid,
        request,
        member,
        state,
        # Whose burn it is, also where the house asked: it stands in that one's history.
        merchant_id=row.redeemer_id,
        card=row.card,
        occurred_at=command.occurred_at,
        target_no=row.burn_no,
    )
    legs = [leg for leg in row.legs if leg.posting_no == number]
    return Done(reversal_answer(posting, legs, state.window.label))


def reverse_earn(
    request: Request,
    command: ReverseEarn,
    member: Member,
    earned: EarnRow,
    state: State,
    book: Book,
) -> Outcome:
    """Take points of an earn back: from its own lots, then the origin's others, then as a debt.

    Expired is not spent: what lapsed of its own lots is gone first, and nothing is taken or owed
    for it. Since that much is counted once, parts end as the whole would.
    """
    early = before_movement(command.occurred_at, earned.occurred_at, "earn")
    if early is not None:
        return early
    points = _to_reverse(command, earned)
    if isinstance(points, Refused):
        return points
    earned.reversed_points += points
    earned.reversed_amount += command.amount or 0
    number = member.next_no()
    first_new = len(state.new_legs)
    lapsed = min(points, earned.lapsed_left)
    earned.lapsed_left -= lapsed
    taken = _lots_to_claw(member, earned, points - lapsed)
    moved = sum(part for _, part in taken)
    if taken:
        is_earlier = earned.window_id != state.window.window_id
        post_burn(
            "clawback",
            number,
            earned.merchant_id,
            taken,
            # The earn's own day, so that an issue price given back is the one that was paid.
            earned.occurred_on,
            member,
            state,
            about_window_id=earned.window_id if is_earlier else earned.about_window_id,
        )
    owed = points - lapsed - moved
    if owed:
        already = member.debts.get(earned.merchant_id, 0)
        state.record_debt(member, earned.merchant_id, already + owed)
    member.account.available -= moved
    member.tighten_expiry()
    posting = journal.write(
        "reverse_earn",
        number,
        -moved,
        request,
        member,
        state,
        # Whose earn it is, also where the house asked: it stands in that one's history.
        merchant_id=earned.merchant_id,
        card=earned.card,
        occurred_at=command.occurred_at,
        owed=owed,
        lapsed=lapsed,
        target_no=earned.earn_no,
        amount=command.amount,
    )
    return Done(reversal_answer(posting, state.new_legs[first_new:], state.window.label))


def _to_reverse(command: ReverseEarn, earned: EarnRow) -> int | Refused:
    left = earned.points - earned.reversed_points
    if left == 0:
        return Refused(Code.ALREADY_REVERSED, _left(0, earned.points, command.points or 0))
    if command.amount is None:
        points = left if command.points is None else command.points
        if points > left:
            return Refused(Code.ALREADY_REVERSED, _left(left, earned.points, points))
        return points
    if not earned.amount:
        return Refused(
            Code.INVALID, "amount: this earn has no amount; reverse it by points instead."
        )
    amount_left = earned.amount - earned.reversed_amount
    if command.amount > amount_left:
        return Refused(
            Code.ALREADY_REVERSED,
            f"{command.amount} is more than the {amount_left} of {earned.amount} minor units that "
            "are left to reverse.",
        )
    # What is kept is rounded up, for the member, who would have earned no less on what was not
    # returned; and on the whole rest, so that the order and the size of the parts returned never
    # change what is left in the end.
    kept = -(-earned.points * (amount_left - command.amount) // earned.amount)
    return max(0, left - kept)


def _lots_to_claw(member: Member, earned: EarnRow, points: int) -> list[tuple[Lot, int]]:
    # The others oldest first, as a burn takes them: the earliest expiry, then the earliest earned.
    order = [lot for lot in member.lots_in_order() if lot.origin_id == earned.merchant_id]
    own = [lot for lot in order if lot.earn_no == earned.earn_no]
    others = [lot for lot in order if lot.earn_no != earned.earn_no]
    taken: list[tuple[Lot, int]] = []
    for lot in own + others:
        part = min(lot.remaining, points)
        if part:
            taken.append((lot, part))
            points -= part
    return taken


def _left(left: int, whole: int, asked: int) -> str:
    if left == 0:
        return f"All {whole} points are reversed already."
    return f"{asked} points were asked; {left} of {whole} are left to reverse."
