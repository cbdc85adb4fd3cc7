"""Every kind of rule: its name in a merchant's file, its keys, and who reads it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from coalition.earning.rules import brackets, fixed, items, multiplier, quantity, rate
from coalition.earning.rules.brackets import BracketsRule
from coalition.earning.rules.fixed import FixedRule
from coalition.earning.rules.items import ItemsRule
from coalition.earning.rules.multiplier import MultiplierRule
from coalition.earning.rules.quantity import QuantityRule
from coalition.earning.rules.rate import RateRule
from coalition.toml.document import Section

EarnRule = RateRule | QuantityRule | ItemsRule | FixedRule | MultiplierRule | BracketsRule


class Kind(NamedTuple):
    """keys: those of the kind's own. read() takes what every rule has, and adds them."""

    keys: tuple[str, ...]
    read: Callable[[Section, str | None, dict[str, Any]], EarnRule]


KINDS = {
    "rate": Kind(rate.KEYS, rate.read),
    "quantity": Kind(quantity.KEYS, quantity.read),
    "items": Kind(items.KEYS, items.read),
    "fixed": Kind(fixed.KEYS, fixed.read),
    "multiplier": Kind(multiplier.KEYS, multiplier.read),
    "brackets": Kind(brackets.KEYS, brackets.read),
}
