"""Deciding reversals: a burn's points go back into their lots, an earn's are taken back."""

from collections.abc import Sequence
from datetime import date

from coalition.earning.shares import spread
from coalition.errors import Code
from coalition.ledger import journal, rewards
from coalition.ledger.answer import reversal_answer
from coalition.ledger.burned import BurnRow
from coalition.ledger.checks import before_movement
from coalition.ledger.commands import Done, Outcome, Refused, Request, ReverseBurn, ReverseEarn
from coalition.ledger.earned import EarnPart, EarnRow, ReversedLot
from coalition.ledger.legs import post_burn, put_back
from coalition.ledger.state import Lot, Member, State
from coalition.ledger.sums import forget, owe, take_by_sums
from coalition.ledger.take import give_back
from coalition.terms.book import HOUSE_ID, Book


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
        book,
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
    """Take points of an earn back: from its own lots, then the origin's others, those that are
    pending first, then as a debt.

    Where it made several lots, each gives back its part of them, and owes it to its own origin.
    Expired is not spent: what lapsed of its own lots is gone first, and nothing is taken or owed
    for it. Since that much is counted once, parts end as the whole would.
    """
    early = before_movement(command.occurred_at, earned.occurred_at, "earn")
    if early is not None:
        return early
    returned = _returned(command, earned)
    if isinstance(returned, Refused):
        return returned
    points, amount = returned
    parts = earned.plain_parts
    given = [part.points for part in parts]
    already = earned.reversed_points - earned.reversed_in_sums
    before, after = spread(already, given), spread(already + points, given)
    back = [total - before_it for total, before_it in zip(after, before, strict=True)]
    number = member.next_no()
    first_new = len(state.new_legs)
    lapsed = _find_lapsed(parts, back)
    wanted = [asked - gone for asked, gone in zip(back, lapsed, strict=True)]
    taken, owed = _claw(member, parts, wanted, book.today(request.now))
    by_sums = take_by_sums(earned, amount or 0, number, taken, member, state, book, request.now)
    earned.reversed_points += points - sum(one.points for one in by_sums)
    earned.reversed_amount += amount or 0
    moved = sum(taken.values())
    if moved:
        lots = [(member.lots[lot_no], part) for lot_no, part in taken.items() if part]
        _post_clawback(number, earned, lots, member, state)
    for part, short in zip(parts, owed, strict=True):
        owe(part.origin_id, short, member, state)
    if len(earned.parts) > 1 or earned.sums or parts[0].origin_id != earned.merchant_id:
        _note_lots(number, earned.member_id, parts, back, lapsed, owed, state)
    for one in by_sums:
        state.record_counted(member, one)
    forget(earned, zip(parts, back, strict=True), number, member, state)
    earned.counted += by_sums
    member.account.available -= moved
    member.tighten_expiry()
    posting = journal.write(
        "reverse_earn",
        number,
        -moved,
        request,
        member,
        state,
        book,
        # Whose earn it is, also where the house asked: it stands in that one's history.
        merchant_id=earned.merchant_id,
        card=earned.card,
        occurred_at=command.occurred_at,
        owed=sum(owed) + sum(one.owed for one in by_sums),
        lapsed=sum(lapsed) + sum(one.lapsed for one in by_sums),
        target_no=earned.earn_no,
        amount=amount,
    )
    return Done(reversal_answer(posting, state.new_legs[first_new:], state.window.label))


