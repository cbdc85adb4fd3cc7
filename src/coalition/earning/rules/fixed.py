"""A fixed number of points: for an action, or for an earn that meets the conditions."""

from collections.abc import Mapping
from typing import Any

from coalition.earning.facts import Facts
from coalition.earning.purchase import POINTS_MAX, Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, read_count


class FixedRule(Rule, frozen=True, kw_only=True, tag="fixed"):
    """`points`, once an earn."""

    points: int

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        return self.points, 1

    def least(self) -> int:
        return self.points

    def in_words(self, currency: str) -> str:
        return f"{self.points} once"


KEYS = ("points",)


def read(section: Section, currency: str | None, common: dict[str, Any]) -> FixedRule:
    points = read_count(section, "points", 1, POINTS_MAX)
    if "points" not in section.values:
        section.note(None, "points is missing; write points = 50")
    return FixedRule(points=points or 1, **common)
