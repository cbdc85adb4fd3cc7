"""A voucher and its states, and what a group of commands decides about rewards. Pure values.

Kept is what was done: a voucher is issued, part_used, used or cancelled. The other two states
follow from what stands elsewhere, so that no job is needed to be right: a voucher is reserved while
its burn is held, and expired after its last day. Only where its points expire with it, that is kept
too.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import msgspec

from coalition.rewards.codes import SealedCode

VoucherState = Literal["issued", "reserved", "used", "part_used", "expired", "cancelled"]
EventKind = Literal["used", "cancelled", "expired"]
# (merchant_id, the reward's code)
RewardKey = tuple[int, str]


class Voucher(msgspec.Struct, gc=False):
    """A voucher of a burn of a reward. Only status and remaining ever change.

    value and what remains of it are in minor units of the redeemer's currency; None: it is not
    worth money. expires_on is its last good day at the redeemer; part_use: it may be used in parts.
    """

    member_id: int
    voucher_no: int
    burn_no: int
    status: str
    value: int | None
    remaining: int | None
    expires_on: date | None
    part_use: bool


class VoucherEvent(msgspec.Struct, frozen=True, gc=False):
    """What the posting of this number did to a voucher. remaining: of its value, afterwards."""

    member_id: int
    posting_no: int
    voucher_no: int
    kind: EventKind
    amount: int | None
    remaining: int | None

    @property
    def status(self) -> VoucherState:
        if self.kind != "used":
            return self.kind
        return "part_used" if self.remaining else "used"


def burn_status_at(
    status: str, hold_expires_at: datetime | None, on_lapse: str | None, now: datetime
) -> str:
    """What a burn is to its vouchers at `now`: a hold that is kept for one is no hold to it, and
    another that is past its time is void.
    """
    if status != "held":
        return status
    if on_lapse is not None:
        return "posted"
    return "voided" if hold_expires_at is not None and hold_expires_at <= now else "held"


def state_of(status: str, expires_on: date | None, burn_status: str, today: date) -> VoucherState:
    """A voucher's state on a day at its redeemer, by what is kept of it and of its burn."""
    if status in ("used", "cancelled", "expired"):
        return status  # type: ignore[return-value]  # the three are states
    if burn_status == "voided":
        return "cancelled"
    if burn_status == "held":
        return "reserved"
    if expires_on is not None and expires_on < today:
        return "expired"
    return status  # type: ignore[return-value]  # the table's values are states


class Count(msgspec.Struct, gc=False):
    """How many pieces of a reward are gone; what was given back is not."""

    merchant_id: int
    reward: str
    sold: int


class Taken(msgspec.Struct, gc=False):
    """What a member's burn has of a reward still: so many pieces, taken at that time."""

    burn_no: int
    at: datetime
    pieces: int


@dataclass(slots=True)
class Desk:
    """What a group's commands need of rewards, and every row that they decide on.

    counts are of the rewards that are named or may come back, locked; taken: what the members that
    ask have of them; vouchers and codes: of the burns that are loaded; events: of postings that
    are answered again. free: loaded codes that may be given out, of each reward.
    """

    counts: dict[RewardKey, Count] = field(default_factory=dict)
    taken: dict[tuple[int, RewardKey], list[Taken]] = field(default_factory=dict)
    vouchers: dict[tuple[int, int], Voucher] = field(default_factory=dict)
    codes: dict[tuple[int, int], SealedCode] = field(default_factory=dict)
    events: dict[tuple[int, int], VoucherEvent] = field(default_factory=dict)
    free: dict[RewardKey, list[SealedCode]] = field(default_factory=dict)
    new_vouchers: list[Voucher] = field(default_factory=list)
    new_events: list[VoucherEvent] = field(default_factory=list)
    changed_vouchers: dict[tuple[int, int], Voucher] = field(default_factory=dict)
    # With the stock that the terms state; None: there is no end.
    changed_counts: dict[RewardKey, int | None] = field(default_factory=dict)

    @property
    def is_changed(self) -> bool:
        return bool(self.new_vouchers or self.new_events or self.changed_counts)

    def of_burn(self, member_id: int, burn_no: int) -> list[Voucher]:
        """A burn's vouchers, in order."""
        return sorted(
            (v for v in self.vouchers.values() if (v.member_id, v.burn_no) == (member_id, burn_no)),
            key=lambda voucher: voucher.voucher_no,
        )

    def record_voucher(self, voucher: Voucher, code: SealedCode) -> None:
        of = (voucher.member_id, voucher.voucher_no)
        self.vouchers[of] = voucher
        self.codes[of] = code
        self.new_vouchers.append(voucher)

    def record_event(self, voucher: Voucher, event: VoucherEvent) -> None:
        """Write what was done, and move the voucher on."""
        voucher.status, voucher.remaining = event.status, event.remaining
        of = (voucher.member_id, voucher.voucher_no)
        self.new_events.append(event)
        self.events[event.member_id, event.posting_no] = event
        self.changed_vouchers[of] = voucher
