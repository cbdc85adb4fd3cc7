"""What decide() works on: the rows of a few members as plain values, and what was decided so far.

A State is filled by load.py, changed only by its own record_* methods, and written by
save.py. Nothing here touches the world.

The rows are structs that cannot refer to each other in a circle (gc=False), so that the garbage
collector need not look through the thousands of a large group. Written out for a digest (sealed.py)
they leave out what holds its default (omit_defaults): a column that comes later changes no digest.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from coalition.earning.memory import NOTHING_YET, Key, Tally
from coalition.earning.validity import months_later
from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.commands import Answer, Request, ReversalCalled, ReverseEarnCalled
from coalition.ledger.earned import Counted, EarnRow, Pool, ReversedLot
from coalition.rewards.voucher import Desk
from settlement.window import Window

# What a till asks for: points that bought something at a redeemer.
REDEEMED = frozenset({"redemption", "cash_out", "donation"})


class Account(msgspec.Struct, gc=False):
    """A member's balance. expires_next_on: no open lot expires before it (None: none expires).

    spent_points were spent on the house's date spent_on, by the postings numbered above
    spent_after_no; what that is for stands in limits.py. digest is that of the member's latest
    posting; None: it has none yet, or was not sealed. available counts pending points: from
    pending_until on there are none (None: there never were).
    """

    member_id: int
    available: int
    held: int
    owed: int
    last_no: int
    expires_next_on: date | None
    spent_on: date | None = None
    spent_points: int = 0
    spent_after_no: int = 0
    digest: bytes | None = None
    pending_until: date | None = None


class Lot(msgspec.Struct, omit_defaults=True, gc=False):
    """One grant of points. Only remaining and expires_on ever change.

    first_expires_on is the last good day it was granted with, where it was given more time since.
    rule is the name of the rule that gave it; None: the rates did, or nothing that has a name.
    active_from: the first day, by the house's date, on which it can be burned; None: at once.
    inactive_months: it lives until so many months after its origin's points last moved, and not
    less than to expires_on; Member.last_day() tells. None: expires_on is its last good day.
    """

    member_id: int
    lot_no: int
    earn_no: int
    origin_id: int
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    earned_on: date
    expires_on: date | None
    window_id: int
    about_window_id: int | None = None
    first_expires_on: date | None = None
    rule: str | None = None
    active_from: date | None = None
    inactive_months: int | None = None

    def is_pending(self, day: date) -> bool:
        """Whether its points cannot be burned yet on that day, by the house's date."""
        return self.active_from is not None and self.active_from > day

    @property
    def granted_until(self) -> date | None:
        """The last good day it was granted with, whatever a refund made of it since."""
        if self.inactive_months is not None:
            return None
        return self.first_expires_on or self.expires_on


