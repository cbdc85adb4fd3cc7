"""What a window's points cost: tallies of legs and lots become path lines and obligations.

Pure: who pays whom for which kind of movement, and at which of the dated prices. Reading tallies
and prices is store.py; setting the obligations off against each other is settlement/netting.py.
A large window has a million tallies: what there is one of for each is a struct or a plain tuple
that the garbage collector need not look through again and again.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import msgspec

from coalition.clearing.kinds import EXPIRY, GIVEN_BACK, ISSUE, REDEMPTIONS
from coalition.terms.prices import Price
from coalition.terms.terms import Breakage
from settlement.money import amount_at_price
from settlement.obligation import BURN, HOUSE, OWN, POOL, REDEEM, Lines, PathLine

ZERO = Decimal(0)
# The rule by which a window is closed now. By rule 1 both sides of a path were split wherever the
# price of either changed, and each part was rounded; windows closed by it are verified by it.
RULE_VERSION = 2


class Tally(msgspec.Struct, frozen=True, gc=False):
    """Points of one path and kind, all of business dates at which the same prices are in force.

    on is one of those dates. points is signed; about is the label of the earlier window that a
    correction (negative) or a late item (positive) belongs to.
    """

    origin: str
    redeemer: str
    kind: str
    on: date
    points: int
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """What pricing needs to know of a party: its currency, and whose its expired points are."""

    currency: str
    breakage: Breakage = "issuer"


PriceTable = Mapping[tuple[str, str | None], tuple[Price, ...]]


class _Due(msgspec.Struct, frozen=True, order=True, gc=False):
    """One side of a path: debtor owes creditor `price` a point in `currency`.

    Where both are the same party, nobody owes anything.
    """

    debtor: str
    creditor: str
    price: Decimal
    currency: str
    reason: str


# The origin's side, and after it the redeemer's where another's points were redeemed.
_Dues = tuple[_Due] | tuple[_Due, _Due]
# What tallies share that may be one line, in the order in which lines are written: whether they
# are about an earlier window, its label, origin, redeemer, kind, and whether they give back.
_Path = tuple[bool, str, str, str, str, bool]


def price_table(prices: Iterable[Price]) -> PriceTable:
    """Prices by whom they are for, sorted by day; of two for one day the later in order wins."""
    by_day: dict[tuple[str, str | None], dict[date, Price]] = defaultdict(dict)
    for row in prices:
        by_day[row.origin, row.redeemer][row.effective_from] = row
    return {key: tuple(rows[day] for day in sorted(rows)) for key, rows in by_day.items()}


def in_force(table: PriceTable, origin: str, redeemer: str | None, on: date) -> Price | None:
    """The price agreed for that pair (or, redeemer None, by the origin for everyone) on a day.

    None before the first one: nothing was agreed then, so nothing is owed. It is no error, because
    a window that cannot be priced could never close, and no price may be added to a closed one.
    """
    rows = table.get((origin, redeemer))
    if rows is None:
        return None
    found = bisect_right(rows, on, key=lambda row: row.effective_from)
    return rows[found - 1] if found else None


def price(
    tallies: Iterable[Tally],
    table: PriceTable,
    parties: Mapping[str, Party],
    rule_version: int = RULE_VERSION,
) -> Lines:
    """Lines and obligations of a window, in an order of their own.

    One line is one side of one path, one kind, one price, and one earlier window where it is about
    one. Its amount is exact and rounded once, half-even, to minor units. Lines of 0 points are left
    out.
    """
    entries = [(_path(tally), _dues(tally, table, parties), tally.points) for tally in tallies]
    entries.sort(key=itemgetter(0))
    lines = Lines()
    for path, its_entries in groupby(entries, key=itemgetter(0)):
        sides = [(dues, points) for _, dues, points in its_entries]
        for due, quantity in _split(sides) if rule_version == 1 else _by_side(sides):
            _write(lines, path, due, quantity)
    return lines


def _path(tally: Tally) -> _Path:
    about = tally.about
    if about is None:
        return (False, "", tally.origin, tally.redeemer, tally.kind, False)
    # A correction never hides in a late item of the same path: they are lines of their own.
    return (True, about, tally.origin, tally.redeemer, tally.kind, tally.points < 0)


def _by_side(entries: list[tuple[_Dues, int]]) -> list[tuple[_Due, int]]:
    """Entries of one path, each side's at one price added up; the origin's side first."""
    points: dict[_Due, int] = defaultdict(int)
    for dues, quantity in entries:
        for due in dues:
            points[due] += quantity
    return _in_order(points.items())


def _split(entries: list[tuple[_Dues, int]]) -> list[tuple[_Due, int]]:
    """The same by rule 1: those added up of which both sides have the same price."""
    points: dict[_Dues, int] = defaultdict(int)
    for dues, quantity in entries:
        points[_as_in_rule_1(dues)] += quantity
    return _in_order((due, quantity) for dues, quantity in points.items() for due in dues)


def _as_in_rule_1(dues: _Dues) -> _Dues:
    if len(dues) == 1 or any(due.price for due in dues):
        return dues
    # What nobody pays for was in the origin's currency on both sides.
    pays, gets = dues
    return (pays, msgspec.structs.replace(gets, currency=pays.currency))


def _in_order(sides: Iterable[tuple[_Due, int]]) -> list[tuple[_Due, int]]:
    return sorted(
        (side for side in sides if side[1]),
        key=lambda side: (
            side[0].reason == REDEEM, side[0].price, side[0].currency, side[1], side[0],
        ),
    )  # fmt: skip


def _dues(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Dues:
    """Who owes whom for a point of this tally, on the origin's side and on the redeemer's."""
    origin, kind = tally.origin, tally.kind
    if kind in REDEMPTIONS and origin != tally.redeemer:
        return _redemption(tally, table, parties)
    due = _due(tally, in_force(table, origin, None, tally.on), parties[origin])
    # A price of 0, and no price yet, are the same.
    if due.price:
        return (due,)
    return (_Due(origin, origin, ZERO, due.currency, due.reason),)


def _due(tally: Tally, own: Price | None, party: Party) -> _Due:
    """Who owes whom for a point that no other merchant redeemed."""
    origin, kind, currency = tally.origin, tally.kind, party.currency
    issue_price = own.issue_price if own else ZERO
    if kind == ISSUE:
        return _Due(origin, HOUSE, issue_price, currency, kind)
    if kind in GIVEN_BACK:
        return _Due(HOUSE, origin, issue_price, currency, kind)
    if kind == EXPIRY:
        return _breakage(origin, own, party)
    # A transfer: the point stays with the coalition, and was paid for when it was issued.
    return _Due(origin, origin, ZERO, currency, OWN if kind in REDEMPTIONS else kind)


def _redemption(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Dues:
    origin, redeemer, on = tally.origin, tally.redeemer, tally.on
    currency = parties[origin].currency
    pair = in_force(table, origin, redeemer, on)
    agreed = pair or in_force(table, origin, None, on)
    pays = agreed.burn_price if agreed else ZERO
    at_till = pair or in_force(table, redeemer, None, on)
    gets = at_till.redeem_price if at_till else None
    return (
        _Due(origin, HOUSE, pays, currency, BURN),
        _Due(HOUSE, redeemer, pays, currency, REDEEM)
        if gets is None
        else _Due(HOUSE, redeemer, gets, parties[redeemer].currency, REDEEM),
    )


def _breakage(origin: str, own: Price | None, party: Party) -> _Due:
    """Whose an expired point's value is: prefunded, the house holds it, else the issuer does."""
    prefunded = own is not None and own.issue_price > 0
    value = ZERO if own is None else own.issue_price if prefunded else own.burn_price
    holder = HOUSE if prefunded else origin
    owner = {"issuer": origin, "house": HOUSE, "pool": POOL}[party.breakage]
    return _Due(holder, owner, value if holder != owner else ZERO, party.currency, "breakage")


def _write(lines: Lines, path: _Path, due: _Due, quantity: int) -> None:
    is_about, about, origin, redeemer, kind, _ = path
    amount = amount_at_price(quantity, due.price, due.currency)
    label = about if is_about else None
    # By place, as in Lines: by name it takes half as long again, a million times.
    line = PathLine(
        lines.next_no, origin, redeemer, kind, quantity, due.price, amount, due.currency, label,
        due.reason,
    )  # fmt: skip
    lines.add(line, due.debtor, due.creditor)
