"""What a merchant gives for points, as its terms say: the nouns of its catalogue. Pure.

Reading them from a file is reading_rewards.py; taking one is ledger/rewards.py.
"""

from datetime import date
from typing import Literal

import msgspec

from coalition.earning.validity import Validity, last_good_day

RewardKind = Literal["goods", "voucher", "cash_out", "donation", "service"]
RedeemerPaid = Literal["issue", "use"]
VoucherBreakage = Literal["redeemer", "issuer"]
# In a mix in place of a merchant's code: points of whatever origin, the oldest first.
ANY = "any"
# Each voucher is a row and a code of its own, and all of them come in one answer.
VOUCHERS_PER_BURN_MAX = 100


class Alternative(msgspec.Struct, frozen=True):
    """One way to pay for a piece: so many points of each origin (or of ANY, alone), and money.

    money, in minor units of the merchant's currency, is the till's to take beside the points.
    """

    mix: tuple[tuple[str, int], ...]
    money: int = 0

    @property
    def points(self) -> int:
        return sum(points for _, points in self.mix)


class Limits(msgspec.Struct, frozen=True):
    """How many pieces at once, of one member (in all, and on one of the house's days), and in all.

    What was given back counts no more. None: no limit.
    """

    per_burn: int | None = None
    per_member: int | None = None
    per_member_per_day: int | None = None
    in_all: int | None = None


class VoucherTerms(msgspec.Struct, frozen=True):
    """What a voucher is that comes of a reward. value, in minor units, is what it is worth.

    external: its code is one of those that were loaded from a file, and not made here; where fewer
    than low are left, it is told. redeemer_paid: for its points when it is issued, or used;
    breakage, of one that is paid at use and never used: the redeemer is paid all the same, or its
    points expire, and their value is whose expired points' is.
    """

    valid: Validity = Validity()
    part_use: bool = False
    value: int | None = None
    external: bool = False
    low: int = 0
    redeemer_paid: RedeemerPaid = "issue"
    breakage: VoucherBreakage = "redeemer"

    def last_day(self, issued_on: date) -> date | None:
        """The last day on which one issued on that day is good; None: it is good for ever."""
        return last_good_day(self.valid, issued_on)


class Reward(msgspec.Struct, frozen=True):
    """One thing that points buy. stock and limits count pieces. stock None: there is no end.

    price: the alternatives, in the order in which they are tried. pays, in minor units, is the
    money that the member gets for a piece of a cash_out. charity: whom a donation is for.
    stores: where it may be collected, one of which is named; empty: it is handed out at once.
    starts_on and ends_on: its first and last day at the merchant's till.
    """

    code: str
    name: str
    kind: RewardKind
    price: tuple[Alternative, ...]
    stock: int | None = None
    limits: Limits = Limits()
    quantity_min: int = 1
    starts_on: date | None = None
    ends_on: date | None = None
    voucher: VoucherTerms | None = None
    pays: int = 0
    charity: str | None = None
    stores: tuple[str, ...] = ()

    def is_offered(self, on: date) -> bool:
        return (self.starts_on or on) <= on <= (self.ends_on or on)
