"""An earn as it was posted, lot by lot, and what reversals took back of it: plain values."""

from datetime import date, datetime

import msgspec

from coalition.earning.memory import Key, Span


class EarnPart(msgspec.Struct, gc=False):
    """A lot that an earn made. lapsed_left: of its points, those that expired and that no reversal
    has found gone yet.
    """

    lot_no: int
    origin_id: int
    points: int
    lapsed_left: int
    rule: str | None = None


class Counted(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the earn earn_no counted under a key, or what its reversal posting_no took back of that,
    which is negative. spent is in minor units.

    origin_id: whose points they are, where a return takes what the sum then says (brackets). Of
    these points, lapsed were gone and owed could not be taken; the others the return's legs took.
    """

    member_id: int
    earn_no: int
    posting_no: int
    merchant_id: int
    rule: str
    span: Span
    until: date
    spent: int
    points: int
    times: int
    origin_id: int | None = None
    lapsed: int = 0
    owed: int = 0

    @property
    def key(self) -> Key:
        return Key(self.rule, self.span, self.until)


class Pool(msgspec.Struct, gc=False):
    """The points that a member's brackets gave in one period, of which returns there take.

    earns: the numbers of the earns that counted; lapsed_left: of their points, those that expired
    and that no return has found gone yet.
    """

    earns: set[int]
    lapsed_left: int


class EarnRow(msgspec.Struct, gc=False):
    """An earn as it was posted and what has been reversed of it. amount is in minor units.

    parts are its lots, in the order of their numbers; their points add up to points. counted: what
    it counted, and then what its reversals took back of that.
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
    counted: list[Counted] = []

    @property
    def sums(self) -> list[Counted]:
        """What it counted where a return takes what the sum then says."""
        return [one for one in self.own_counts if one.origin_id is not None]

    @property
    def plain_parts(self) -> list[EarnPart]:
        """Its lots that give back what they gave: all, but those of its sums."""
        names = {one.rule for one in self.sums}
        return [part for part in self.parts if part.rule not in names] if names else self.parts

    @property
    def own_counts(self) -> list[Counted]:
        return [one for one in self.counted if one.posting_no == self.earn_no]

    @property
    def reversed_in_sums(self) -> int:
        """Of reversed_points, those that returns took by a period's sum."""
        return -sum(
            one.points
            for one in self.counted
            if one.origin_id is not None and one.posting_no != self.earn_no
        )

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
