"""The rows of the plain model: lots, legs, burns and earns as objects that point at each other."""

from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(eq=False)
class Lot:
    origin: str
    kind: str
    points: int
    left: int
    earned_at: datetime
    earned_on: date
    good_until: date | None
    window: int
    about: int | None = None
    # What expired of it and was not yet asked back.
    lapsed: int = 0
    # The first of the house's days on which it can be burned.
    active_from: date | None = None
    # It lives until so many months after its origin's points moved; at_least: or longer, by grace.
    idle_months: int | None = None
    at_least: date | None = None

    def is_pending(self, day: date) -> bool:
        return self.active_from is not None and day < self.active_from


@dataclass(eq=False)
class Leg:
    lot: Lot
    points: int
    on: date
    window: int | None
    about: int | None
    good_until: date | None


@dataclass(eq=False)
class Burn:
    kind: str
    redeemer: str | None
    points: int
    status: str = "posted"
    returned: int = 0
    over_at: datetime | None = None
    at: datetime | None = None
    reference: str | None = None
    legs: list[Leg] = field(default_factory=list)

    def taken(self) -> list[tuple[Leg, int]]:
        """The first leg of each lot and what is still taken of it, in the order taken."""
        first: dict[int, Leg] = {}
        left: dict[int, int] = {}
        for leg in self.legs:
            first.setdefault(id(leg.lot), leg)
            left[id(leg.lot)] = left.get(id(leg.lot), 0) + leg.points
        return [(leg, left[key]) for key, leg in first.items() if left[key]]


@dataclass(eq=False)
class Earn:
    lot: Lot
    amount: int | None
    window: int
    reference: str | None = None
    back: int = 0
    back_amount: int = 0


@dataclass(eq=False)
class Back:
    """A reversal: points moved at once by these legs, and points that are owed."""

    points: int
    legs: list[Leg]
    owed: int = 0


@dataclass(eq=False)
class Member:
    card_issued_at: datetime
    card_status: str = "active"
    lots: list[Lot] = field(default_factory=list)
    burns: list[Burn] = field(default_factory=list)
    earns: list[Earn] = field(default_factory=list)
    legs: list[tuple[Burn, Leg]] = field(default_factory=list)
    debts: dict[str, int] = field(default_factory=dict)
    # The last day on which each origin's points moved.
    moved: dict[str, date] = field(default_factory=dict)
    # By the house's day.
    spent: dict[date, int] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return sum(lot.left for lot in self.lots)

    def pending(self, day: date) -> int:
        return sum(lot.left for lot in self.lots if lot.is_pending(day))

    @property
    def held(self) -> int:
        return sum(burn.points for burn in self.burns if burn.status == "held")

    def open_lots(self) -> list[Lot]:
        """What lapses first comes first, then what was earned first."""
        never = date.max
        lots = [lot for lot in self.lots if lot.left]
        return sorted(lots, key=lambda lot: (lot.good_until or never, lot.earned_at))


@dataclass
class Span:
    opens_at: datetime
    closes_at: datetime
