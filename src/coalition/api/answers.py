"""What a moved point answers: the response structs, and how the ledger's answers become them.

Times go out in UTC with a Z, cards as text, members, earns, burns and lots by their opaque ids.
"""

from datetime import UTC, date, datetime
from typing import Literal, TypeVar

import msgspec
from litestar import Response
from msgspec.structs import replace

from coalition.earning.reckoning import Reckoning
from coalition.earning.rules.together import PURCHASE
from coalition.ledger.commands import (
    BoughtReward,
    BurnAnswer,
    Done,
    EarnAnswer,
    ReversalAnswer,
    TakenLeg,
    TransferAnswer,
)
from coalition.rewards.codes import open_code
from coalition.rewards.voucher import VoucherState
from coalition.sealing.encryption import Keyring
from coalition.terms.book import Book
from coalition.wire import ids

REPLAYED = "Idempotent-Replayed"

T = TypeVar("T")


class LotOut(msgspec.Struct, frozen=True, gc=False):
    """A lot that an earn made. origin is who pays for it, rule the name of the rule that gave it:
    purchase where the merchant's rates did, null for points outright. active_from is the first day
    on which its points can be burned, null: at once. lot_id is null in a preview.
    """

    lot_id: str | None
    kind: str
    points: int
    expires_on: date | None
    active_from: date | None
    origin: str
    rule: str | None


class LegOut(msgspec.Struct, frozen=True, gc=False):
    lot_id: str
    origin: str
    points: int


class PayerOut(msgspec.Struct, frozen=True):
    origin: str
    points: int


class ReckonedOut(msgspec.Struct, frozen=True):
    """What one rule gave, and who pays for how many of its points; or why it gave none."""

    rule: str
    points: int
    paid_by: tuple[PayerOut, ...]
    why: str


class EarnOut(msgspec.Struct, frozen=True, gc=False):
    """An earn as it was posted. available is what the member could burn right after it: without the
    points that are pending until their lot's active_from.

    Of a preview earn_id is null, and reckoning says rule by rule how it came to its points.
    """

    earn_id: str | None
    card: str
    merchant: str
    points: int
    lots: tuple[LotOut, ...]
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str
    reckoning: tuple[ReckonedOut, ...] | msgspec.UnsetType = msgspec.UNSET


class MoneyOut(msgspec.Struct, frozen=True, gc=False):
    """Money in minor units (cents, fen) of an ISO 4217 currency."""

    amount: int
    currency: str


class CollectOut(msgspec.Struct, frozen=True, gc=False):
    """The store at which a reward is collected."""

    store: str


class NewVoucherOut(msgspec.Struct, frozen=True, gc=False):
    """A voucher that came of a burn. Whoever has its code may use it."""

    voucher: str
    code: str
    status: VoucherState
    expires_on: date | None
    value: MoneyOut | None


class BurnOut(msgspec.Struct, frozen=True, gc=False):
    """A burn as a burn, a capture or a void left it. window is null while held, or voided.

    Of a reward alone: which it is, how many pieces, which alternative of its price paid (from 0),
    the money that the member pays beside the points (negative: gets), and its vouchers.
    """

    burn_id: str
    card: str
    merchant: str
    status: Literal["held", "posted", "voided"]
    points: int
    legs: tuple[LegOut, ...]
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str | None
    reward: str | msgspec.UnsetType = msgspec.UNSET
    quantity: int | msgspec.UnsetType = msgspec.UNSET
    price: int | msgspec.UnsetType = msgspec.UNSET
    money: MoneyOut | msgspec.UnsetType = msgspec.UNSET
    vouchers: tuple[NewVoucherOut, ...] | msgspec.UnsetType = msgspec.UNSET
    collect: CollectOut | msgspec.UnsetType = msgspec.UNSET


class ReversalOut(msgspec.Struct, frozen=True, gc=False):
    """What a reversal moved, leg by leg. owed: points of it that were spent already and that the
    member's next earns at this origin pay first.
    """

    reversal_id: str
    card: str
    merchant: str
    points: int
    legs: tuple[LegOut, ...]
    owed: int
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str
    earn_id: str | msgspec.UnsetType = msgspec.UNSET
    burn_id: str | msgspec.UnsetType = msgspec.UNSET


class GivenLotOut(msgspec.Struct, frozen=True, gc=False):
    """A lot of the member who received; from_lot is the giver's lot that its points come from."""

    lot_id: str
    origin: str
    points: int
    expires_on: date | None
    from_lot: str


class TransferOut(msgspec.Struct, frozen=True, gc=False):
    """A gift. available is what the giver has left; lots are what the other member now has."""

    transfer_id: str
    from_card: str
    to_card: str
    points: int
    legs: tuple[LegOut, ...]
    lots: tuple[GivenLotOut, ...]
    available: int
    recorded_at: datetime
    window: str


def earn_out(answer: EarnAnswer, book: Book) -> EarnOut:
    member_id = answer.member_id
    return EarnOut(
        earn_id=ids.encode(ids.EARN, member_id, answer.earn_no),
        card=card_text(answer.card),
        merchant=book.codes[answer.merchant_id],
        points=answer.points,
        lots=tuple(
            LotOut(
                lot_id=ids.encode(ids.LOT, member_id, lot.lot_no),
                kind=lot.kind,
                points=lot.points,
                expires_on=lot.expires_on,
                active_from=lot.active_from,
                origin=book.codes[lot.origin_id],
                rule=rule_said(lot.rule, lot.kind),
            )
            for lot in answer.lots
        ),
        available=answer.available,
        occurred_at=utc(answer.occurred_at),
        recorded_at=utc(answer.recorded_at),
        window=answer.window,
    )


