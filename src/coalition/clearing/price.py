"""What a window's points cost: tallies of legs and lots become path lines and obligations.

Pure: who pays whom for which kind of movement, and at which of the dated prices. Reading tallies
and prices is store.py; setting the obligations off against each other is settlement/netting.py.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from coalition.earning.terms import Breakage
from settlement.money import amount_at_price
from settlement.obligation import HOUSE, POOL, Obligation, PathLine

ZERO = Decimal(0)
ISSUE = "issue"
# Points that bought something at a redeemer: what the origin pays for, unless they are its own.
REDEMPTIONS = frozenset({"redemption", "cash_out", "donation"})
# Points taken back from circulation unspent: the issue price goes back with them. An adjustment
# that takes points out undoes one that put them in, and that one was counted as an issue.
GIVEN_BACK = frozenset({"clawback", "adjustment"})


class Tally(NamedTuple):
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


class _Due(NamedTuple):
    """One side of a line: debtor owes creditor `price` a point in `currency`."""

    debtor: str
    creditor: str
    price: Decimal
    currency: str
    reason: str


class _Priced(NamedTuple):
    """What a path line is known by: tallies that agree in all of this are one line."""

    origin: str
    redeemer: str
    kind: str
    about: str | None
    gives_back: bool
    price: Decimal
    dues: tuple[_Due, ...]


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
    rows = table.get((origin, redeemer), ())
    found = bisect_right(rows, on, key=lambda row: row.effective_from)
    return rows[found - 1] if found else None


def price(
    tallies: Iterable[Tally], table: PriceTable, parties: Mapping[str, Party]
) -> tuple[tuple[PathLine, ...], tuple[Obligation, ...]]:
    """Path lines and obligations of a window, numbered from 1, in an order of their own.

    One line is one path, one kind, one price, and one earlier window where it is about one. Its
    amount is exact and rounded once, half-even, to minor units. Lines of 0 points are left out.
    """
    points: dict[_Priced, int] = defaultdict(int)
    for tally in tallies:
        points[_priced(tally, table, parties)] += tally.points
    paths: list[PathLine] = []
    obligations: list[Obligation] = []
    for line in sorted(points, key=_order):
        if quantity := points[line]:
            _write(line, quantity, parties, paths, obligations)
    return tuple(paths), tuple(obligations)


def _order(line: _Priced) -> tuple[object, ...]:
    key = (line.about is not None, line.about or "", line.origin, line.redeemer, line.kind)
    return (*key, line.gives_back, line.price, line.dues)


def _priced(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> _Priced:
    dues = _dues(tally, table, parties)
    return _Priced(
        origin=tally.origin,
        redeemer=tally.redeemer,
        kind=tally.kind,
        about=tally.about,
        # A correction never hides in a late item of the same path: they are lines of their own.
        gives_back=tally.about is not None and tally.points < 0,
        price=dues[0].price if dues else ZERO,
        dues=dues,
    )


def _dues(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> tuple[_Due, ...]:
    """Who owes whom for a point of this tally; the first is what the path line shows."""
    origin, kind, on = tally.origin, tally.kind, tally.on
    currency = parties[origin].currency
    own = in_force(table, origin, None, on)
    if kind in REDEMPTIONS:
        return _redemption(tally, table, parties) if origin != tally.redeemer else ()
    if kind == ISSUE and own:
        return (_Due(origin, HOUSE, own.issue_price, currency, "issue"),)
    if kind in GIVEN_BACK and own:
        return (_Due(HOUSE, origin, own.issue_price, currency, kind),)
    if kind == "expiry" and own:
        return _breakage(origin, own, parties[origin])
    # A transfer: the point stays with the coalition, and was paid for when it was issued.
    return ()


def _redemption(tally: Tally, table: PriceTable, parties: Mapping[str, Party]) -> tuple[_Due, ...]:
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


def _breakage(origin: str, own: DatedPrice, party: Party) -> tuple[_Due, ...]:
    """Whose an expired point's value is: prefunded, the house holds it, else the issuer does."""
    prefunded = own.issue_price > 0
    value = own.issue_price if prefunded else own.burn_price
    holder = HOUSE if prefunded else origin
    owner = {"issuer": origin, "house": HOUSE, "pool": POOL}[party.breakage]
    if holder == owner:
        return ()
    return (_Due(holder, owner, value, party.currency, "breakage"),)


def _write(
    line: _Priced,
    quantity: int,
    parties: Mapping[str, Party],
    paths: list[PathLine],
    obligations: list[Obligation],
) -> None:
    path_no = len(paths) + 1
    currency = line.dues[0].currency if line.dues else parties[line.origin].currency
    shown = amount_at_price(quantity, line.price, currency)
    paths.append(
        PathLine(
            path_no=path_no,
            origin=line.origin,
            redeemer=line.redeemer,
            kind=line.kind,
            quantity=quantity,
            price=line.price,
            amount=shown,
            currency=currency,
            about=line.about,
        )
    )
    for due in line.dues:
        # Both sides mostly share the line's price, and a large window has a million of them.
        is_shown = due.price == line.price and due.currency == currency
        amount = abs(shown) if is_shown else amount_at_price(abs(quantity), due.price, due.currency)
        # Points given back swap the two sides, so that every amount stays positive.
        debtor, creditor = (
            (due.debtor, due.creditor) if quantity > 0 else (due.creditor, due.debtor)
        )
        if amount == 0 or debtor == creditor:
            continue
        obligations.append(
            Obligation(
                obligation_no=len(obligations) + 1,
                debtor=debtor,
                creditor=creditor,
                amount=amount,
                currency=due.currency,
                reason=due.reason,
                path_no=path_no,
                quantity=abs(quantity),
                unit_price=due.price,
            )
        )
