"""What several commands ask before they do anything, and the words of their refusals."""

from datetime import datetime, timedelta

from coalition.errors import Code
from coalition.ledger.commands import CLOCK_DRIFT, Refused, Request
from coalition.ledger.state import Card, State
from coalition.ledger.take import Short
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import suspended_words

# Of today or yesterday, which every limit of whole days allows; most of what a till sends is, and
# to know its day costs as much as all else here.
_NEVER_LATE = timedelta(hours=12)


def wrong_day(at: datetime, request: Request, book: Book) -> Refused | None:
    """A refusal of a day that the asking merchant's terms do not allow, whosever card it is.

    Not before it joined, and not longer ago than its terms of today say, on its own calendar. The
    house has no till and no such terms.
    """
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return None
    code, joined_on = merchant.terms.code, merchant.terms.joined_on
    on = book.business_date(merchant.merchant_id, at)
    if on < joined_on:
        return Refused(
            Code.INVALID,
            f"occurred_at: {at.isoformat()} is before {code} joined on {joined_on}.",
        )
    if request.now - at < _NEVER_LATE:
        return None
    today = book.business_date(merchant.merchant_id, request.now)
    late_days, days_max = (today - on).days, merchant.on(today).lateness_days_max
    if late_days <= days_max:
        return None
    return Refused(
        Code.INVALID,
        f"occurred_at: {at.isoformat()} is {late_days} days ago for {code}, whose terms take what "
        f"is {days_max} days late at most: from {today - timedelta(days=days_max)} on.",
    )


def before_card(at: datetime, card: Card) -> Refused | None:
    """A refusal of what happened before the card that it was asked with was issued.

    It was issued by our clock, and a till's may be slow: a new member's first purchase must pass.
    """
    if at + CLOCK_DRIFT >= card.issued_at:
        return None
    return Refused(
        Code.INVALID,
        f"occurred_at: {at.isoformat()} is before the card was issued, at "
        f"{card.issued_at.isoformat()}.",
    )


def not_yet_earned(at: datetime, missing: Short, book: Book) -> Refused:
    """A refusal of a burn whose points are there now, and were not when it is said to have been."""
    origin = "" if missing.origin_id is None else f" of {book.codes[missing.origin_id]}"
    return Refused(
        Code.INVALID,
        f"occurred_at: {missing.asked} points{origin} were asked; of what is available now, "
        f"{missing.there} were earned by {at.isoformat()}. Leave it out for a burn of now.",
    )


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


def short(missing: Short, pending: int, book: Book) -> Refused:
    """A refusal that says how many points were asked of whom, and how many are there.

    pending: how many the member has of anybody that cannot be burned yet.
    """
    origin = "" if missing.origin_id is None else f" of {book.codes[missing.origin_id]}"
    return Refused(
        Code.INSUFFICIENT_POINTS,
        f"{missing.asked} points{origin} were asked; {missing.there} are available"
        + (f", and {pending} are pending." if pending else "."),
    )


def window_about(occurred_at: datetime, state: State, book: Book) -> int | None:
    """The earlier window that a late item belongs to by its own time; None when it is not late."""
    if occurred_at >= state.window.opens_at:
        return None
    window = book.window_at(occurred_at)
    if window is None or window.window_id >= state.window.window_id:
        return None
    return window.window_id