class Posting(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of the journal. change is signed: what it did to the available balance.

    Of a reversed earn: owed could not be taken back, lapsed was gone and is not owed.
    pending_after: what of available_after could not be burned yet.
    """

    member_id: int
    posting_no: int
    kind: str
    merchant_id: int
    card: int | None
    change: int
    available_after: int
    occurred_at: datetime
    recorded_at: datetime
    window_id: int
    owed: int = 0
    target_no: int | None = None
    amount: int | None = None
    peer_member_id: int | None = None
    request_id: UUID | None = None
    body_hash: int | None = None
    reference: str | None = None
    lapsed: int = 0
    imported: bool = False
    actor: str | None = None
    pending_after: int = 0

    @property
    def spendable_after(self) -> int:
        """What could be burned right after it: what it answers as available."""
        return self.available_after - self.pending_after


@dataclass(slots=True)
class Member:
    """What is loaded of one member: with lots_loaded, its open lots; and any asked for.

    loaded_until None: every open lot. Else those that are taken first, enough for what is asked;
    all others are good until that day at least. Pending lots are always loaded, all of them.
    moved_on: by origin, the last day on which its points moved, where they lapse by inactivity.
    tallies: by merchant, what its rules remember, of the keys that were asked for; pools: where an
    earn that counted in brackets is to be reversed; earned_at: the merchants where it earned before
    they began to count visits, of those that were asked for. enrolled_at and birth_month: where
    terms ask.
    """

    account: Account
    lots: dict[int, Lot] = field(default_factory=dict)
    burns: dict[int, BurnRow] = field(default_factory=dict)
    earns: dict[int, EarnRow] = field(default_factory=dict)
    debts: dict[int, int] = field(default_factory=dict)
    lots_loaded: bool = False
    loaded_until: date | None = None
    moved_on: dict[int, date] = field(default_factory=dict)
    tallies: dict[int, dict[Key, Tally]] = field(default_factory=dict)
    pools: dict[tuple[int, Key], Pool] = field(default_factory=dict)
    earned_at: set[int] = field(default_factory=set)
    enrolled_at: datetime | None = None
    birth_month: int | None = None

    def last_day(self, lot: Lot) -> date | None:
        """The last day on which a lot can be burned, as things are now; None: it never expires."""
        if lot.inactive_months is None:
            return lot.expires_on
        moved_on = self.moved_on.get(lot.origin_id, lot.earned_on)
        idle = months_later(moved_on, lot.inactive_months)
        return idle if lot.expires_on is None else max(idle, lot.expires_on)

    def next_no(self) -> int:
        self.account.last_no += 1
        return self.account.last_no

    def lots_in_order(self) -> list[Lot]:
        """Open lots, the one that expires first at the front; then earliest earned."""
        # Oldest expiry first, so that members lose as few points as possible.
        open_lots = (lot for lot in self.lots.values() if lot.remaining)
        if not self.moved_on:
            return sorted(open_lots, key=_expiry_order)
        return sorted(
            open_lots,
            key=lambda lot: (self.last_day(lot) or date.max, lot.earned_at, lot.lot_no),
        )

    def usable_lots(self, day: date) -> list[Lot]:
        """Those of lots_in_order() that can be burned on that day, by the house's date."""
        lots = self.lots_in_order()
        if not self._may_have_pending(day):
            return lots
        return [lot for lot in lots if not lot.is_pending(day)]

    def pending_on(self, day: date) -> int:
        """The points that cannot be burned yet on that day, by the house's date."""
        if not self._may_have_pending(day):
            return 0
        return sum(lot.remaining for lot in self.lots.values() if lot.is_pending(day))

    def _may_have_pending(self, day: date) -> bool:
        until = self.account.pending_until
        return until is not None and until > day

    def note_pending(self, active_from: date | None) -> None:
        """Keep account.pending_until an upper bound when a lot appears."""
        known = self.account.pending_until
        if active_from is not None and (known is None or active_from > known):
            self.account.pending_until = active_from

    def note_expiry(self, expires_on: date | None) -> None:
        """Keep account.expires_next_on a lower bound when an open lot appears."""
        known = self.account.expires_next_on
        if expires_on is not None and (known is None or expires_on < known):
            self.account.expires_next_on = expires_on

    def tighten_expiry(self) -> None:
        """Set account.expires_next_on from the open lots; only where they are loaded."""
        if not self.lots_loaded:
            return
        ends = [self.last_day(lot) for lot in self.lots.values() if lot.remaining]
        days = [day for day in ends if day is not None]
        if self.loaded_until is not None:
            days.append(self.loaded_until)
        self.account.expires_next_on = min(days, default=None)


def _expiry_order(lot: Lot) -> tuple[date, datetime, int]:
    return (lot.expires_on or date.max, lot.earned_at, lot.lot_no)


class Card(msgspec.Struct, frozen=True):
    member_id: int
    status: str
    issued_at: datetime


class Seen(msgspec.Struct, frozen=True):
    """An earlier posting under the same idempotency key, and what it answered."""

    body_hash: int
    answer: Answer


class Called(NamedTuple):
    """What a till names a movement by: its own reference, of a member's earn or burn at it."""

    member_id: int
    merchant_id: int
    is_earn: bool
    reference: str


@dataclass(slots=True)
class State:
    """The working copy of one group: what was loaded, and every row decided on, in order.

    called has the numbers of the movements that the group's reversals name by a reference: each
    name that is asked for, with two numbers at most of those that were posted before, and all of
    the group's own.

    The new_* lists are appended to by the decisions; changed_* name loaded rows to write back. A
    row that is new is never also changed: it is written once, as it is at the end.
    """

    window: Window
    cards: dict[int, Card] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    seen: dict[UUID, Seen] = field(default_factory=dict)
    called: dict[Called, list[int]] = field(default_factory=dict)
    new_postings: list[Posting] = field(default_factory=list)
    # Of new_postings, in the same order.
    digests: list[bytes] = field(default_factory=list)
    new_lots: list[Lot] = field(default_factory=list)
    new_burns: list[BurnRow] = field(default_factory=list)
    new_legs: list[Leg] = field(default_factory=list)
    new_reversed: list[ReversedLot] = field(default_factory=list)
    new_counted: list[Counted] = field(default_factory=list)
    # By (member_id, merchant_id, key).
    changed_tallies: dict[tuple[int, int, Key], Tally] = field(default_factory=dict)
    changed_lots: dict[tuple[int, int], Lot] = field(default_factory=dict)
    changed_burns: dict[tuple[int, int], BurnRow] = field(default_factory=dict)
    captured: list[BurnRow] = field(default_factory=list)
    changed_members: dict[int, Member] = field(default_factory=dict)
    changed_debts: dict[tuple[int, int], int] = field(default_factory=dict)
    # The last days on which points of (member_id, origin_id) moved, of those that moved now.
    moved: dict[tuple[int, int], date] = field(default_factory=dict)
    # Whether any loaded lot was given more time.
    has_lengthened: bool = False
    # Whether what is decided is history on its way in.
    is_import: bool = False
    rewards: Desk = field(default_factory=Desk)

    def name_of(self, request: Request, command: ReversalCalled) -> Called | None:
        """What a reversal names by its reference; None where no member is held by its card."""
        card = self.cards.get(command.card)
        if card is None or card.member_id not in self.members:
            return None
        is_earn = isinstance(command, ReverseEarnCalled)
        return Called(card.member_id, request.merchant_id, is_earn, command.reference)

    def record_posting(self, member: Member, posting: Posting) -> None:
        self.new_postings.append(posting)
        self.changed_members[posting.member_id] = member
        # Nearly no group calls anything by its reference.
        if self.called and posting.reference is not None:
            name = Called(
                posting.member_id, posting.merchant_id, posting.kind == "earn", posting.reference
            )
            if name in self.called:
                self.called[name].append(posting.posting_no)

    def record_lot(self, member: Member, lot: Lot) -> None:
        member.lots[lot.lot_no] = lot
        member.note_expiry(member.last_day(lot))
        member.note_pending(lot.active_from)
        self.new_lots.append(lot)

    def record_move(self, member: Member, origin_id: int, day: date) -> None:
        """Points of an origin that lapse by inactivity moved on that day; no day is taken back."""
        known = member.moved_on.get(origin_id)
        if known is None or day > known:
            member.moved_on[origin_id] = day
            self.moved[(member.account.member_id, origin_id)] = day

    def record_counted(self, member: Member, counted: Counted) -> None:
        """Write what was counted, or taken back, and move its tally along."""
        self.new_counted.append(counted)
        tallies = member.tallies.setdefault(counted.merchant_id, {})
        tally = tallies.get(counted.key, NOTHING_YET)
        tally = tally.plus(counted.spent, counted.points, counted.times)
        tallies[counted.key] = tally
        self.changed_tallies[(counted.member_id, counted.merchant_id, counted.key)] = tally

    def lengthen(self, member: Member, lot: Lot, until: date | None) -> None:
        """Let a lot live on to a later day, or for ever; what it was granted with stays known."""
        lot.first_expires_on = lot.granted_until
        lot.expires_on = until
        member.note_expiry(until)
        self.changed_lots[(lot.member_id, lot.lot_no)] = lot
        self.has_lengthened = True

    def record_burn(self, member: Member, burn: BurnRow) -> None:
        member.burns[burn.burn_no] = burn
        self.new_burns.append(burn)

    def record_leg(self, member: Member, burn: BurnRow, leg: Leg) -> None:
        """Write a leg and move its points: out of the lot, or back into it when negative."""
        lot = member.lots[leg.lot_no]
        lot.remaining -= leg.points
        assert 0 <= lot.remaining <= lot.points, "a leg moves no more than its lot holds or lacks"
        burn.legs.append(leg)
        self.new_legs.append(leg)
        self.changed_lots[(leg.member_id, leg.lot_no)] = lot

    def record_burn_change(self, burn: BurnRow) -> None:
        self.changed_burns[(burn.member_id, burn.burn_no)] = burn

    def record_debt(self, member: Member, origin_id: int, points: int) -> None:
        """Set what the member owes an origin to `points`."""
        member.account.owed += points - member.debts.get(origin_id, 0)
        member.debts[origin_id] = points
        self.changed_debts[(member.account.member_id, origin_id)] = points
