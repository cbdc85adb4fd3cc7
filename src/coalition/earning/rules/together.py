"""How the rules of one file fit together: names, groups, and the order in which they are reckoned.

A rule that applies alone, and the rules of one group, of which one applies, are reckoned at a time.
"""

from collections.abc import Mapping, Sequence

from coalition.earning.rules.multiplier import MultiplierRule
from coalition.earning.rules.table import EarnRule
from coalition.toml.document import Section, near

_Found = Sequence[tuple[Section, EarnRule]]
_Unit = tuple[str, str]
# What the rates of a file are called in answers.
PURCHASE = "purchase"


def in_order(rules: Sequence[EarnRule]) -> tuple[EarnRule, ...]:
    """The rules as they are reckoned: higher priority first, then as they stand in the file.

    The rules of a group stand together, where the first of them would. Multipliers, and groups
    that hold one, follow all others, since they look at what those gave.
    """
    units: dict[_Unit, list[EarnRule]] = {}
    for rule in sorted(rules, key=lambda rule: -rule.priority):
        units.setdefault(_unit(rule), []).append(rule)
    last_come_factors = sorted(
        units.values(), key=lambda unit: any(isinstance(rule, MultiplierRule) for rule in unit)
    )
    return tuple(rule for unit in last_come_factors for rule in unit)


def _unit(rule: EarnRule) -> _Unit:
    return ("rule", rule.name) if rule.group is None else ("group", rule.group)


def check_together(found: _Found, *, has_rates: bool) -> None:
    """Note two rules of one name, groups that choose in two ways, and factors on nothing.

    has_rates: whether the file has earning.rates as well.
    """
    names: set[str] = set()
    choose: dict[str, str] = {}
    for section, rule in found:
        if rule.name == PURCHASE:
            section.note("name", f'"{PURCHASE}" is what the earning.rates are called; name another')
        elif rule.name and rule.name in names:
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
    _check_factors(found, has_rates=has_rates)


def _check_factors(found: _Found, *, has_rates: bool) -> None:
    places = {PURCHASE: -1} if has_rates else {}
    units: list[_Unit] = []
    for rule in in_order([rule for _, rule in found]):
        if _unit(rule) not in units:
            units.append(_unit(rule))
        places[rule.name] = units.index(_unit(rule))
    for section, rule in found:
        if isinstance(rule, MultiplierRule):
            _check_factor(section, rule, places)


def _check_factor(section: Section, rule: MultiplierRule, places: Mapping[str, int]) -> None:
    own = places[rule.name]
    before = [name for name, place in places.items() if place < own]
    if not rule.of and not before:
        section.note(None, "no rule is reckoned before this one: it multiplies nothing")
    for name in rule.of:
        if name == rule.name:
            section.note("of", "a rule does not multiply itself; name others")
        elif name not in places:
            section.note("of", f'no rule is called "{name}"; {near(name, before or places)}')
        elif places[name] == own:
            section.note("of", f'"{name}" is of the same group: only one of the two applies')
        elif places[name] > own:
            section.note(
                "of", f'"{name}" is reckoned after this one; give it a higher priority than this'
            )
