"""What can be asked of the ledger, and what it answers. Pure values; no wire format, no database.

Members, merchants, lots, earns and burns are named by the ledger's own integers here. The API turns
them into opaque ids (wire/ids.py) and merchants' codes at the edge.
"""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from coalition.earning.purchase import Channel, Item
from coalition.earning.reckoning import Reckoning
from coalition.errors import Code
from coalition.rewards.codes import SealedCode
from coalition.rewards.voucher import VoucherState

BALANCE_MAX = 1_000_000_000_000_000
# A till's clock and ours differ by no more than this.
CLOCK_DRIFT = timedelta(minutes=5)

# What was found of the PIN that came with a movement: absent where none came; unset where the
# member has none; locked where it was wrong too often lately, and was not compared.
PinCheck = Literal["absent", "right", "wrong", "locked", "unset"]


class Take(msgspec.Struct, frozen=True, gc=False):
    """Which lots a burn takes: oldest, own_first, only one origin, or a mix of exact amounts."""

    order: Literal["oldest", "own_first", "only", "mix"] = "oldest"
    only: int | None = None
    mix: tuple[tuple[int, int], ...] = ()


class Earn(msgspec.Struct, frozen=True, gc=False):
    """A purchase (amount and items), an action, or both; or points outright.

    Money is in minor units of the merchant's currency; tax, delivery and paid_with_points are parts
    of the amount.
    """

    card: int
    occurred_at: datetime
    amount: int | None = None
    items: tuple[Item, ...] = ()
    points: int | None = None
    reference: str | None = None
    action: str | None = None
    channel: Channel | None = None
    region: str | None = None
    store: str | None = None
    tax: int = 0
    delivery: int = 0
    paid_with_points: int = 0


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """So many pieces of a reward of the asking merchant's, by the code in its catalogue.

    price: which alternative pays (from 0); None: the first that the member can. codes: one that was
    made for each voucher that may come of it. store: where it is to be collected.
    """

    reward: str
    quantity: int = 1
    price: int | None = None
    codes: tuple[SealedCode, ...] = ()
    store: str | None = None


class Burn(msgspec.Struct, frozen=True, gc=False):
    """Points out at the merchant that asks: posted at once, or held for hold_seconds.

    hold_seconds None: no hold; 0: as long as the merchant's terms allow. wants: a reward, and its
    price says points and take.
    """

    card: int
    points: int
    occurred_at: datetime
    take: Take = Take()
    hold_seconds: int | None = None
    reference: str | None = None
    wants: Wanted | None = None


class Capture(msgspec.Struct, frozen=True, gc=False):
    member_id: int
    burn_no: int
    points: int | None = None


class Void(msgspec.Struct, frozen=True, gc=False):
    member_id: int
    burn_no: int


class ReverseBurn(msgspec.Struct, frozen=True, gc=False):
    """Give back points of a posted burn, last leg first. points None: all that is left.

    occurred_at is when the points were returned at the till; None: now.
    """

    member_id: int
    burn_no: int
    points: int | None = None
    occurred_at: datetime | None = None


class ReverseEarn(msgspec.Struct, frozen=True, gc=False):
    """Take back points of an earn, or of an amount (minor units) of it. Neither: all of it.

    occurred_at is when the goods were returned at the till; None: now.
    """

    member_id: int
    earn_no: int
    points: int | None = None
    amount: int | None = None
    occurred_at: datetime | None = None


class ReverseBurnCalled(msgspec.Struct, frozen=True, gc=False):
    """ReverseBurn of the asker's one burn or hold of that reference, by the card's member.

    The card only names the member: any that the member has or had, whatever its status.
    """

    card: int
    reference: str
    points: int | None = None
    occurred_at: datetime | None = None


