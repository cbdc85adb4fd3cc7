"""The book: every merchant's terms, the house's, and the windows, as plain values in memory.

It is what the pure middle reads instead of the database. Loading it is store.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coalition.terms.terms import HouseTerms, Terms
from settlement.window import Window

HOUSE_ID = 0
POOL_ID = 1


@dataclass(frozen=True, slots=True)
class DatedTerms:
    """Terms in force from the day effective_from on. terms_no: the later recorded, the higher."""

    terms_no: int
    effective_from: date
    terms: Terms


def in_order_of_days(rows: Iterable[DatedTerms]) -> tuple[DatedTerms, ...]:
    """Rows in the order in which they were recorded: the later of each day's, by day."""
    by_day = {row.effective_from: row for row in rows}
    return tuple(by_day[day] for day in sorted(by_day))


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant, and what it agreed to.

    terms is its file without a date as it was last synced: who it is, and all that holds at once
    (code, name, currency, time_zone, joined_on, suspended). For anything else ask on(day). dated
    are in order of their days, one a day; empty: `terms` hold on every day.
    """

    merchant_id: int
    terms: Terms
    zone: ZoneInfo
    dated: tuple[DatedTerms, ...] = ()

    def on(self, day: date) -> Terms:
        """The terms in force on `day`; before the first day of any, the first."""
        # Nearly every merchant has one only, and a till asks for each of its postings.
        if len(self.dated) == 1:
            return self.dated[0].terms
        return self.in_force(day).terms if self.dated else self.terms

    def in_force(self, day: date) -> DatedTerms:
        """As on(), with their number; of a merchant from the database."""
        for one in reversed(self.dated):
            if one.effective_from <= day:
                return one
        return self.dated[0]


@dataclass(frozen=True, slots=True)
class Book:
    """codes maps every party's id, the house and the pool included, to its code.

    asks_pins: whether any terms ask for a member's PIN, today or on another day. extends_earned:
    whether any give more time to points that were earned before. idle_origins: the merchants whose
    points lapse by inactivity, or did. remembers: those of whose rules any has a memory, or had;
    asks_facts: asks when the member was born or joined.
    """

    house: HouseTerms
    house_zone: ZoneInfo
    merchants: dict[int, Merchant]
    ids: dict[str, int]
    codes: dict[int, str]
    windows: tuple[Window, ...]
    asks_pins: bool = field(init=False)
    extends_earned: bool = field(init=False)
    idle_origins: frozenset[int] = field(init=False)
    remembers: frozenset[int] = field(init=False)
    asks_facts: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        above = [self.house.pin_above_points]
        for merchant in self.merchants.values():
            above.append(merchant.terms.pin_above_points)
            above += [one.terms.pin_above_points for one in merchant.dated]
        object.__setattr__(self, "asks_pins", any(points is not None for points in above))
        extends = any(
            one.terms.validity.extends_earned
            for merchant in self.merchants.values()
            for one in merchant.dated
        )
        object.__setattr__(self, "extends_earned", extends)
        idle = frozenset(
            merchant_id
            for merchant_id, merchant in self.merchants.items()
            if any(one.terms.validity.inactive_months for one in merchant.dated)
        )
        object.__setattr__(self, "idle_origins", idle)
        remembers = frozenset(
            merchant_id
            for merchant_id, merchant in self.merchants.items()
            if merchant.terms.remembers or any(one.terms.remembers for one in merchant.dated)
        )
        object.__setattr__(self, "remembers", remembers)
        asks_facts = frozenset(
            merchant_id
            for merchant_id, merchant in self.merchants.items()
            if merchant.terms.asks_facts or any(one.terms.asks_facts for one in merchant.dated)
        )
        object.__setattr__(self, "asks_facts", asks_facts)

    def today(self, now: datetime) -> date:
        """The coalition's date at `now`, by which points lapse: in the house's time zone."""
        return now.astimezone(self.house_zone).date()

    def terms_today(self, merchant: Merchant, now: datetime) -> Terms:
        """The terms in force at `now`, by the merchant's own date."""
        return merchant.on(now.astimezone(merchant.zone).date())

    def business_date(self, merchant_id: int, at: datetime) -> date:
        """The day of `at` at the merchant's till, in its own time zone."""
        merchant = self.merchants.get(merchant_id)
        return at.astimezone(merchant.zone if merchant else self.house_zone).date()

    def window_at(self, at: datetime) -> Window | None:
        """The window whose calendar span holds `at`; None before the first or after the last."""
        for window in reversed(self.windows):
            if window.opens_at <= at:
                return window if at < window.closes_at else None
        return None
