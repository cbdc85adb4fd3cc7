"""How the rules of one file fit together: names, groups, and the order in which they are reckoned.

A rule that applies alone, and the rules of one group, of which one applies, are reckoned at a time.
"""

from collections.abc import Sequence

from coalition.earning.rules.table import EarnRule
from coalition.toml.document import Section

_Found = Sequence[tuple[Section, EarnRule]]
# What the rates of a file are called in answers.
PURCHASE = "purchase"


def in_order(rules: Sequence[EarnRule]) -> tuple[EarnRule, ...]:
    """The rules as they are reckoned: higher priority first, then as they stand in the file.

    The rules of a group stand together, where the first of them would.
    """
    ranked = sorted(rules, key=lambda rule: -rule.priority)
    units: dict[tuple[str, str], list[EarnRule]] = {}
    for rule in ranked:
        units.setdefault(_unit(rule), []).append(rule)
    return tuple(rule for unit in units.values() for rule in unit)


def _unit(rule: EarnRule) -> tuple[str, str]:
    return ("", rule.name) if rule.group is None else ("group", rule.group)


def check_together(found: _Found, *, has_rates: bool) -> None:
    """Note two rules of one name, and groups that choose in two ways.

    has_rates: whether the file has earning.rates as well.
    """
    names: set[str] = set()
    choose: dict[str, str] = {}
    for section, rule in found:
        if rule.name == PURCHASE:
            section.note("name", f'"{PURCHASE}" is what the earning.rates are called; name another')
        elif rule.name in names:
            section.note("name", f'another rule is called "{rule.name}"; name each differently')
        names.add(rule.name)
        if rule.group is None:
            continue
        if choose.setdefault(rule.group, rule.choose) != rule.choose:
            section.note(
                "choose" if "choose" in section.values else "group",
                f'the group "{rule.group}" chooses the {choose[rule.group]} above; '
                "write the same for all its rules",
            )
