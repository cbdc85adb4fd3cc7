"""The ledger once more, as plainly as it can be said: lists in memory, no database, no groups.

Written from the contract, not from the code, for test_state_machine.py to compare with. A movement
answers the code it is refused with, or what it came to. What a window comes to is in
model_window.py.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.coalition.ledger.model_rows import Back, Burn, Earn, Leg, Lot, Member, Span
from tests.coalition.ledger.model_validity import end, first_day, last_day, move

from coalition.terms.terms import Terms

HOUSE_ZONE = ZoneInfo("Asia/Shanghai")
SHORT, LIMIT = "insufficient_points", "limit_reached"
CLOCKS_DIFFER = timedelta(minutes=5)


class Model:
    def __init__(
        self,
        terms: dict[str, Terms],
        a_day_max: int,
        members: list[str],
        enrolled_at: datetime,
        first: Span,
    ) -> None:
        """a_day_max: the most that anybody may spend on one day, whoever asks."""
        self.terms = terms
        self.a_day_max = a_day_max
        self.members = {name: Member(enrolled_at) for name in members}
        # The window's number is its place in here, from 1; the last one is open.
        self.windows = [first]

    # ------------------------------------------------------------ days and windows

    @property
    def window(self) -> int:
        return len(self.windows)

    def day(self, at: datetime, merchant: str | None = None) -> date:
        zone = ZoneInfo(self.terms[merchant].time_zone) if merchant else HOUSE_ZONE
        return at.astimezone(zone).date()

    def late(self, at: datetime) -> int | None:
        """The earlier window that holds this moment."""
        for number, span in enumerate(self.windows[:-1], start=1):
            if span.opens_at <= at < span.closes_at:
                return number
        return None

    def too_late(self, merchant: str, on: datetime, now: datetime) -> bool:
        """More of the merchant's days ago than its terms allow."""
        late = self.day(now, merchant) - self.day(on, merchant)
        return late > timedelta(days=self.terms[merchant].lateness_days_max)

    def within_limits(self, name: str, at: str | None, points: int, now: datetime) -> bool:
        """Whether so many points more may be spent today; at None: the house asks."""
        today = self.members[name].spent.get(self.day(now), 0) + points
        own = self.terms[at].points_per_member_per_day_max if at else None
        return today <= self.a_day_max and (own is None or today <= own)

    def spend(self, name: str, points: int, now: datetime) -> None:
        """For good: what comes back on the same day was spent on it."""
        spent = self.members[name].spent
        spent[self.day(now)] = spent.get(self.day(now), 0) + points

    def lapse(self, name: str, now: datetime) -> None:
        """Holds end and points expire, in the order in which their time comes."""
        member = self.members[name]
        ended = [b for b in member.burns if b.status == "held" and b.over_at and b.over_at <= now]
        for burn in sorted(ended, key=lambda burn: burn.over_at or now):
            assert burn.over_at is not None
            self._expire(member, self.day(burn.over_at), now)
            self._give_back(member, burn, burn.points, burn.over_at)
            burn.status, burn.returned = "voided", burn.points
        self._expire(member, self.day(now), now)

    def _expire(self, member: Member, today: date, now: datetime) -> None:
        while dead := [x for x in member.open_lots() if x.good_until and x.good_until < today]:
            parts = end(dead, self.terms)
            burn = Burn("expiry", None, sum(part for _, part in parts))
            member.burns.append(burn)
            self._write(member, burn, parts, self.day(now), self.window, None)

    # ------------------------------------------------------------ legs

    def _write(
        self,
        member: Member,
        burn: Burn,
        parts: list[tuple[Lot, int]],
        on: date,
        window: int | None,
        about: int | None,
    ) -> list[Leg]:
        legs = [Leg(lot, points, on, window, about, lot.good_until) for lot, points in parts]
        for leg in legs:
            leg.lot.left -= leg.points
            burn.legs.append(leg)
            member.legs.append((burn, leg))
        return legs

    def _give_back(self, member: Member, burn: Burn, points: int, at: datetime) -> list[Leg]:
        """Last leg first, into the same lots, at the first leg's price."""
        legs: list[Leg] = []
        come: list[tuple[Lot, int]] = []
        window = None if burn.status == "held" else self.window
        for first, left in reversed(burn.taken()):
            part = min(left, points)
            points -= part
            if not part:
                break
            about = first.window if first.window != window else first.about
            legs += self._write(member, burn, [(first.lot, -part)], first.on, window, about)
            come.append((first.lot, part))
            lot, today = first.lot, self.day(at)
            # The day they had when they were taken passed while they were away.
            ended = lot.good_until if lot.idle_months else first.good_until
            if lot.good_until and ended and ended < today:
                grace = timedelta(days=self.terms[lot.origin].validity.grace_days)
                lot.good_until = lot.at_least = max(lot.good_until, today + grace)
        self._pay(member, come)
        return legs

    def _pay(self, member: Member, come: list[tuple[Lot, int]]) -> None:
        """Points that come in pay what is owed to their origin first."""
        burn = Burn("clawback", None, 0)
        for lot, points in come:
            paid = min(member.debts.get(lot.origin, 0), points)
            if paid:
                member.debts[lot.origin] -= paid
                burn.points += paid
                about = lot.window if lot.window != self.window else lot.about
                self._write(member, burn, [(lot, paid)], lot.earned_on, self.window, about)
        if burn.points:
            member.burns.append(burn)

    def _choose(
        self, lots: list[Lot], points: int, take: dict[str, int] | str, redeemer: str | None
    ) -> list[tuple[Lot, int]] | None:
        """Which lots, and how much of each. take: oldest, own_first, "only telecom", or a mix."""
        if isinstance(take, dict):
            parts: list[tuple[Lot, int]] = []
            for origin, amount in take.items():
                part = self._choose([x for x in lots if x.origin == origin], amount, "oldest", None)
                if part is None:
                    return None
                parts += part
            return parts
        if take.startswith("only "):
            lots = [lot for lot in lots if lot.origin == take.removeprefix("only ")]
        elif take == "own_first":
            lots = sorted(lots, key=lambda lot: lot.origin != redeemer)
        parts = []
        for lot in lots:
            part_points = min(lot.left, points)
            points -= part_points
            if part_points:
                parts.append((lot, part_points))
        return None if points else parts

    # ------------------------------------------------------------ movements

    def earn(
        self,
        name: str,
        at: str,
        points: int | None,
        amount: int | None,
        on: datetime,
        now: datetime,
        reference: str | None = None,
    ) -> Earn | str:
        member = self.members[name]
        if self.too_late(at, on, now):
            return "invalid"
        if member.card_status != "active":
            return "card_not_active"
        self.lapse(name, now)
        if on < member.card_issued_at - CLOCKS_DIFFER:
            return "invalid"
        worth = points if points is not None else (amount or 0) // 100
        if not worth:
            return "nothing_earned"
        validity, day = self.terms[at].validity, self.day(on, at)
        until = last_day(validity, day)
        if validity.inactive_months:
            until = last_day(validity, max(day, member.moved.get(at, day)))
        if until and until < self.day(now):
            return "nothing_earned"
        kind = "outright" if points is not None else "purchase"
        lot = Lot(at, kind, worth, worth, on, day, until, self.window, self.late(on))
        lot.active_from = first_day(validity, day)
        lot.idle_months = validity.inactive_months
        member.lots.append(lot)
        move(member, at, day)
        self._pay(member, [(lot, worth)])
        earn = Earn(lot, amount, self.window, reference)
        member.earns.append(earn)
        return earn

    def burn(
        self,
        name: str,
        at: str,
        points: int,
        take: dict[str, int] | str,
        on: datetime,
        hold_seconds: int | None,
        now: datetime,
        reference: str | None = None,
    ) -> Burn | str:
        member = self.members[name]
        if self.too_late(at, on, now):
            return "invalid"
        if member.card_status != "active":
            return "card_not_active"
        self.lapse(name, now)
        if on < member.card_issued_at - CLOCKS_DIFFER:
            return "invalid"
        usable = [lot for lot in member.open_lots() if not lot.is_pending(self.day(now))]
        parts = self._choose(usable, points, take, at)
        if parts is not None and on < now:
            # What was earned later it cannot have taken.
            there = [lot for lot in usable if lot.earned_at <= on]
            parts = self._choose(there, points, take, at)
            if parts is None:
                return "invalid"
        if not self.within_limits(name, at, points, now):
            return LIMIT
        if parts is None:
            return SHORT
        self.spend(name, points, now)
        burn = Burn("redemption", at, points, at=on, reference=reference)
        member.burns.append(burn)
        window: int | None = self.window
        about = self.late(on)
        if hold_seconds is not None:
            burn.status, burn.over_at = "held", now + timedelta(seconds=hold_seconds)
            window = about = None
        self._write(member, burn, parts, self.day(on, at), window, about)
        if burn.status == "posted":
            for lot, _ in parts:
                move(member, lot.origin, self.day(on, at))
        return burn

    def capture(self, name: str, burn: Burn, points: int | None, now: datetime) -> Burn | str:
        self.lapse(name, now)
        if burn.status != "held":
            return "not_held"
        if points is not None and points > burn.points:
            return "invalid"
        kept = burn.points if points is None else points
        self._give_back(self.members[name], burn, burn.points - kept, now)
        burn.status, burn.points = "posted", kept
        for leg in burn.legs:
            leg.window, leg.on = self.window, self.day(now, burn.redeemer)
        for leg, _ in burn.taken():
            move(self.members[name], leg.lot.origin, leg.on)
        return burn

    def void(self, name: str, burn: Burn, now: datetime) -> Burn | str:
        self.lapse(name, now)
        if burn.status != "held":
            return "not_held"
        self._give_back(self.members[name], burn, burn.points, now)
        burn.status, burn.returned = "voided", burn.points
        return burn

    def called(self, name: str, at: str, kind: str, reference: str) -> Burn | Earn | str:
        """The one burn or earn at that merchant that goes by that reference."""
        member = self.members[name]
        burns = [b for b in member.burns if (b.redeemer, b.reference) == (at, reference)]
        earns = [e for e in member.earns if (e.lot.origin, e.reference) == (at, reference)]
        found: list[Burn] | list[Earn] = burns if kind == "reverse_burn" else earns
        if not found:
            return "not_found"
        return found[0] if len(found) == 1 else "invalid"

    def reverse_burn(
        self,
        name: str,
        burn: Burn,
        points: int | None,
        now: datetime,
        returned_at: datetime | None = None,
    ) -> Back | str:
        self.lapse(name, now)
        if returned_at and burn.at and returned_at < burn.at:
            return "invalid"
        if burn.status != "posted":
            return "invalid" if burn.status == "held" else "already_reversed"
        left = burn.points - burn.returned
        back = left if points is None else points
        if not left or back > left:
            return "already_reversed"
        burn.returned += back
        return Back(back, self._give_back(self.members[name], burn, back, now))

    def reverse_earn(
        self,
        name: str,
        earn: Earn,
        points: int | None,
        amount: int | None,
        now: datetime,
        returned_at: datetime | None = None,
    ) -> Back | str:
        self.lapse(name, now)
        if returned_at and returned_at < earn.lot.earned_at:
            return "invalid"
        member, at = self.members[name], earn.lot.origin
        left = earn.lot.points - earn.back
        if not left:
            return "already_reversed"
        back = left if points is None else points
        if amount is not None:
            if earn.amount is None:
                return "invalid"
            amount_left = earn.amount - earn.back_amount - amount
            if amount_left < 0:
                return "already_reversed"
            # What is kept is rounded up.
            back = max(0, left + (-earn.lot.points * amount_left) // earn.amount)
            earn.back_amount += amount
        if back > left:
            return "already_reversed"
        earn.back += back
        # Expired is not spent: what lapsed of this earn's own points is gone, and nobody owes it.
        lapsed = min(back, earn.lot.lapsed)
        earn.lot.lapsed -= lapsed
        back -= lapsed
        # Its own points, then what the member cannot burn yet, then the rest.
        today = self.day(now)
        lots = [lot for lot in member.open_lots() if lot.origin == at]
        lots.sort(key=lambda lot: (lot is not earn.lot, not lot.is_pending(today)))
        moved = min(back, sum(lot.left for lot in lots))
        legs: list[Leg] = []
        if moved:
            parts = self._choose(lots, moved, "oldest", None) or []
            burn = Burn("clawback", None, moved)
            member.burns.append(burn)
            about = earn.window if earn.window != self.window else earn.lot.about
            legs = self._write(member, burn, parts, earn.lot.earned_on, self.window, about)
        if back > moved:
            member.debts[at] = member.debts.get(at, 0) + back - moved
        return Back(moved, legs, back - moved)

    def transfer(
        self, giver: str, taker: str, points: int, take: dict[str, int] | str, now: datetime
    ) -> Burn | str:
        """A gift asked for by the house. Answers the giver's burn."""
        if (
            self.members[giver].card_status != "active"
            or self.members[taker].card_status != "active"
        ):
            return "card_not_active"
        if giver == taker:
            return "invalid"
        self.lapse(giver, now)
        self.lapse(taker, now)
        if not self.within_limits(giver, None, points, now):
            return LIMIT
        lots = self.members[giver].open_lots()
        usable = [lot for lot in lots if not lot.is_pending(self.day(now))]
        parts = self._choose(usable, points, take, None)
        if parts is None:
            return SHORT
        self.spend(giver, points, now)
        burn = Burn("transfer", None, points)
        self.members[giver].burns.append(burn)
        today = self.day(now)
        self._write(self.members[giver], burn, parts, today, self.window, None)
        for lot, part in parts:
            gift = Lot(
                lot.origin, "transfer", part, part, lot.earned_at, lot.earned_on, lot.good_until,
                self.window,
            )  # fmt: skip
            gift.idle_months, gift.at_least = lot.idle_months, lot.at_least
            self.members[taker].lots.append(gift)
            if gift.idle_months:
                move(self.members[taker], lot.origin, self.members[giver].moved[lot.origin])
        return burn
