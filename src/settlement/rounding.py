"""What rounding each side of a path for itself leaves with the house. Pure.

The house stands between the two sides, so its net holds this already and windows add up to zero;
here it is told apart from what the house keeps because the sides have different prices.
"""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from settlement.money import minor_digits
from settlement.obligation import PathLine, Result


class Rounding(NamedTuple):
    """Minor units that one path in one kind left with the house (negative: cost it)."""

    origin: str
    redeemer: str
    kind: str
    about: str | None
    is_given_back: bool
    currency: str
    amount: int


def roundings(result: Result) -> Iterator[Rounding]:
    """Of each path of which a side has lines at several prices, where it is not 0.

    A side of one line is rounded once, and so is the other: no price changed, and there is nothing
    to tell. Sides in two currencies have no difference.
    """
    sides: dict[tuple[str, str, str, str | None, bool, str], tuple[list[PathLine], list[PathLine]]]
    sides = defaultdict(lambda: ([], []))
    for side, lines in enumerate((result.paths, result.tills)):
        for line in lines:
            if not line.is_own:
                path = (line.origin, line.redeemer, line.kind, line.about, line.quantity < 0)
                sides[*path, line.currency][side].append(line)
    for key, (paths, tills) in sorted(sides.items(), key=lambda entry: _order(entry[0])):
        if paths and tills and len(paths) + len(tills) > 2:
            exact = round(sum(map(_exact, paths)) - sum(map(_exact, tills)))
            kept = sum(line.amount for line in paths) - sum(line.amount for line in tills)
            if kept != exact:
                yield Rounding(*key, kept - exact)


def _exact(line: PathLine) -> Fraction:
    return line.quantity * Fraction(line.price) * int(10 ** minor_digits(line.currency))


def _order(key: tuple[str, str, str, str | None, bool, str]) -> tuple[str | bool, ...]:
    origin, redeemer, kind, about, is_given_back, currency = key
    return about or "", origin, redeemer, kind, is_given_back, currency
