"""Marginal brackets of what is spent in a period: the points follow from the period's sum alone."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from coalition.earning.facts import Facts
from coalition.earning.memory import Count, Key, period_end
from coalition.earning.purchase import Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, check_keys, read_money, read_number, sections
from settlement.money import format_amount


class Bracket(msgspec.Struct, frozen=True):
    """`points` for every `per` minor units, of what comes to no more than up_to (None: all)."""

    up_to: int | None
    points: Decimal
    per: int


class BracketsRule(Rule, frozen=True, kw_only=True, tag="brackets"):
    """What the period's sum comes to with a purchase, less what it came to without.

    brackets: in order of up_to. So the points of a period depend on its sum, and on no purchase's
    order or size; a return takes what the sum comes to with it, less what it does without.
    """

    brackets: tuple[Bracket, ...]

    def total(self, spent: int) -> int:
        """The points of so many minor units in one period, rounded half up on the sum."""
        points, below = Fraction(0), 0
        for one in self.brackets:
            top = spent if one.up_to is None else min(spent, one.up_to)
            if top > below:
                points += Fraction(one.points) * (top - below) / one.per
            below = top if one.up_to is None else one.up_to
        return int(points + Fraction(1, 2))

    def sum_key(self, on: date) -> Key:
        assert self.period is not None, "brackets are of a period"
        return Key(self.name, "period", period_end(self.period, on))

    def keys(self, on: date) -> tuple[Key, ...]:
        return (self.sum_key(on), *super().keys(on))

    def counts(self, purchase: Purchase, points: int, code: str) -> tuple[Count, ...]:
        spent = self._spent(purchase)
        if not spent:
            return ()
        payer = self.paid_by[0][0] if self.paid_by else code
        return (Count(self.sum_key(purchase.at.date()), spent, points, 1, payer),)

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        before = facts.tally(self.sum_key(purchase.at.date())).spent
        return self.total(before + self._spent(purchase)) - self.total(before), 1

    def _spent(self, purchase: Purchase) -> int:
        base, divisor = self.base(purchase)
        return base // divisor

    def in_words(self, currency: str) -> str:
        said = []
        for one in self.brackets:
            so_much = f"{one.points} for every {format_amount(one.per, currency)}"
            to = "above" if one.up_to is None else f"up to {format_amount(one.up_to, currency)}"
            said.append(f"{so_much} {to}")
        return f"{', '.join(said)} {currency} a period"


KEYS = ("brackets",)


def read(section: Section, currency: str | None, common: dict[str, Any]) -> BracketsRule:
    found: list[Bracket] = []
    for one in sections(section, "brackets"):
        check_keys(one, ["up_to", "points", "per"])
        per = read_money(one, "per", currency, required=True)
        if per == 0:
            one.note("per", 'nothing can be earned per "0"; write it such as "20.00"')
        points = read_number(one, "points")
        bracket = Bracket(read_money(one, "up_to", currency), points or Decimal(0), per or 1)
        last = found[-1] if found else None
        if last is not None and last.up_to is None:
            one.note(None, "the bracket above has no up_to, so that nothing is left for this one")
        elif last and bracket.up_to is not None and bracket.up_to <= (last.up_to or 0):
            one.note("up_to", "no more than the bracket above has; write them from low to high")
        found.append(bracket)
    if not found:
        section.note(None, "no brackets; write [[earn.brackets]] with up_to, points and per")
    _check_common(section, common)
    return BracketsRule(brackets=tuple(found), **common)


def _check_common(section: Section, common: dict[str, Any]) -> None:
    """Note what would have the points depend on more than the period's sum."""
    if common["period"] is None:
        section.note(None, 'the sum is of a period; write period = "month", or a rule of days')
    if common["group"] is not None:
        section.note("group", "brackets count every purchase; leave group out")
    if len(common["paid_by"]) > 1:
        section.note("paid_by", "brackets are paid by one merchant; name one")
    if any(common[cap] for cap in ("per_earn", "per_day", "per_period", "per_member")):
        section.note("caps", "the last bracket says how far it goes; write up_to there, no caps")
