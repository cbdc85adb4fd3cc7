"""Points by product: so many for each piece of each."""

from collections.abc import Mapping
from typing import Any, ClassVar

from coalition.earning.facts import Facts
from coalition.earning.purchase import POINTS_MAX, Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, read_count, subsection


class ItemsRule(Rule, frozen=True, kw_only=True, tag="items"):
    """points: of a piece of each product, by its sku. Others give none."""

    counts_pieces: ClassVar[bool] = True

    points: dict[str, int]

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        chosen = self.when.items_of(purchase)
        return sum(self.points.get(item.sku or "", 0) * item.quantity for item in chosen), 1

    def least(self) -> int:
        return min(self.points.values(), default=1)

    def in_words(self, currency: str) -> str:
        return "by product"


KEYS = ("points",)


def read(section: Section, currency: str | None, common: dict[str, Any]) -> ItemsRule:
    table = subsection(section, "points")
    points = {sku: read_count(table, sku, 1, POINTS_MAX) or 1 for sku in table.values}
    if not table.values and isinstance(section.values.get("points", {}), dict):
        section.note("points", 'no product; write [earn.points] with lines like "sku" = 108')
    missed = [sku for sku in common["when"].sku if sku not in points]
    if points and missed:
        subsection(section, "when").note(
            "sku", f'"{missed[0]}" is not among the points; write its points, or leave it out'
        )
    return ItemsRule(points=points, **common)
