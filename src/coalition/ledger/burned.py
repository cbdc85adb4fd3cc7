"""A burn and its legs, as rows: plain values."""

from datetime import date, datetime

import msgspec


class Leg(msgspec.Struct, omit_defaults=True, gc=False):
    """points of one lot taken by a burn; negative: given back. window_id None while only held.

    good_until is the lot's last good day when they were taken; where they are given back, the day
    until which that made the lot good, and None where it left the lot as it was.
    """

    member_id: int
    lot_no: int
    posting_no: int
    burn_no: int
    origin_id: int
    redeemer_id: int
    kind: str
    points: int
    occurred_on: date
    window_id: int | None
    about_window_id: int | None
    leg_no: int
    good_until: date | None = None


class BurnRow(msgspec.Struct, omit_defaults=True, gc=False):
    """A burn and its legs, in the order they were written. card: the card it was asked with.

    occurred_at is its posting's; None where it was not read, and of what no till asked for.
    reward, quantity (pieces), price_no (the alternative that paid) and money (minor units of the
    redeemer's currency that the member paid on top; negative: got) are all None but of a reward.
    store: where it is collected. on_lapse: the hold is kept until a voucher is used, else redeemed
    or expired at its end.
    """

    member_id: int
    burn_no: int
    redeemer_id: int
    kind: str
    points: int
    returned: int
    status: str
    occurred_on: date
    hold_expires_at: datetime | None
    window_id: int | None
    card: int | None
    occurred_at: datetime | None
    reward: str | None = None
    quantity: int | None = None
    price_no: int | None = None
    money: int | None = None
    store: str | None = None
    on_lapse: str | None = None
    legs: list[Leg] = []

    def taken(self) -> list[tuple[Leg, int]]:
        """Each leg that took points and what of it is not given back yet, in the order taken."""
        left: dict[int, tuple[Leg, int]] = {}
        for leg in self.legs:
            first, points = left.get(leg.lot_no, (leg, 0))
            left[leg.lot_no] = (first, points + leg.points)
        return [(leg, points) for leg, points in left.values() if points]

    @property
    def pieces(self) -> int:
        """How many pieces of its reward were not given back."""
        return (self.quantity or 0) * (self.points - self.returned) // self.points
