"""Deciding a gift from one member to another: each leg taken becomes a lot of the same origin."""

from coalition.errors import Code
from coalition.ledger import journal
from coalition.ledger.answer import transfer_answer
from coalition.ledger.checks import short, suspended
from coalition.ledger.commands import BALANCE_MAX, Done, Outcome, Refused, Request, Transfer
from coalition.ledger.legs import post_burn
from coalition.ledger.limits import above_limits, count_spent
from coalition.ledger.state import Lot, Member, Posting, State
from coalition.ledger.take import Short, Taken, take_lots
from coalition.terms.book import Book


def transfer(
    request: Request, command: Transfer, giver: Member, taker: Member, state: State, book: Book
) -> Outcome:
    """Move points; their origins and expiries go along, and merchants owe nothing for it.

    The limits of a burn are those of a gift: who may not take points out at once may not give them
    away at once either.
    """
    merchant = book.merchants.get(request.merchant_id)
    terms = None if merchant is None else book.terms_today(merchant, request.now)
    refusal = above_limits(command.points, terms, request, giver.account, state, book)
    if refusal is not None:
        return refusal
    if taker.account.available + taker.account.held + command.points > BALANCE_MAX:
        return Refused(Code.LIMIT_REACHED, f"A member holds at most {BALANCE_MAX} points.")
    if merchant is not None and (refusal := suspended(merchant)) is not None:
        return refusal
    today = book.today(request.now)
    lots = giver.usable_lots(today)
    taken = take_lots(lots, command.points, command.take, request.merchant_id)
    if isinstance(taken, Short):
        return short(taken, giver.pending_on(today), book)
    first_new = len(state.new_legs)
    posting = _give(request, command, taken, giver, taker, state, book)
    legs = state.new_legs[first_new:]
    given = _receive(request, command, taken, giver, taker, state, book)
    return Done(transfer_answer(posting, legs, given, command.to_card, state.window.label))


def _give(
    request: Request,
    command: Transfer,
    taken: Taken,
    giver: Member,
    taker: Member,
    state: State,
    book: Book,
) -> Posting:
    number = giver.next_no()
    on = book.business_date(request.merchant_id, request.now)
    post_burn(
        "transfer", number, request.merchant_id, taken, on, giver, state, card=command.from_card
    )
    giver.account.available -= command.points
    count_spent(command.points, number, request, giver.account, state, book)
    giver.tighten_expiry()
    return journal.write(
        "transfer_out",
        number,
        -command.points,
        request,
        giver,
        state,
        book,
        merchant_id=request.merchant_id,
        card=command.from_card,
        peer_member_id=taker.account.member_id,
    )


def _receive(
    request: Request,
    command: Transfer,
    taken: Taken,
    giver: Member,
    taker: Member,
    state: State,
    book: Book,
) -> list[Lot]:
    number = taker.next_no()
    lots = [
        Lot(
            member_id=taker.account.member_id,
            lot_no=taker.next_no(),
            earn_no=number,
            origin_id=lot.origin_id,
            kind="transfer",
            points=points,
            remaining=points,
            # Points are as old as when they were first earned, whoever has them now.
            earned_at=lot.earned_at,
            earned_on=lot.earned_on,
            expires_on=lot.expires_on,
            window_id=state.window.window_id,
            inactive_months=lot.inactive_months,
        )
        for lot, points in taken
    ]
    for lot in lots:
        if lot.inactive_months is not None:
            # What is given lives on as it would have with its giver.
            moved_on = giver.moved_on.get(lot.origin_id, lot.earned_on)
            state.record_move(taker, lot.origin_id, moved_on)
        state.record_lot(taker, lot)
    taker.account.available += command.points
    journal.write(
        "transfer_in",
        number,
        command.points,
        request,
        taker,
        state,
        book,
        merchant_id=request.merchant_id,
        card=command.to_card,
        peer_member_id=giver.account.member_id,
        is_keyed=False,
    )
    return lots
