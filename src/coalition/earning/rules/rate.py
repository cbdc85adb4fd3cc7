"""So many points for every so much spent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from coalition.earning.facts import Facts
from coalition.earning.purchase import Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, read_money, read_number
from settlement.money import format_amount


class RateRule(Rule, frozen=True, kw_only=True, tag="rate"):
    """`points` for every `per` minor units of the base."""

    points: Decimal
    per: int

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        base, divisor = self.base(purchase)
        points, of = self.points.as_integer_ratio()
        return base * points, divisor * of * self.per

    def least(self) -> int:
        points, of = self.points.as_integer_ratio()
        return max(1, (self.when.minimum or 0) * points // (of * self.per))

    def in_words(self, currency: str) -> str:
        return f"{self.points} for every {format_amount(self.per, currency)} {currency}"


KEYS = ("points", "per")


def read(section: Section, currency: str | None, common: dict[str, Any]) -> RateRule:
    points = read_number(section, "points")
    per = read_money(section, "per", currency, required=True)
    if points == 0:
        section.note("points", "a rate of 0 gives nothing; write how many points, or leave it out")
    if per == 0:
        section.note("per", 'nothing can be earned per "0"; write it such as "1.00"')
    return RateRule(points=points or Decimal(1), per=per or 1, **common)
