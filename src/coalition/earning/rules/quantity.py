"""So many points for every piece."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from coalition.earning.facts import Facts
from coalition.earning.purchase import Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, read_number


class QuantityRule(Rule, frozen=True, kw_only=True, tag="quantity"):
    """`points` for every piece of the items that the conditions choose."""

    counts_pieces: ClassVar[bool] = True

    points: Decimal

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        pieces = sum(item.quantity for item in self.when.items_of(purchase))
        points, of = self.points.as_integer_ratio()
        return pieces * points, of

    def least(self) -> int:
        return max(1, int(self.points))

    def in_words(self, currency: str) -> str:
        return f"{self.points} a piece"


KEYS = ("points",)


def read(section: Section, currency: str | None, common: dict[str, Any]) -> QuantityRule:
    points = read_number(section, "points")
    if points == 0:
        section.note("points", "0 a piece gives nothing; write how many points")
    return QuantityRule(points=points or Decimal(1), **common)
