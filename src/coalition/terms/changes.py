"""What a sync of merchants' files would change, or why it may not: decided over plain values.

Pure. It keeps the rule that a closed window never changes: no price may reach back into one.
Loading what is stored and storing what was decided is store.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import msgspec

from coalition.errors import CoalitionError, Code
from coalition.terms.dating import AT_ONCE, NewTerms, Rows, date_terms
from coalition.terms.prices import Price, PriceKey
from coalition.terms.terms import HouseTerms, Terms

# What a file changes at once, whatever terms it begins on a later day.
_UPDATED = AT_ONCE | {"time_zone"}


class SyncRefusedError(CoalitionError):
    """The files ask for what may not change. Nothing was changed; refusals holds every reason."""

    def __init__(self, refusals: list[str]) -> None:
        super().__init__(Code.INVALID, "\n".join(refusals))
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a sync does. kept: in the database but without a file; it is left as it is."""

    kind: Literal["added", "updated", "terms", "price", "kept"]
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds now.

    open_from is the house's day on which the open window begins; None while no window was ever
    closed. terms holds every row of each merchant's dated terms, posted_on the last day of postings
    of each whose terms change. settled_on is, for each party, the last business date from
    open_from on that a closed window holds all the same: its close came after that day had begun.
    """

    parties: dict[str, Terms | HouseTerms]
    terms: Rows
    posted_on: dict[str, date]
    prices: dict[PriceKey, Price]
    open_from: date | None
    settled_on: dict[str, date]


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """added and updated are whole files, in the order in which they get their ids."""

    added: list[Terms | HouseTerms]
    updated: list[Terms | HouseTerms]
    terms: list[NewTerms]
    prices: list[Price]
    changes: list[Change]


def decide_sync(stored: Stored, house: HouseTerms, terms: list[Terms], today: date) -> SyncPlan:
    """What to add, update and append so that the database says what the files say.

    terms are the merchants' files, those with a date too. today is the house's date: a stored price
    that is in force by then is never replaced. Raises SyncRefusedError with every refusal.
    """
    files = sorted(terms, key=lambda one: (one.code, one.filed_for or date.min))
    filed: list[Terms | HouseTerms] = [house, *(one for one in files if one.filed_for is None)]
    prices = prices_of(terms)
    new_prices = [prices[key] for key in sorted(prices) if stored.prices.get(key) != prices[key]]
    refusals = _currency_refusals(stored, filed)
    refusals += _price_refusals(stored, new_prices, today)
    refusals += _removal_refusals(stored, prices, {one.code for one in filed})
    new_terms, term_refusals = date_terms(stored.terms, files, stored.posted_on, today)
    refusals += term_refusals
    if refusals:
        raise SyncRefusedError(refusals)
    added = [one for one in filed if one.code not in stored.parties]
    updated = [one for one in filed if stored.parties.get(one.code, one) != one]
    changes = _changes(stored, filed, new_terms, new_prices)
    return SyncPlan(added, updated, new_terms, new_prices, changes)


def prices_of(files: Iterable[Terms]) -> dict[PriceKey, Price]:
    """Every price that the files state, those for all redeemers and those for one."""
    return {price.key: price for one in files for price in (*one.prices, *one.pair_prices)}


def earliest_day(stored: Stored, price: Price) -> date | None:
    """The first day a new price may start on; None: any, since nothing closed has its path.

    A merchant that is only now added has no point and no burn in a closed window, so its prices,
    and those of a pair that it is one of, may begin whenever they like.
    """
    parties = [code for code in (price.origin, price.redeemer) if code]
    if stored.open_from is None or any(code not in stored.parties for code in parties):
        return None
    # A path's last settled day is no later than the earlier of its two ends' last ones.
    settled = [stored.settled_on.get(code, date.min) for code in parties]
    day_after = min(settled) + timedelta(days=1)
    return max(stored.open_from, day_after)


def _currency_refusals(stored: Stored, filed: list[Terms | HouseTerms]) -> list[str]:
    refusals = []
    for one in filed:
        before = stored.parties.get(one.code)
        if before is not None and before.currency != one.currency:
            refusals.append(
                f"{one.code}: currency is {before.currency} and cannot become {one.currency}; "
                "add a merchant with a code of its own for the other currency"
            )
    return refusals


def _price_refusals(stored: Stored, new_prices: list[Price], today: date) -> list[str]:
    refusals = []
    for price in new_prices:
        earliest = earliest_day(stored, price)
        before = stored.prices.get(price.key)
        if before is not None and price.effective_from <= today:
            begin = max(today + timedelta(days=1), earliest or date.min)
            refusals.append(
                f"{price.origin}: {price.title} is in force as {before} and cannot become {price}; "
                f"leave it as it was and add one from {begin} or later"
            )
        elif earliest is not None and price.effective_from < earliest:
            refusals.append(
                f"{price.origin}: {price.title} would reach into a closed window, "
                f"and a closed window never changes; the earliest day possible is {earliest}"
            )
    return refusals


def _removal_refusals(stored: Stored, prices: dict[PriceKey, Price], codes: set[str]) -> list[str]:
    return [
        f"{price.origin}: {price.title} is stored as {price} and cannot be taken away; "
        "write it in the file again, and a later one after it where it is to end"
        for key, price in sorted(stored.prices.items())
        if key not in prices and price.origin in codes
    ]


def _changes(
    stored: Stored,
    filed: list[Terms | HouseTerms],
    new_terms: list[NewTerms],
    new_prices: list[Price],
) -> list[Change]:
    changes = []
    for one in filed:
        before = stored.parties.get(one.code)
        if before is None:
            changes.append(Change("added", one.code, f"added, {one.name}, {one.currency}"))
        elif updated := _updated(before, one, new_terms):
            changes.append(Change("updated", one.code, f"updated {', '.join(updated)}"))
        # A merchant's first terms say nothing that "added" does not.
        changes += [
            Change("terms", one.code, str(new))
            for new in new_terms
            if new.terms.code == one.code and (before is not None or new.terms.filed_for)
        ]
        changes += [
            Change("price", one.code, f"{price.title}: {price}")
            for price in new_prices
            if price.origin == one.code
        ]
    gone = sorted(stored.parties.keys() - {one.code for one in filed})
    return changes + [Change("kept", code, "kept, no file") for code in gone]


def _updated(
    before: Terms | HouseTerms, after: Terms | HouseTerms, new_terms: list[NewTerms]
) -> list[str]:
    """What differs, but for what a line of new terms tells of the day from which on it counts."""
    was, now = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    differing = [name for name in now if was.get(name) != now[name]]
    is_told = any(new.terms is after for new in new_terms)
    return [name for name in differing if name in _UPDATED or not is_told]
