"""A factor on what other rules gave."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from coalition.earning.facts import Facts
from coalition.earning.purchase import Purchase
from coalition.earning.rules.rule import Ratio, Rule
from coalition.toml.document import Section, read_number, read_texts


class MultiplierRule(Rule, frozen=True, kw_only=True, tag="multiplier"):
    """The points of others times `factor`, less those points, which they gave already.

    of: the names of rules; empty: all that were reckoned before. What counts is what they gave,
    in whole points and under their caps.
    """

    factor: Decimal
    of: tuple[str, ...] = ()

    def grant(self, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]) -> Ratio:
        names = self.of or so_far
        given = sum(so_far.get(name, 0) for name in names)
        more, of = (self.factor - 1).as_integer_ratio()
        return given * more, of

    def in_words(self, currency: str) -> str:
        return f"{self.factor} times {', '.join(self.of) or 'all before it'}"


KEYS = ("factor", "of")


def read(section: Section, currency: str | None, common: dict[str, Any]) -> MultiplierRule:
    factor = read_number(section, "factor", below=1_000)
    if factor is not None and factor <= 1 and "factor" in section.values:
        section.note("factor", f"times {factor} gives nothing more; write more than 1")
    return MultiplierRule(factor=factor or Decimal(2), of=read_texts(section, "of"), **common)
