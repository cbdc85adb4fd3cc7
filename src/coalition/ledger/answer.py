"""What a posting answers, made from the ledger's rows alone.

The first answer and every replay of it come from the same function, so that the same key and body
get the same answer for ever.
"""

from collections.abc import Sequence

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.commands import (
    Answer,
    BoughtReward,
    BurnAnswer,
    EarnAnswer,
    GivenLot,
    IssuedVoucher,
    NewLot,
    ReversalAnswer,
    TakenLeg,
    TransferAnswer,
    VoucherAnswer,
)
from coalition.ledger.state import Lot, Posting
from coalition.rewards.voucher import Desk, VoucherState


def earn_answer(posting: Posting, lots: Sequence[Lot], window: str) -> EarnAnswer:
    """`lots`: those the earn made."""
    return EarnAnswer(
        member_id=posting.member_id,
        earn_no=posting.posting_no,
        card=posting.card or 0,
        merchant_id=posting.merchant_id,
        points=sum(lot.points for lot in lots),
        lots=tuple(
            NewLot(
                lot.lot_no,
                lot.kind,
                lot.points,
                lot.granted_until,
                lot.origin_id,
                lot.rule,
                lot.active_from,
            )
            for lot in lots
        ),
        available=posting.spendable_after,
        occurred_at=posting.occurred_at,
        recorded_at=posting.recorded_at,
        window=window,
    )


_STATUS_AFTER = {"burn": "posted", "hold": "held", "capture": "posted", "void": "voided"}


# What a burn's vouchers are by the posting that left it so.
_VOUCHERS_AFTER: dict[str, VoucherState] = {
    "burn": "issued",
    "hold": "reserved",
    "capture": "issued",
    "void": "cancelled",
}


def burn_answer(posting: Posting, burn: BurnRow, window: str, desk: Desk) -> BurnAnswer:
    """The burn as `posting` (a burn, hold, capture or void) left it, whatever came later."""
    status = _STATUS_AFTER[posting.kind]
    until = [leg for leg in burn.legs if leg.posting_no <= posting.posting_no]
    legs = _taken(until)
    return BurnAnswer(
        member_id=posting.member_id,
        burn_no=burn.burn_no,
        card=posting.card or 0,
        merchant_id=burn.redeemer_id,
        status=status,  # type: ignore[arg-type]  # the table's values are the literals
        points=sum(leg.points for leg in legs) or burn.points,
        legs=legs,
        available=posting.spendable_after,
        occurred_at=posting.occurred_at,
        recorded_at=posting.recorded_at,
        window=window if status == "posted" else None,
        bought=None if burn.reward is None else _bought(posting, burn, desk),
    )


def _bought(posting: Posting, burn: BurnRow, desk: Desk) -> BoughtReward:
    # A hold that is kept for its voucher's use is none to the voucher.
    kind = "burn" if posting.kind == "hold" and burn.on_lapse else posting.kind
    return BoughtReward(
        reward=burn.reward or "",
        quantity=burn.quantity or 0,
        price=burn.price_no or 0,
        money=burn.money or 0,
        vouchers=tuple(
            IssuedVoucher(
                voucher.voucher_no,
                desk.codes[voucher.member_id, voucher.voucher_no],
                _VOUCHERS_AFTER[kind],
                voucher.value,
                voucher.expires_on,
            )
            for voucher in desk.of_burn(burn.member_id, burn.burn_no)
        ),
        store=burn.store,
    )


def voucher_answer(
    posting: Posting, burn: BurnRow, legs: Sequence[Leg], desk: Desk
) -> VoucherAnswer:
    """A voucher as `posting` (a use, or its cancelling) left it. `legs`: those it wrote."""
    event = desk.events[posting.member_id, posting.posting_no]
    voucher = desk.vouchers[posting.member_id, event.voucher_no]
    return VoucherAnswer(
        member_id=posting.member_id,
        voucher_no=voucher.voucher_no,
        burn_no=burn.burn_no,
        merchant_id=burn.redeemer_id,
        reward=burn.reward or "",
        status=event.status,
        value=voucher.value,
        amount=event.amount,
        remaining=event.remaining,
        expires_on=voucher.expires_on,
        points=-sum(leg.points for leg in legs),
        available=posting.available_after,
        recorded_at=posting.recorded_at,
    )


def reversal_answer(posting: Posting, legs: Sequence[Leg], window: str) -> ReversalAnswer:
    """`legs`: those the reversal wrote of the burn it gives back, or by which it takes an earn."""
    return ReversalAnswer(
        kind="earn" if posting.kind == "reverse_earn" else "burn",
        member_id=posting.member_id,
        reversal_no=posting.posting_no,
        target_no=posting.target_no or 0,
        card=posting.card or 0,
        merchant_id=posting.merchant_id,
        # Not the change of the balance: points that came back may have paid a debt at once.
        points=sum(abs(leg.points) for leg in legs) + posting.owed,
        legs=tuple(TakenLeg(leg.lot_no, leg.origin_id, abs(leg.points)) for leg in legs),
        owed=posting.owed,
        available=posting.spendable_after,
        occurred_at=posting.occurred_at,
        recorded_at=posting.recorded_at,
        window=window,
    )


def transfer_answer(
    posting: Posting, legs: Sequence[Leg], lots: Sequence[Lot], to_card: int, window: str
) -> TransferAnswer:
    """`legs`: those the transfer took from the giver's lots; `lots`: what each became."""
    return TransferAnswer(
        member_id=posting.member_id,
        taker_id=posting.peer_member_id or 0,
        transfer_no=posting.posting_no,
        from_card=posting.card or 0,
        to_card=to_card,
        points=-posting.change,
        legs=tuple(TakenLeg(leg.lot_no, leg.origin_id, leg.points) for leg in legs),
        lots=tuple(
            GivenLot(lot.lot_no, lot.origin_id, lot.points, lot.granted_until, leg.lot_no)
            for leg, lot in zip(legs, lots, strict=True)
        ),
        available=posting.spendable_after,
        recorded_at=posting.recorded_at,
        window=window,
    )


def replayed_answer(
    posting: Posting,
    lots: Sequence[Lot],
    burn: BurnRow | None,
    legs: Sequence[Leg],
    to_card: int,
    window: str,
    desk: Desk,
) -> Answer:
    """The answer a posting gave when it was made. `burn` is the one it made or is about, `lots` are
    those it made: an earn its member's, a transfer the taker's.
    """
    if posting.kind == "earn":
        return earn_answer(posting, lots, window)
    if posting.kind in _STATUS_AFTER:
        assert burn is not None, "a burn, hold, capture or void is about a burn"
        return burn_answer(posting, burn, window, desk)
    if posting.kind in ("use_voucher", "cancel_voucher"):
        assert burn is not None, "a voucher is of a burn"
        return voucher_answer(posting, burn, legs, desk)
    if posting.kind in ("reverse_burn", "reverse_earn"):
        return reversal_answer(posting, legs, window)
    assert posting.kind == "transfer_out", f"a {posting.kind} is never asked for under a key"
    return transfer_answer(posting, legs, lots, to_card, window)


def _taken(legs: Sequence[Leg]) -> tuple[TakenLeg, ...]:
    left: dict[int, tuple[int, int]] = {}
    for leg in legs:
        _, points = left.get(leg.lot_no, (leg.origin_id, 0))
        left[leg.lot_no] = (leg.origin_id, points + leg.points)
    return tuple(TakenLeg(no, origin, points) for no, (origin, points) in left.items() if points)