def _returned(command: ReverseEarn, earned: EarnRow) -> tuple[int, int | None] | Refused:
    """The points that its plain lots give back, and the amount that is returned."""
    given = sum(part.points for part in earned.plain_parts)
    left = given - (earned.reversed_points - earned.reversed_in_sums)
    amount = command.amount
    if earned.sums:
        if command.points is not None:
            return Refused(
                Code.INVALID,
                "points: this earn counts in the brackets of a period, where points follow from "
                "what is spent; reverse it by amount, or all of it.",
            )
        if amount is None:
            amount = (earned.amount or 0) - earned.reversed_amount
    elif left == 0:
        return Refused(Code.ALREADY_REVERSED, _left(0, given, command.points or 0))
    if amount is None:
        points = left if command.points is None else command.points
        if points > left:
            return Refused(Code.ALREADY_REVERSED, _left(left, given, points))
        return points, None
    if not earned.amount:
        return Refused(
            Code.INVALID, "amount: this earn has no amount; reverse it by points instead."
        )
    amount_left = earned.amount - earned.reversed_amount
    if amount > amount_left or not amount_left:
        return Refused(
            Code.ALREADY_REVERSED,
            f"{amount} is more than the {amount_left} of {earned.amount} minor units that "
            "are left to reverse."
            if amount > amount_left
            else f"All {earned.amount} minor units are reversed already.",
        )
    # What is kept is rounded up, for the member, who would have earned no less on what was not
    # returned; and on the whole rest, so that the order and the size of the parts returned never
    # change what is left in the end.
    kept = -(-given * (amount_left - amount) // earned.amount)
    return max(0, left - kept), amount


def _find_lapsed(parts: Sequence[EarnPart], back: Sequence[int]) -> list[int]:
    """Of what each lot gives back, what lapsed in it; that much is not found again."""
    lapsed = [min(points, part.lapsed_left) for part, points in zip(parts, back, strict=True)]
    for part, points in zip(parts, lapsed, strict=True):
        part.lapsed_left -= points
    return lapsed


def _claw(
    member: Member, parts: Sequence[EarnPart], wanted: Sequence[int], today: date
) -> tuple[dict[int, int], list[int]]:
    """What is taken of which lot, for so many points wanted back of each of the earn's lots; and
    what of each is missing.

    Each gives its own; what is spent of it comes from the earn's other lots of that origin, and
    then from the origin's others: first from what the member cannot burn yet, then oldest first, as
    a burn takes them.
    """
    short = list(wanted)
    places = {part.lot_no: place for place, part in enumerate(parts)}
    order = member.lots_in_order()
    own = [lot for lot in order if lot.lot_no in places]
    taken = {lot.lot_no: 0 for lot in own}
    for lot in own:
        place = places[lot.lot_no]
        taken[lot.lot_no] = min(lot.remaining, short[place])
        short[place] -= taken[lot.lot_no]
    if any(short):
        others = [lot for lot in order if lot.lot_no not in places]
        # A stable sort: of the pending, and of the others, the oldest stays first.
        others.sort(key=lambda lot: not lot.is_pending(today))
        for lot in own + others:
            for place, part in enumerate(parts):
                if part.origin_id == lot.origin_id and short[place]:
                    more = min(lot.remaining - taken.get(lot.lot_no, 0), short[place])
                    taken[lot.lot_no] = taken.get(lot.lot_no, 0) + more
                    short[place] -= more
    return taken, short


def _post_clawback(
    number: int,
    earned: EarnRow,
    taken: Sequence[tuple[Lot, int]],
    member: Member,
    state: State,
) -> None:
    is_earlier = earned.window_id != state.window.window_id
    origins = {lot.origin_id for lot, _ in taken}
    post_burn(
        "clawback",
        number,
        origins.pop() if len(origins) == 1 else HOUSE_ID,
        taken,
        # The earn's own day, so that an issue price given back is the one that was paid.
        earned.occurred_on,
        member,
        state,
        about_window_id=earned.window_id if is_earlier else earned.about_window_id,
    )


def _note_lots(
    number: int,
    member_id: int,
    parts: Sequence[EarnPart],
    back: Sequence[int],
    lapsed: Sequence[int],
    owed: Sequence[int],
    state: State,
) -> None:
    for part, points, gone, short in zip(parts, back, lapsed, owed, strict=True):
        if points:
            row = ReversedLot(member_id, part.lot_no, number, points, gone, short)
            state.new_reversed.append(row)


def _left(left: int, whole: int, asked: int) -> str:
    if left == 0:
        return f"All {whole} points are reversed already."
    return f"{asked} points were asked; {left} of {whole} are left to reverse."
