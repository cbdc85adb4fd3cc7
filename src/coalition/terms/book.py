"""The book: every merchant's terms, the house's, and the windows, as plain values in memory.

It is what the pure middle reads instead of the database. Loading it is store.py.
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coalition.terms.terms import HouseTerms, Terms

HOUSE_ID = 0
POOL_ID = 1


@dataclass(frozen=True, slots=True)
class Window:
    """A settlement window: everything posted from opens_at until it was closed."""

    window_id: int
    label: str
    opens_at: datetime
    closes_at: datetime
    is_open: bool


@dataclass(frozen=True, slots=True)
class Merchant:
    merchant_id: int
    terms: Terms
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Book:
    """codes maps every party's id, the house and the pool included, to its code."""

    house: HouseTerms
    house_zone: ZoneInfo
    merchants: dict[int, Merchant]
    ids: dict[str, int]
    codes: dict[int, str]
    windows: tuple[Window, ...]

    def today(self, now: datetime) -> date:
        """The coalition's date at `now`, by which points lapse: in the house's time zone."""
        return now.astimezone(self.house_zone).date()

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
