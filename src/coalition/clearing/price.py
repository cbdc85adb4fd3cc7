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

from coalition.terms.terms import Breakage
from settlement.money import amount_at_price
from settlement.obligation import HOUSE, POOL, Obligation, PathLine

ZERO = Decimal(0)
ISSUE = "issue"
# Points that bought something at a redeemer: what the origin pays for, unless they are its own.
REDEMPTIONS = frozenset({"redemption", "cash_out", "donation"})
# Points taken back from circulation unspent: the issue price goes back with them. An adjustment
# that takes points out undoes one that put them in, and that one was counted as an issue.
GIVEN_BACK = frozenset({"clawback", "adjustment"})


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
class DatedPrice:
    """What a merchant's point costs from a day on; redeemer None: whoever redeems it."""

    origin: str
    redeemer: str | None
    effective_from: date
    issue_price: Decimal = ZERO
    burn_price: Decimal = ZERO
    redeem_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """What pricing needs to know of a party: its currency, and whose its expired points are."""

    currency: str
    breakage: Breakage = "issuer"


PriceTable = Mapping[tuple[str, str | None], tuple[DatedPrice, ...]]


class _Due(msgspec.Struct, frozen=True, order=True, gc=False):
    """One side of a line: debtor owes creditor `price` a point in `currency`."""

    debtor: str
    creditor: str
    price: Decimal
    currency: str
    reason: str


_Dues = tuple[_Due, ...]
# What tallies share that may be one line, in the order in which lines are written: whether they
# are about an earlier window, its label, origin, redeemer, kind, and whether they give back.
_Path = tuple[bool, str, str, str, str, bool]


def price_table(prices: Iterable[DatedPrice]) -> PriceTable:
    """Prices by whom they are for, sorted by day; of two for one day the later in order wins."""
    by_day: dict[tuple[str, str | None], dict[date, DatedPrice]] = defaultdict(dict)
    for row in prices:
        by_day[row.origin, row.redeemer][row.effective_from] = row
    return {key: tuple(rows[day] for day in sorted(rows)) for key, rows in by_day.items()}


def in_force(table: PriceTable, origin: str, redeemer: str | None, on: date) -> DatedPrice | None:
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
    tallies: Iterable[Tally], table: PriceTable, parties: Mapping[str, Party]
) -> tuple[tuple[PathLine, ...], tuple[Obligation, ...]]:
    """Path lines and obligations of a window, numbered from 1, in an order of their own.

    One line is one path, one kind, one price, and one earlier window where it is about one. Its
    amount is exact and rounded once, half-even, to minor units. Lines of 0 points are left out.
    """
    entries = [(_path(tally), _owing(tally, table, parties), tally.points) for tally in tallies]
    entries.sort(key=itemgetter(0))
    paths: list[PathLine] = []
    obligations: list[Obligation] = []
    for path, its_entries in groupby(entries, key=itemgetter(0)):
        for dues, quantity in _lines([(dues, points) for _, dues, points in its_entries]):
            if quantity:
                _write(path, dues, quantity, parties, paths, obligations)
    return tuple(paths), tuple(obligations)


def _path(tally: Tally) -> _Path:
    about = tally.about
    if about is None:
        return (False, "", tally.origin, tally.redeemer, tally.kind, False)
    # A correction never hides in a late item of the same path: they are lines of their own.
    return (True, about, tally.origin, tally.redeemer, tally.kind, tally.points < 0)


def _lines(entries: list[tuple[_Dues, int]]) -> list[tuple[_Dues, int]]:
    """Entries of one path with those of the same dues added up, in an order of their own."""
    if len(entries) == 1:
        return entries
    points: dict[_Dues, int] = defaultdict(int)
    for dues, quantity in entries:
        points[dues] += quantity
    return sorted(points.items(), key=lambda line: (_shown_price(line[0]), line[0]))


def _shown_price(dues: _Dues) -> Decimal:
    """The price on the path line: what the first due costs a point."""
    return dues[0].price if dues else ZERO


def _owing(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Dues:
    """The dues of a tally: none where all of them are free, as before the first price agreed on."""
    dues = _dues(tally, table, parties)
    return dues if any(due.price for due in dues) else ()


def _dues(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Dues:
    """Who owes whom for a point of this tally; the first is what the path line shows."""
    origin, kind, on = tally.origin, tally.kind, tally.on
    if kind in REDEMPTIONS:
        return _redemption(tally, table, parties) if origin != tally.redeemer else ()
    currency = parties[origin].currency
    own = in_force(table, origin, None, on)
    if kind == ISSUE and own:
        return (_Due(origin, HOUSE, own.issue_price, currency, "issue"),)
    if kind in GIVEN_BACK and own:
        return (_Due(HOUSE, origin, own.issue_price, currency, kind),)
    if kind == "expiry" and own:
        return _breakage(origin, own, parties[origin])
    # A transfer: the point stays with the coalition, and was paid for when it was issued.
    return ()


def _redemption(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Dues:
    origin, redeemer, on = tally.origin, tally.redeemer, tally.on
    currency = parties[origin].currency
    pair = in_force(table, origin, redeemer, on)
    agreed = pair or in_force(table, origin, None, on)
    pays = agreed.burn_price if agreed else ZERO
    at_till = pair or in_force(table, redeemer, None, on)
    gets = at_till.redeem_price if at_till else None
    return (
        _Due(origin, HOUSE, pays, currency, "burn"),
        _Due(HOUSE, redeemer, pays, currency, "redeem")
        if gets is None
        else _Due(HOUSE, redeemer, gets, parties[redeemer].currency, "redeem"),
    )


def _breakage(origin: str, own: DatedPrice, party: Party) -> _Dues:
    """Whose an expired point's value is: prefunded, the house holds it, else the issuer does."""
    prefunded = own.issue_price > 0
    value = own.issue_price if prefunded else own.burn_price
    holder = HOUSE if prefunded else origin
    owner = {"issuer": origin, "house": HOUSE, "pool": POOL}[party.breakage]
    if holder == owner:
        return ()
    return (_Due(holder, owner, value, party.currency, "breakage"),)


def _write(
    path: _Path,
    dues: _Dues,
    quantity: int,
    parties: Mapping[str, Party],
    paths: list[PathLine],
    obligations: list[Obligation],
) -> None:
    is_about, about, origin, redeemer, kind, _ = path
    path_no = len(paths) + 1
    unit = _shown_price(dues)
    currency = dues[0].currency if dues else parties[origin].currency
    shown = amount_at_price(quantity, unit, currency)
    label = about if is_about else None
    # By place, as the obligations below: by name it takes half as long again, a million times.
    paths.append(PathLine(path_no, origin, redeemer, kind, quantity, unit, shown, currency, label))
    points = abs(quantity)
    for due in dues:
        # Both sides mostly share the line's price, and a large window has a million of them.
        is_shown = due.price is unit and due.currency == currency
        amount = abs(shown) if is_shown else amount_at_price(points, due.price, due.currency)
        # Points given back swap the two sides, so that every amount stays positive.
        debtor, creditor = due.debtor, due.creditor
        if quantity < 0:
            debtor, creditor = creditor, debtor
        if amount == 0 or debtor == creditor:
            continue
        number = len(obligations) + 1
        obligations.append(
            Obligation(
                number, debtor, creditor, amount, due.currency, due.reason, path_no, points,
                due.price,
            )
        )  # fmt: skip
