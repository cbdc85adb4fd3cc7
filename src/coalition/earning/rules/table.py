"""Every kind of rule: its name in a merchant's file, its keys, and who reads them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from coalition.earning.rules import rate
from coalition.earning.rules.rate import RateRule
from coalition.toml.document import Section

EarnRule = RateRule


class Kind(NamedTuple):
    """keys: those of the kind's own. read() takes what every rule has, and adds them."""

    keys: tuple[str, ...]
    read: Callable[[Section, str | None, dict[str, Any]], EarnRule]


KINDS = {
    "rate": Kind(rate.KEYS, rate.read),
}
