"""Deciding an earn: what a purchase is worth, the lot it makes, and the debt it first pays."""

from coalition.earning.purchase import POINTS_MAX
from coalition.earning.rates import points_for
from coalition.earning.validity import last_good_day
from coalition.errors import Code
from coalition.ledger.answer import earn_answer
from coalition.ledger.burns import before_joining, suspended, window_about
from coalition.ledger.commands import BALANCE_MAX, Done, Earn, Outcome, Refused, Request
from coalition.ledger.state import BurnRow, Leg, Lot, Member, Posting, State
from coalition.terms.book import Book
from coalition.terms.terms import Terms


def earn(request: Request, command: Earn, member: Member, state: State, book: Book) -> Outcome:
    """Grant the points of one purchase as one lot of the merchant's origin."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return Refused(Code.INVALID, "Only a merchant issues points; use a merchant's key.")
    early = before_joining(command.occurred_at, merchant, book)
    if early is not None:
        return early
    on = book.business_date(request.merchant_id, command.occurred_at)
    terms = merchant.on(on)
    points = _worth(command, terms)
    if isinstance(points, Refused):
        return points
    refusal = _limits(points, book.terms_today(merchant, request.now), member) or suspended(
        merchant
    )
    if refusal is not None:
        return refusal
    expires_on = last_good_day(terms.validity, on)
    if expires_on is not None and expires_on < book.today(request.now):
        return Refused(
            Code.NOTHING_EARNED, f"Points earned on {on} were good until {expires_on}; it is over."
        )
    account = member.account
    earn_no = member.next_no()
    lot = Lot(
        member_id=account.member_id,
        lot_no=member.next_no(),
        earn_no=earn_no,
        origin_id=request.merchant_id,
        kind="purchase" if command.points is None else "action",
        points=points,
        remaining=points,
        earned_at=command.occurred_at,
        earned_on=on,
        expires_on=expires_on,
        window_id=state.window.window_id,
        about_window_id=window_about(command.occurred_at, state, book),
    )
    state.record_lot(member, lot)
    paid = _pay_debt(earn_no, lot, member, state)
    account.available += points - paid
    amount = command.amount
    if amount is None and command.items:
        amount = sum(item.amount for item in command.items)
    posting = Posting(
        member_id=account.member_id,
        posting_no=earn_no,
        kind="earn",
        merchant_id=request.merchant_id,
        card=command.card,
        change=points - paid,
        available_after=account.available,
        occurred_at=command.occurred_at,
        recorded_at=request.now,
        window_id=state.window.window_id,
        amount=amount,
        request_id=request.request_id,
        body_hash=request.body_hash,
        reference=command.reference,
    )
    state.record_posting(member, posting)
    return Done(earn_answer(posting, [lot], state.window.label))


def _worth(command: Earn, terms: Terms) -> int | Refused:
    if command.points is not None:
        if not terms.points_outright:
            return Refused(
                Code.INVALID,
                f"The terms of {terms.code} do not let it grant points outright; send the "
                "purchase's amount instead.",
            )
        return command.points
    try:
        points = points_for(terms.rates, command.amount, command.items)
    except ValueError as error:
        return Refused(Code.INVALID, str(error))
    if points == 0:
        return Refused(
            Code.NOTHING_EARNED,
            f"This purchase comes to 0 points under the terms of {terms.code}.",
        )
    if points > POINTS_MAX:
        return Refused(Code.LIMIT_REACHED, f"{points} points in one earn; at most {POINTS_MAX}.")
    return points


def _limits(points: int, terms: Terms, member: Member) -> Refused | None:
    most = terms.points_per_earn_max
    if most is not None and points > most:
        return Refused(
            Code.LIMIT_REACHED,
            f"{points} points in one earn; the terms of {terms.code} allow {most}.",
        )
    if member.account.available + member.account.held + points > BALANCE_MAX:
        return Refused(Code.LIMIT_REACHED, f"A member holds at most {BALANCE_MAX} points.")
    return None


def _pay_debt(earn_no: int, lot: Lot, member: Member, state: State) -> int:
    """Take what the member still owes this origin out of the new lot first; how much that was."""
    paid = min(member.debts.get(lot.origin_id, 0), lot.points)
    if not paid:
        return 0
    clawback = BurnRow(
        member_id=lot.member_id,
        burn_no=earn_no,
        redeemer_id=lot.origin_id,
        kind="clawback",
        points=paid,
        returned=0,
        status="posted",
        occurred_on=lot.earned_on,
        hold_expires_at=None,
        window_id=state.window.window_id,
        card=None,
        legs=[],
    )
    state.record_burn(member, clawback)
    state.record_leg(
        member,
        clawback,
        Leg(
            member_id=lot.member_id,
            lot_no=lot.lot_no,
            posting_no=earn_no,
            burn_no=earn_no,
            origin_id=lot.origin_id,
            redeemer_id=lot.origin_id,
            kind="clawback",
            points=paid,
            occurred_on=lot.earned_on,
            window_id=state.window.window_id,
            about_window_id=lot.about_window_id,
            leg_no=1,
        ),
    )
    state.record_debt(member, lot.origin_id, member.debts[lot.origin_id] - paid)
    return paid
