"""Deciding a gift from one member to another: each leg taken becomes a lot of the same origin."""

from coalition.errors import Code
from coalition.ledger.answer import transfer_answer
from coalition.ledger.burns import short, suspended, write_legs
from coalition.ledger.commands import BALANCE_MAX, Done, Outcome, Refused, Request, Transfer
from coalition.ledger.state import BurnRow, Lot, Member, Posting, State
from coalition.ledger.take import Short, Taken, take_lots
from coalition.terms.book import Book


def transfer(
    request: Request, command: Transfer, giver: Member, taker: Member, state: State, book: Book
) -> Outcome:
    """Move points; their origins and expiries go along, and merchants owe nothing for it."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is not None and (refusal := suspended(merchant)) is not None:
        return refusal
    taken = take_lots(giver.lots_in_order(), command.points, command.take, request.merchant_id)
    if taker.account.available + taker.account.held + command.points > BALANCE_MAX:
        return Refused(Code.LIMIT_REACHED, f"A member holds at most {BALANCE_MAX} points.")
    if isinstance(taken, Short):
        return short(taken, book)
    first_new = len(state.new_legs)
    posting = _give(request, command, taken, giver, taker, state, book)
    legs = state.new_legs[first_new:]
    lots = _receive(request, command, taken, giver, taker, state)
    return Done(transfer_answer(posting, legs, lots, command.to_card, state.window.label))


def _give(
    request: Request,
    command: Transfer,
    taken: Taken,
    giver: Member,
    taker: Member,
    state: State,
    book: Book,
) -> Posting:
    row = BurnRow(
        member_id=giver.account.member_id,
        burn_no=giver.next_no(),
        redeemer_id=request.merchant_id,
        kind="transfer",
        points=command.points,
        returned=0,
        status="posted",
        occurred_on=book.business_date(request.merchant_id, request.now),
        hold_expires_at=None,
        window_id=state.window.window_id,
        card=command.from_card,
        legs=[],
    )
    state.record_burn(giver, row)
    write_legs(row, taken, row.burn_no, None, giver, state)
    giver.account.available -= command.points
    giver.tighten_expiry()
    posting = Posting(
        member_id=giver.account.member_id,
        posting_no=row.burn_no,
        kind="transfer_out",
        merchant_id=request.merchant_id,
        card=command.from_card,
        change=-command.points,
        available_after=giver.account.available,
        occurred_at=request.now,
        recorded_at=request.now,
        window_id=state.window.window_id,
        peer_member_id=taker.account.member_id,
        request_id=request.request_id,
        body_hash=request.body_hash,
    )
    state.record_posting(giver, posting)
    return posting


def _receive(
    request: Request,
    command: Transfer,
    taken: Taken,
    giver: Member,
    taker: Member,
    state: State,
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
        )
        for lot, points in taken
    ]
    for lot in lots:
        state.record_lot(taker, lot)
    taker.account.available += command.points
    state.record_posting(
        taker,
        Posting(
            member_id=taker.account.member_id,
            posting_no=number,
            kind="transfer_in",
            merchant_id=request.merchant_id,
            card=command.to_card,
            change=command.points,
            available_after=taker.account.available,
            occurred_at=request.now,
            recorded_at=request.now,
            window_id=state.window.window_id,
            peer_member_id=giver.account.member_id,
        ),
    )
    return lots
