"""What an earn comes to: every rule's points and who pays for them, and why other rules gave none.

Pure and exact: each rule is rounded down once, and its shares add up to it. Limits on the whole
earn are the ledger's.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from coalition.earning.facts import Facts
from coalition.earning.memory import VISITS, Count
from coalition.earning.purchase import Purchase
from coalition.earning.rates import Rate, points_for
from coalition.earning.rules.rule import LotKind
from coalition.earning.rules.table import EarnRule
from coalition.earning.rules.together import PURCHASE
from coalition.earning.shares import split


class Granted(msgspec.Struct, frozen=True):
    """A rule that gave points. rule is its name, paid_by who pays how many of them.

    note says what held the points down or chose this rule, where anything did.
    """

    rule: str
    lots: LotKind
    points: int
    paid_by: tuple[tuple[str, int], ...]
    note: str = ""


class Passed(msgspec.Struct, frozen=True):
    """A rule that gave no points, and why. counts: what was bought counts for it nevertheless."""

    rule: str
    why: str
    counts: bool = False


class Reckoning(msgspec.Struct, frozen=True):
    """What one earn comes to, in the order it was reckoned in, and what rules remember of it."""

    granted: tuple[Granted, ...]
    passed: tuple[Passed, ...]
    counts: tuple[Count, ...] = ()

    @property
    def points(self) -> int:
        return sum(one.points for one in self.granted)


class Rules(msgspec.Struct, frozen=True):
    """What a merchant's terms say of earning. absent: merchants that cannot pay now, and why."""

    code: str
    rates: Sequence[Rate]
    rules: Sequence[EarnRule]
    absent: Mapping[str, str] = {}


def reckon(rules: Rules, purchase: Purchase, facts: Facts) -> Reckoning:
    """What a purchase that was checked earns, by the rates and then by each rule."""
    granted: list[Granted] = []
    passed: list[Passed] = []
    counts: list[Count] = []
    so_far: dict[str, int] = {}
    if rules.rates:
        points = points_for(rules.rates, purchase.amount, purchase.items, counts_pieces=True)
        so_far[PURCHASE] = points
        if points:
            granted.append(Granted(PURCHASE, "purchase", points, ((rules.code, points),)))
        else:
            passed.append(Passed(PURCHASE, "comes to 0 points"))
    for _, unit in groupby(rules.rules, key=lambda rule: (rule.group, rule.group or rule.name)):
        # What one rule of a group gives is nothing to the others: only one of them applies.
        found = [_one(rules, rule, purchase, facts, so_far) for rule in unit]
        chosen = _chosen(found)
        for rule, outcome in found:
            if isinstance(outcome, Passed):
                passed.append(outcome)
                if outcome.counts:
                    counts += rule.counts(purchase, 0, rules.code)
            elif rule is chosen:
                granted.append(outcome)
                counts += rule.counts(purchase, outcome.points, rules.code)
                so_far[rule.name] = outcome.points
            else:
                why = f"would give {outcome.points}; {chosen.name if chosen else ''} applies"
                passed.append(Passed(rule.name, why))
    if any(rule.when.first_visit for rule in rules.rules):
        counts.append(Count(VISITS, 0, 0, 1))
    return Reckoning(tuple(granted), tuple(passed), tuple(counts))


_Outcome = tuple[EarnRule, Granted | Passed]


def _one(
    rules: Rules, rule: EarnRule, purchase: Purchase, facts: Facts, so_far: Mapping[str, int]
) -> _Outcome:
    why = (
        rule.unmet(purchase)
        or rule.when.unmet_by(facts, purchase.at)
        or _nobody_pays(rule, rules.absent)
    )
    if why is not None:
        return rule, Passed(rule.name, why)
    exact, divisor = rule.grant(purchase, facts, so_far)
    points = exact // divisor
    if points == 0:
        return rule, Passed(rule.name, "comes to 0 points", counts=True)
    points, note = _capped(rule, points, purchase, facts)
    if points == 0:
        return rule, Passed(rule.name, note)
    return rule, Granted(rule.name, rule.lots, points, _paid_by(rules.code, rule, points), note)


_SPANS = {"day": "a day", "period": "a period", "ever": "a member"}


def _capped(rule: EarnRule, points: int, purchase: Purchase, facts: Facts) -> tuple[int, str]:
    """What is left of so many points under the rule's caps, and what held them down, in words."""
    given, note = points, ""
    if rule.per_earn is not None and given > rule.per_earn:
        note = f"{points} points, and at most {rule.per_earn} an earn"
        given = rule.per_earn
    for key, most in rule.caps(purchase.at.date()):
        left = max(0, most - facts.tally(key).points)
        if given > left:
            note = f"{points} points, and at most {most} {_SPANS[key.span]}"
            given = left
    return given, note


def _nobody_pays(rule: EarnRule, absent: Mapping[str, str]) -> str | None:
    if not absent:
        return None
    return next((absent[code] for code, _ in rule.paid_by if code in absent), None)


def _paid_by(code: str, rule: EarnRule, points: int) -> tuple[tuple[str, int], ...]:
    if not rule.paid_by:
        return ((code, points),)
    parts = split(points, [share for _, share in rule.paid_by])
    codes = [payer for payer, _ in rule.paid_by]
    return tuple((payer, part) for payer, part in zip(codes, parts, strict=True) if part)


def _chosen(found: Sequence[_Outcome]) -> EarnRule | None:
    """The rule of a unit that applies: alone, the first that gives points, or the best."""
    giving = [(rule, one.points) for rule, one in found if isinstance(one, Granted)]
    if not giving:
        return None
    if giving[0][0].choose == "first":
        return giving[0][0]
    # Of equals the first.
    return max(giving, key=lambda pair: pair[1])[0]
