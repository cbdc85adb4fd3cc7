"""The [[earn]] blocks of a merchant's file, read into rules. What a kind adds is its own module's.

Whether the merchants in paid_by exist is known to the folder (terms/folder.py).
"""

from datetime import date
from decimal import Decimal
from typing import Any, get_args

from coalition.earning.memory import PERIODS
from coalition.earning.purchase import PARTS, POINTS_MAX, Part
from coalition.earning.rules.rule import Choose, LotKind
from coalition.earning.rules.table import KINDS, EarnRule
from coalition.earning.rules.together import check_together, in_order
from coalition.earning.rules.when import read_when
from coalition.toml.document import (
    Section,
    check_keys,
    near,
    read_choice,
    read_count,
    read_decimal,
    read_text,
    read_texts,
    sections,
    subsection,
)
from settlement.rule import wrong_with

NAME_MAX = 60
# From the narrowest.
_CAPS = ("per_earn", "per_day", "per_period", "per_member")
_PRIORITY_MAX = 1_000_000
_KEYS = (
    *("name", "kind", "lots", "priority", "group", "choose", "paid_by", "net_of"),
    *("when", "caps", "period"),
)


def read_rules(
    document: Section, currency: str | None, *, has_rates: bool, begin: date
) -> tuple[EarnRule, ...]:
    """The rules in the order in which they are reckoned. begin: the first day of these terms.

    has_rates: whether the file has [[earning.rates]] as well. What is missing or wrong is noted.
    """
    found: list[tuple[Section, EarnRule]] = []
    for section in sections(document, "earn"):
        rule = _rule(section, currency, begin)
        if rule is not None:
            found.append((section, rule))
    check_together(found, has_rates=has_rates)
    return in_order([rule for _, rule in found])


def _rule(section: Section, currency: str | None, begin: date) -> EarnRule | None:
    kind = read_text(section, "kind", required=True)
    known = KINDS.get(kind or "")
    if known is None:
        if kind is not None:
            section.note("kind", f'"{kind}" is no kind of rule; {near(kind, KINDS)}')
        # Its other keys are that kind's, which is not known.
        return None
    check_keys(section, (*_KEYS, *known.keys))
    rule = known.read(section, currency, _common(section, kind or "", currency, begin))
    least = rule.least()
    caps = subsection(section, "caps")
    narrower: tuple[str, int] | None = None
    for cap in _CAPS:
        most = getattr(rule, cap)
        if most is None:
            continue
        if most < least:
            caps.note(
                cap,
                f"{most} is less than the {least} points that the rule gives at "
                f"least; write {least} or more",
            )
        elif narrower is not None and most < narrower[1]:
            said = f"{most} is less than {narrower[0]} allows, {narrower[1]}; leave that out"
            caps.note(cap, said)
        narrower = (cap, most)
    return rule


def _common(section: Section, kind: str, currency: str | None, begin: date) -> dict[str, Any]:
    name = read_text(section, "name", required=True) or ""
    if len(name) > NAME_MAX:
        section.note("name", f"{len(name)} characters; write at most {NAME_MAX}")
    caps = subsection(section, "caps")
    check_keys(caps, _CAPS)
    _check_period(section, kind, caps)
    group = read_text(section, "group")
    if group is None and "choose" in section.values:
        section.note("choose", "there is nothing to choose from; write group as well")
    lots = "reward" if kind == "fixed" else "purchase"
    return {
        "name": name,
        "lots": read_choice(section, "lots", get_args(LotKind), lots),
        "priority": read_count(section, "priority", -_PRIORITY_MAX, _PRIORITY_MAX) or 0,
        "group": group,
        "choose": read_choice(section, "choose", get_args(Choose), "best"),
        "paid_by": _paid_by(section),
        "net_of": _net_of(section),
        "when": read_when(subsection(section, "when"), currency, begin),
        "period": _period(section),
        **{cap: read_count(caps, cap, 1, POINTS_MAX) for cap in _CAPS},
    }


def _check_period(section: Section, kind: str, caps: Section) -> None:
    """Note a cap of no period, and a period of nothing."""
    if "per_period" in caps.values and "period" not in section.values:
        caps.note("per_period", 'it is not said of which; write period = "month" in the rule')
    if "period" in section.values and kind != "brackets" and "per_period" not in caps.values:
        section.note("period", "nothing is summed over it; write caps.per_period, or leave it out")


def _period(section: Section) -> str | None:
    """A rule of days, which end the periods; month, quarter and year stand for theirs."""
    said = read_text(section, "period")
    if said is None or said in PERIODS:
        return PERIODS.get(said or "")
    if (wrong := wrong_with(said)) is not None:
        section.note(
            "period",
            f'"{said}" is none of {", ".join(PERIODS)}, nor a rule of days (RFC 5545): {wrong}',
        )
        return None
    return said


def _paid_by(section: Section) -> tuple[tuple[str, Decimal], ...]:
    table = subsection(section, "paid_by")
    shares: dict[str, Decimal] = {}
    for code in table.values:
        share = read_decimal(table, code, digits_max=6, below=2, example="0.5")
        if share == 0:
            table.note(code, f"a share of 0 pays nothing; leave {code} out")
        if share is not None:
            shares[code] = share
    if len(shares) == len(table.values) and shares and (total := sum(shares.values())) != 1:
        section.note("paid_by", f"the shares add up to {total}, not to 1")
    return tuple(shares.items())


def _net_of(section: Section) -> tuple[Part, ...]:
    parts = read_texts(section, "net_of")
    for part in parts:
        if part not in PARTS:
            section.note("net_of", f'"{part}" is no part of an amount; {near(part, PARTS)}')
    return tuple(part for part in PARTS if part in parts)
