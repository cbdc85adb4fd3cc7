"""An earn as it was posted, lot by lot, and what reversals took back of it: plain values."""

from datetime import date, datetime

import msgspec


class EarnPart(msgspec.Struct, gc=False):
    """A lot that an earn made. lapsed_left: of its points, those that expired and that no reversal
    has found gone yet.
    """

    lot_no: int
    origin_id: int
    points: int
    lapsed_left: int


class EarnRow(msgspec.Struct, gc=False):
    """An earn as it was posted and what has been reversed of it. amount is in minor units.

    parts are its lots, in the order of their numbers; their points add up to points.
    """

    member_id: int
    earn_no: int
    merchant_id: int
    card: int
    points: int
    amount: int | None
    occurred_on: date
    window_id: int
    about_window_id: int | None
    reversed_points: int
    reversed_amount: int
    occurred_at: datetime
    parts: list[EarnPart]

    def note_lapsed(self, lot_no: int, points: int) -> None:
        """So many points of one of its lots expire now."""
        for part in self.parts:
            if part.lot_no == lot_no:
                part.lapsed_left += points


class ReversedLot(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a reversal took back of one lot, of an earn that made several.

    Of these points, lapsed were gone and owed could not be taken, so that the member owes them to
    the lot's origin; the others its legs took.
    """

    member_id: int
    lot_no: int
    posting_no: int
    points: int
    lapsed: int
    owed: int
