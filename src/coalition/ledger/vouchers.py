"""Deciding the use of a voucher, and its cancelling: the points and the piece go back."""

from coalition.errors import Code
from coalition.ledger import journal, rewards
from coalition.ledger.answer import voucher_answer
from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.burns import redeem_hold
from coalition.ledger.checks import suspended
from coalition.ledger.commands import (
    CancelVoucher,
    Done,
    OnVoucher,
    Outcome,
    Refused,
    Request,
    UseVoucher,
)
from coalition.ledger.legs import put_back
from coalition.ledger.state import Member, State
from coalition.ledger.take import give_back
from coalition.rewards.voucher import Voucher, VoucherEvent, VoucherState, burn_status_at, state_of
from coalition.terms.book import Book

NO_SUCH = "There is no such voucher."
_WHY: dict[VoucherState, str] = {
    "reserved": "its burn is held: capture that first, or void it",
    "used": "there is nothing left of it",
    "expired": "its last day is past",
    "cancelled": "its points went back to the member",
    "part_used": "a part of it was used, and what was used is not given back",
}


def refusal(
    request: Request, command: OnVoucher, burn: BurnRow, voucher: Voucher, book: Book
) -> Refused | None:
    """What a voucher's state, and its terms, refuse of a use or a cancelling."""
    if isinstance(command, UseVoucher) and (wrong := _wrong_amount(command, voucher)) is not None:
        return Refused(Code.INVALID, wrong)
    state = _state(request, burn, voucher, book)
    may = ("issued",) if isinstance(command, CancelVoucher) else ("issued", "part_used")
    if state not in may:
        words = state.replace("_", " ")
        return Refused(Code.NOT_USABLE, f"The voucher is {words}: {_WHY[state]}.")
    if isinstance(command, UseVoucher) and (command.amount or 0) > (voucher.remaining or 0):
        return Refused(
            Code.NOT_USABLE, f"{command.amount} were asked; {voucher.remaining} are left of it."
        )
    return None


def _state(request: Request, burn: BurnRow, voucher: Voucher, book: Book) -> VoucherState:
    status = burn_status_at(burn.status, burn.hold_expires_at, burn.on_lapse, request.now)
    today = book.business_date(burn.redeemer_id, request.now)
    return state_of(voucher.status, voucher.expires_on, status, today)


def _wrong_amount(command: UseVoucher, voucher: Voucher) -> str | None:
    if command.amount is None:
        return None
    if voucher.value is None:
        return "amount: the voucher is not worth money; leave it out."
    if not voucher.part_use and command.amount != voucher.value:
        return f"amount: the voucher is used whole; leave it out, or send {voucher.value}."
    return None


def use(
    request: Request,
    command: UseVoucher,
    member: Member,
    burn: BurnRow,
    voucher: Voucher,
    state: State,
    book: Book,
) -> Outcome:
    """Take an amount off a voucher, or all that is left of it."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is not None and (stopped := suspended(merchant)) is not None:
        return stopped
    amount = voucher.remaining if command.amount is None else command.amount
    left = None if voucher.remaining is None else voucher.remaining - (amount or 0)
    if burn.status == "held":
        # It was kept for this: whoever redeems it is paid in the window that is open now.
        redeem_hold(request, member, burn, state, book, request.now)
    number = member.next_no()
    posting = journal.write(
        "use_voucher",
        number,
        0,
        request,
        member,
        state,
        book,
        merchant_id=burn.redeemer_id,
        card=burn.card,
        target_no=burn.burn_no,
        amount=amount,
    )
    event = VoucherEvent(voucher.member_id, number, voucher.voucher_no, "used", amount, left)
    state.rewards.record_event(voucher, event)
    return Done(voucher_answer(posting, burn, (), state.rewards))


def cancel(
    request: Request, member: Member, burn: BurnRow, voucher: Voucher, state: State, book: Book
) -> Outcome:
    """Give back one piece's points: its share of each origin, into the very lots they came from."""
    number = member.next_no()
    returned = _share(burn)
    points = sum(part for _, part in returned)
    paid = put_back(burn, returned, number, member, state, book, request.now)
    rewards.put_pieces_back(burn, 1, request, state, book)
    rewards.end(voucher, number, state, "cancelled")
    burn.returned += points
    if burn.status == "held":
        burn.status = "voided"
        member.account.held -= points
    state.record_burn_change(burn)
    member.account.available += points - paid
    posting = journal.write(
        "cancel_voucher",
        number,
        points - paid,
        request,
        member,
        state,
        book,
        merchant_id=burn.redeemer_id,
        card=burn.card,
        target_no=burn.burn_no,
    )
    legs = [leg for leg in burn.legs if leg.posting_no == number]
    return Done(voucher_answer(posting, burn, legs, state.rewards))


def _share(burn: BurnRow) -> list[tuple[Leg, int]]:
    """One piece's part of what is left of a burn: of a mix the same mix, last leg first.

    A mix takes of each origin so much a piece; of any origin it does not matter whose go back.
    """
    pieces, taken = burn.pieces, burn.taken()
    by_origin: dict[int, list[tuple[Leg, int]]] = {}
    for leg, left in taken:
        by_origin.setdefault(leg.origin_id, []).append((leg, left))
    sums = {origin: sum(left for _, left in legs) for origin, legs in by_origin.items()}
    if any(points % pieces for points in sums.values()):
        return give_back(taken, sum(sums.values()) // pieces)
    return [
        back
        for origin, legs in by_origin.items()
        for back in give_back(legs, sums[origin] // pieces)
    ]
