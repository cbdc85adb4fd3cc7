"""What several commands ask before they do anything, and the words of their refusals."""

from datetime import datetime

from coalition.errors import Code
from coalition.ledger.commands import Refused
from coalition.ledger.state import State
from coalition.ledger.take import Short
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import suspended_words


def before_joining(at: datetime, merchant: Merchant, book: Book) -> Refused | None:
    """A refusal of what happened before the merchant was a member of the coalition."""
    if book.business_date(merchant.merchant_id, at) < merchant.terms.joined_on:
        return Refused(
            Code.INVALID,
            f"occurred_at: {at.isoformat()} is before {merchant.terms.code} joined on "
            f"{merchant.terms.joined_on}.",
        )
    return None


def before_movement(at: datetime | None, moved_at: datetime | None, what: str) -> Refused | None:
    """A refusal of a return that is dated before what is returned. at None: it is not dated."""
    if at is None or moved_at is None or at >= moved_at:
        return None
    return Refused(
        Code.INVALID,
        f"occurred_at: {at.isoformat()} is before the {what} itself, at {moved_at.isoformat()}.",
    )


def suspended(merchant: Merchant) -> Refused | None:
    """A refusal where the merchant may not earn, burn or capture for now."""
    if merchant.terms.suspended:
        return Refused(Code.MERCHANT_SUSPENDED, suspended_words(merchant.terms.code))
    return None


def short(missing: Short, book: Book) -> Refused:
    """A refusal that says how many points were asked of whom, and how many are there."""
    origin = "" if missing.origin_id is None else f" of {book.codes[missing.origin_id]}"
    return Refused(
        Code.INSUFFICIENT_POINTS,
        f"{missing.asked} points{origin} were asked; {missing.there} are available.",
    )


def window_about(occurred_at: datetime, state: State, book: Book) -> int | None:
    """The earlier window that a late item belongs to by its own time; None when it is not late."""
    if occurred_at >= state.window.opens_at:
        return None
    window = book.window_at(occurred_at)
    if window is None or window.window_id >= state.window.window_id:
        return None
    return window.window_id