class ReverseEarnCalled(msgspec.Struct, frozen=True, gc=False):
    """ReverseEarn of the asker's one earn of that reference, by the card's member, as above."""

    card: int
    reference: str
    points: int | None = None
    amount: int | None = None
    occurred_at: datetime | None = None


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A gift to another member: origins and expiries go along."""

    from_card: int
    to_card: int
    points: int
    take: Take = Take()


class UseVoucher(msgspec.Struct, frozen=True, gc=False):
    """amount: of its value, in minor units; None: all that is left, or it is not worth money."""

    member_id: int
    burn_no: int
    voucher_no: int
    amount: int | None = None


class CancelVoucher(msgspec.Struct, frozen=True, gc=False):
    """Give the points of one unused voucher back, and its piece to the stock."""

    member_id: int
    burn_no: int
    voucher_no: int


class Expire(msgspec.Struct, frozen=True, gc=False):
    """Lapse what is past its day and void what is past its hold, for one member."""

    member_id: int


Reversal = ReverseBurn | ReverseEarn
ReversalCalled = ReverseBurnCalled | ReverseEarnCalled
OnVoucher = UseVoucher | CancelVoucher
Command = Earn | Burn | Capture | Void | Reversal | ReversalCalled | Transfer | Expire | OnVoucher


class Request(msgspec.Struct, frozen=True, gc=False):
    """A command, who asks, when, and the idempotency key it was asked under.

    merchant_id is the asker (0: the house). now is the ledger's clock: recorded_at, and what
    decides whether a lot has lapsed. request_id is None for the program's own jobs, which are
    idempotent by nature; body_hash tells another body under the same key. pin: what was found of
    the PIN that came with it. actor is which key, person, command or job asks (audit/actor.py);
    None: not known.
    """

    command: Command
    merchant_id: int
    now: datetime
    request_id: UUID | None = None
    body_hash: int = 0
    pin: PinCheck = "absent"
    actor: str | None = None


class NewLot(msgspec.Struct, frozen=True, gc=False):
    """A lot that an earn made: origin_id is who pays, rule the name of the rule that gave it.

    rule None: no rule of the [[earn]] blocks gave it. active_from: the first day on which it can be
    burned; None: at once.
    """

    lot_no: int
    kind: str
    points: int
    expires_on: date | None
    origin_id: int
    rule: str | None = None
    active_from: date | None = None


class TakenLeg(msgspec.Struct, frozen=True, gc=False):
    """points is positive: how much of the lot the burn has taken (or a reversal has moved)."""

    lot_no: int
    origin_id: int
    points: int


class EarnAnswer(msgspec.Struct, frozen=True, gc=False):
    member_id: int
    earn_no: int
    card: int
    merchant_id: int
    points: int
    lots: tuple[NewLot, ...]
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str


class IssuedVoucher(msgspec.Struct, frozen=True, gc=False):
    """A voucher in its burn's answer. value is in minor units of the redeemer's currency."""

    voucher_no: int
    code: SealedCode
    status: VoucherState
    value: int | None
    expires_on: date | None


class BoughtReward(msgspec.Struct, frozen=True, gc=False):
    """The reward that a burn is of. price: which alternative paid. money: what the member pays on
    top in minor units of the redeemer's currency; negative: what the member gets.
    """

    reward: str
    quantity: int
    price: int
    money: int
    vouchers: tuple[IssuedVoucher, ...]
    store: str | None = None


class BurnAnswer(msgspec.Struct, frozen=True, gc=False):
    """A burn as a burn, a capture or a void left it. window None while held, or voided."""

    member_id: int
    burn_no: int
    card: int
    merchant_id: int
    status: Literal["held", "posted", "voided"]
    points: int
    legs: tuple[TakenLeg, ...]
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str | None
    bought: BoughtReward | None = None


class ReversalAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a reversal moved. owed: points the member still owes that origin because of it."""

    kind: Literal["earn", "burn"]
    member_id: int
    reversal_no: int
    target_no: int
    card: int
    merchant_id: int
    points: int
    legs: tuple[TakenLeg, ...]
    owed: int
    available: int
    occurred_at: datetime
    recorded_at: datetime
    window: str


class GivenLot(msgspec.Struct, frozen=True, gc=False):
    """A lot that a transfer made for its taker, and the giver's lot that its points come from."""

    lot_no: int
    origin_id: int
    points: int
    expires_on: date | None
    from_lot_no: int


class TransferAnswer(msgspec.Struct, frozen=True, gc=False):
    """member_id is the giver, whose lots the legs name; lots are those of the taker."""

    member_id: int
    taker_id: int
    transfer_no: int
    from_card: int
    to_card: int
    points: int
    legs: tuple[TakenLeg, ...]
    lots: tuple[GivenLot, ...]
    available: int
    recorded_at: datetime
    window: str


class VoucherAnswer(msgspec.Struct, frozen=True, gc=False):
    """A voucher as a use or its cancelling left it. amount: what was used, remaining: what is left
    of its value, in minor units; points: what came back to the member.
    """

    member_id: int
    voucher_no: int
    burn_no: int
    merchant_id: int
    reward: str
    status: VoucherState
    value: int | None
    amount: int | None
    remaining: int | None
    expires_on: date | None
    points: int
    available: int
    recorded_at: datetime


class ExpireAnswer(msgspec.Struct, frozen=True, gc=False):
    member_id: int
    expired: int
    voided: int


Answer = EarnAnswer | BurnAnswer | ReversalAnswer | TransferAnswer | VoucherAnswer | ExpireAnswer


class Done(msgspec.Struct, frozen=True, gc=False):
    """The command was posted, now (replayed False) or by an earlier request under the same key.

    reckoning is how an earn came to its points, where it was decided now by more than the rates.
    """

    answer: Answer
    replayed: bool = False
    reckoning: Reckoning | None = None


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The command was not posted; the ledger is as before."""

    code: Code
    detail: str


Outcome = Done | Refused
