"""Deciding an earn: what a purchase is worth, the lot it makes, and the debt it first pays."""

from datetime import date

from coalition.earning.purchase import POINTS_MAX
from coalition.earning.rates import check_purchase, points_for
from coalition.earning.validity import last_good_day, months_later, usable_from
from coalition.errors import Code
from coalition.ledger import journal
from coalition.ledger.answer import earn_answer
from coalition.ledger.checks import suspended, window_about, wrong_day
from coalition.ledger.commands import BALANCE_MAX, Done, Earn, Outcome, Refused, Request
from coalition.ledger.legs import pay_debts
from coalition.ledger.state import EarnRow, Lot, Member, Posting, State
from coalition.terms.book import Book
from coalition.terms.terms import Terms


def against_terms(request: Request, command: Earn, book: Book) -> Refused | None:
    """The refusal of an earn that the merchant's terms call invalid, whosever card it is."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return Refused(Code.INVALID, "Only a merchant issues points; use a merchant's key.")
    refusal = wrong_day(command.occurred_at, request, book)
    if refusal is not None:
        return refusal
    terms = merchant.on(book.business_date(request.merchant_id, command.occurred_at))
    if command.points is not None and not terms.points_outright:
        return Refused(
            Code.INVALID,
            f"The terms of {terms.code} do not let it grant points outright; send the "
            "purchase's amount instead.",
        )
    try:
        check_purchase(command.amount, command.items)
    except ValueError as error:
        return Refused(Code.INVALID, str(error))
    return None


def earn(request: Request, command: Earn, member: Member, state: State, book: Book) -> Outcome:
    """Grant the points of one purchase as one lot of the merchant's origin.

    What against_terms() refuses is not asked again.
    """
    merchant = book.merchants[request.merchant_id]
    on = book.business_date(request.merchant_id, command.occurred_at)
    terms = merchant.on(on)
    points = _worth(command, terms)
    if isinstance(points, Refused):
        return points
    today = book.terms_today(merchant, request.now)
    refusal = _limits(points, today, member) or suspended(merchant)
    if refusal is not None:
        return refusal
    expires_on, active_from = last_good_day(terms.validity, on), usable_from(terms.validity, on)
    idle_until = _idle_until(request.merchant_id, on, terms, member)
    over = _over(on, active_from, expires_on or idle_until, book.today(request.now))
    if over is not None:
        return over
    account = member.account
    earn_no = member.next_no()
    lot = Lot(
        member_id=account.member_id,
        lot_no=member.next_no(),
        earn_no=earn_no,
        origin_id=request.merchant_id,
        kind="purchase" if command.points is None else "outright",
        points=points,
        remaining=points,
        earned_at=command.occurred_at,
        earned_on=on,
        expires_on=expires_on,
        window_id=state.window.window_id,
        about_window_id=window_about(command.occurred_at, state, book),
        active_from=active_from,
        inactive_months=terms.validity.inactive_months,
    )
    if request.merchant_id in book.idle_origins:
        state.record_move(member, request.merchant_id, on)
    state.record_lot(member, lot)
    paid = pay_debts(earn_no, [(lot, points)], member, state)
    account.available += points - paid
    amount = command.amount
    if amount is None and command.items:
        amount = sum(item.amount for item in command.items)
    posting = journal.write(
        "earn",
        earn_no,
        points - paid,
        request,
        member,
        state,
        book,
        merchant_id=request.merchant_id,
        card=command.card,
        occurred_at=command.occurred_at,
        amount=amount,
        reference=command.reference,
    )
    if state.called:
        # A reversal of the same group may name it by its reference.
        member.earns[earn_no] = _as_row(posting, lot)
    return Done(earn_answer(posting, [lot], state.window.label))


def _idle_until(origin_id: int, on: date, terms: Terms, member: Member) -> date | None:
    """Until when points earned on that day live, where they lapse by inactivity."""
    months = terms.validity.inactive_months
    if months is None:
        return None
    moved_on = member.moved_on.get(origin_id, on)
    return months_later(max(on, moved_on), months)


def _over(
    on: date, active_from: date | None, expires_on: date | None, today: date
) -> Refused | None:
    """A refusal of points that lapsed already, or would before they could be burned."""
    if expires_on is None:
        return None
    if expires_on < today:
        return Refused(
            Code.NOTHING_EARNED, f"Points earned on {on} were good until {expires_on}; it is over."
        )
    if active_from is not None and expires_on < active_from:
        return Refused(
            Code.NOTHING_EARNED,
            f"Points earned on {on} could be burned from {active_from} on, and lapse after "
            f"{expires_on}.",
        )
    return None


def _as_row(posting: Posting, lot: Lot) -> EarnRow:
    return EarnRow(
        member_id=posting.member_id,
        earn_no=posting.posting_no,
        merchant_id=posting.merchant_id,
        card=posting.card or 0,
        points=lot.points,
        amount=posting.amount,
        occurred_on=lot.earned_on,
        window_id=lot.window_id,
        about_window_id=lot.about_window_id,
        reversed_points=0,
        reversed_amount=0,
        lapsed_left=0,
        occurred_at=posting.occurred_at,
    )


def _worth(command: Earn, terms: Terms) -> int | Refused:
    if command.points is not None:
        return command.points
    points = points_for(terms.rates, command.amount, command.items)
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