def rule_said(rule: str | None, kind: str) -> str | None:
    """What the rule that gave a lot is called: the rates of a file have no name of their own."""
    return rule or (PURCHASE if kind == "purchase" else None)


def preview_out(done: Done, book: Book) -> EarnOut:
    """An earn that was decided and not posted, so that nothing of it has an id."""
    assert isinstance(done.answer, EarnAnswer), "only earns are previewed"
    out = earn_out(done.answer, book)
    return replace(
        out,
        earn_id=None,
        lots=tuple(replace(lot, lot_id=None) for lot in out.lots),
        reckoning=_reckoned(done.reckoning, out),
    )


def _reckoned(reckoning: Reckoning | None, out: EarnOut) -> tuple[ReckonedOut, ...]:
    if reckoning is None:
        # By the rates alone, or outright.
        return tuple(
            ReckonedOut(lot.rule or lot.kind, lot.points, (PayerOut(lot.origin, lot.points),), "")
            for lot in out.lots
        )
    return tuple(
        ReckonedOut(one.rule, one.points, tuple(PayerOut(*part) for part in one.paid_by), one.note)
        for one in reckoning.granted
    ) + tuple(ReckonedOut(one.rule, 0, (), one.why) for one in reckoning.passed)


def burn_out(answer: BurnAnswer, book: Book, ring: Keyring | None = None) -> BurnOut:
    """ring opens the codes of vouchers; a burn of no reward has none."""
    out = _burn_out(answer, book)
    if answer.bought is None:
        return out
    assert ring is not None, "where rewards are answered, codes are opened"
    return _with_reward(out, answer, answer.bought, book, ring)


def _with_reward(
    out: BurnOut, answer: BurnAnswer, bought: BoughtReward, book: Book, ring: Keyring
) -> BurnOut:
    currency = book.merchants[answer.merchant_id].terms.currency
    return replace(
        out,
        reward=bought.reward,
        quantity=bought.quantity,
        price=bought.price,
        money=MoneyOut(bought.money, currency),
        vouchers=tuple(
            NewVoucherOut(
                voucher=ids.encode(ids.VOUCHER, answer.member_id, one.voucher_no),
                code=open_code(one.code, ring),
                status=one.status,
                expires_on=one.expires_on,
                value=None if one.value is None else MoneyOut(one.value, currency),
            )
            for one in bought.vouchers
        ),
        collect=msgspec.UNSET if bought.store is None else CollectOut(bought.store),
    )


def _burn_out(answer: BurnAnswer, book: Book) -> BurnOut:
    return BurnOut(
        burn_id=ids.encode(ids.BURN, answer.member_id, answer.burn_no),
        card=card_text(answer.card),
        merchant=book.codes[answer.merchant_id],
        status=answer.status,
        points=answer.points,
        legs=_legs(answer.member_id, answer.legs, book),
        available=answer.available,
        occurred_at=utc(answer.occurred_at),
        recorded_at=utc(answer.recorded_at),
        window=answer.window,
    )


def reversal_out(answer: ReversalAnswer, book: Book) -> ReversalOut:
    prefix = ids.EARN if answer.kind == "earn" else ids.BURN
    target = ids.encode(prefix, answer.member_id, answer.target_no)
    return ReversalOut(
        reversal_id=ids.encode(ids.REVERSAL, answer.member_id, answer.reversal_no),
        earn_id=target if answer.kind == "earn" else msgspec.UNSET,
        burn_id=target if answer.kind == "burn" else msgspec.UNSET,
        card=card_text(answer.card),
        merchant=book.codes[answer.merchant_id],
        points=answer.points,
        legs=_legs(answer.member_id, answer.legs, book),
        owed=answer.owed,
        available=answer.available,
        occurred_at=utc(answer.occurred_at),
        recorded_at=utc(answer.recorded_at),
        window=answer.window,
    )


def transfer_out(answer: TransferAnswer, book: Book) -> TransferOut:
    return TransferOut(
        transfer_id=ids.encode(ids.TRANSFER, answer.member_id, answer.transfer_no),
        from_card=card_text(answer.from_card),
        to_card=card_text(answer.to_card),
        points=answer.points,
        legs=_legs(answer.member_id, answer.legs, book),
        lots=tuple(
            GivenLotOut(
                lot_id=ids.encode(ids.LOT, answer.taker_id, lot.lot_no),
                origin=book.codes[lot.origin_id],
                points=lot.points,
                expires_on=lot.expires_on,
                from_lot=ids.encode(ids.LOT, answer.member_id, lot.from_lot_no),
            )
            for lot in answer.lots
        ),
        available=answer.available,
        recorded_at=utc(answer.recorded_at),
        window=answer.window,
    )


def answered(content: T, done: Done) -> Response[T]:
    """The answer with the route's status; a replay says so in a header, the first does not."""
    return Response(content, headers={REPLAYED: "true"} if done.replayed else None)


def reversed_answer(done: Done, book: Book) -> Response[ReversalOut]:
    """What a reversal is answered with, of an earn or of a burn."""
    assert isinstance(done.answer, ReversalAnswer), "what was asked is a reversal"
    return answered(reversal_out(done.answer, book), done)


def card_text(card: int) -> str:
    return f"{card:016d}"


def utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _legs(member_id: int, legs: tuple[TakenLeg, ...], book: Book) -> tuple[LegOut, ...]:
    return tuple(
        LegOut(ids.encode(ids.LOT, member_id, leg.lot_no), book.codes[leg.origin_id], leg.points)
        for leg in legs
    )
