"""What every kind of rule has: a name, who pays, when it applies, and its caps."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from coalition.earning.conditions import Conditions
from coalition.earning.facts import Facts
from coalition.earning.memory import FOREVER, VISITS, Count, Key, Span, period_end
from coalition.earning.purchase import Part, Purchase

# What a lot of a rule is called, by what its points are for.
LotKind = Literal["purchase", "tenure", "standing", "reward", "referral"]
Choose = Literal["best", "first"]

# A number as a numerator and a divisor, which is not 0.
Ratio = tuple[int, int]
NOTHING: Ratio = (0, 1)


class Rule(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One [[earn]] block; each kind adds what it grants.

    paid_by: merchants' codes and their shares, which add up to 1; empty: the merchant whose rule it
    is. Of one group only one rule applies. net_of: what is taken off a purchase's amount first.
    per_earn: the most points that it gives for one earn. period: an RFC 5545 rule, which names the
    last day of each; over one it sums up what it remembers. per_day, per_period and per_member: the
    most points that it gives a member in one of its days or periods, and in all.
    """

    # Whether it gives points by the piece, so that an item's quantity counts.
    counts_pieces: ClassVar[bool] = False

    name: str
    lots: LotKind = "purchase"
    priority: int = 0
    group: str | None = None
    choose: Choose = "best"
    paid_by: tuple[tuple[str, Decimal], ...] = ()
    net_of: tuple[Part, ...] = ()
    when: Conditions = Conditions()
    per_earn: int | None = None
    period: str | None = None
    per_day: int | None = None
    per_period: int | None = None
    per_member: int | None = None

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        """The exact points of a purchase that meets the conditions.

        so_far: what each rule that was reckoned before this one gave, by its name.
        """
        raise NotImplementedError

    def keys(self, on: date) -> tuple[Key, ...]:
        """What it remembers of a member, and asks for, on a day by the merchant's date."""
        own = tuple(key for key, _ in self.caps(on))
        return (*own, VISITS) if self.when.first_visit else own

    def counts(self, purchase: Purchase, points: int, code: str) -> tuple[Count, ...]:
        """What it adds to what it remembers, where it gave so many points at that merchant."""
        if not points:
            return ()
        return tuple(Count(key, 0, points, 0) for key, _ in self.caps(purchase.at.date()))

    def caps(self, on: date) -> tuple[tuple[Key, int], ...]:
        """The most points a member in the day, the period, and in all, each with its sum's key."""
        if self.per_day is self.per_period is self.per_member is None:
            return ()
        asked: list[tuple[Span, date, int | None]] = [
            ("day", on, self.per_day),
            ("period", period_end(self.period, on) if self.period else FOREVER, self.per_period),
            ("ever", FOREVER, self.per_member),
        ]
        return tuple(
            (Key(self.name, span, until), most) for span, until, most in asked if most is not None
        )

    def least(self) -> int:
        """The fewest points that it gives where it gives any."""
        return 1

    def in_words(self, currency: str) -> str:
        """What it grants, for people."""
        raise NotImplementedError

    def base(self, purchase: Purchase) -> Ratio:
        """What counts of the purchase, in minor units: the items that `when` chooses, or all.

        What net_of names is taken off all alike, in proportion.
        """
        whole = purchase.whole
        spent = whole
        if self.when.chooses_items:
            spent = sum(item.amount for item in self.when.items_of(purchase))
        if not self.net_of or not whole:
            return spent, 1
        return spent * (whole - sum(map(purchase.part, self.net_of))), whole

    def unmet(self, purchase: Purchase) -> str | None:
        """Why its conditions do not hold, in words; None: they do."""
        why = self.when.unmet(purchase)
        if why is not None or self.when.minimum is None:
            return why
        base, divisor = self.base(purchase)
        return None if base >= self.when.minimum * divisor else "below the minimum"
