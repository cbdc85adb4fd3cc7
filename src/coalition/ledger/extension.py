"""Terms that give more time to points earned before: applied to lots as they are loaded."""

from datetime import date, timedelta

from coalition.earning.validity import last_good_day
from coalition.ledger.state import Lot, Member, State
from coalition.terms.book import Book, DatedTerms, Merchant


def extend(member: Member, state: State, book: Book, today: date) -> None:
    """Let open lots live as long as later terms say that extend what was earned; never shorter."""
    for lot in member.lots.values():
        if not lot.remaining or lot.expires_on is None or lot.inactive_months is not None:
            continue
        origin = book.merchants.get(lot.origin_id)
        if origin is not None and (until := _extended(lot, origin, today)) != lot.expires_on:
            state.lengthen(member, lot, until)


def _extended(lot: Lot, origin: Merchant, today: date) -> date | None:
    """Until when the lot lives; None: for ever.

    Every one of the terms counts that was in force while the lot lived, in their order, and not
    those of today alone: so it makes no difference when somebody looks.
    """
    until = lot.expires_on
    for one, ends_on in _reigns(origin):
        if until is None:
            break
        if one.effective_from > min(today, until) or ends_on < lot.earned_on:
            continue
        validity = one.terms.validity
        if validity.extends_earned:
            day = last_good_day(validity, lot.earned_on)
            until = None if day is None else max(until, day)
    return until


def _reigns(origin: Merchant) -> list[tuple[DatedTerms, date]]:
    """Each of the merchant's terms, and the last day on which they are in force."""
    after = [one.effective_from - timedelta(days=1) for one in origin.dated[1:]]
    return list(zip(origin.dated, [*after, date.max], strict=True)) if origin.dated else []
