"""How much of a member's points may be spent: at once, and on one day together. Pure.

Spent is what burns, holds and transfers take. A day is the house's, by the ledger's own clock, so
that no till chooses it by its occurred_at. What a void, a capture or a reversal gives back on the
same day was spent all the same: a limit that fills up again is none.
"""

from datetime import date, timedelta

from coalition.errors import Code
from coalition.ledger.commands import Refused, Request
from coalition.ledger.state import Account, State
from coalition.terms.book import Book

# Two processes' clocks are not the same: after midnight by the one, the other still counts on.
_CLOCKS_APART = timedelta(days=1)


def above_limits(
    points: int, request: Request, account: Account, state: State, book: Book
) -> Refused | None:
    """A refusal where these points are too many by the asking merchant's terms, or the house's."""
    merchant = book.merchants.get(request.merchant_id)
    terms = None if merchant is None else book.terms_today(merchant, request.now)
    if terms is not None and (most := terms.points_per_burn_max) is not None and points > most:
        return Refused(Code.LIMIT_REACHED, f"{points} points at once; {terms.code} allows {most}.")
    if state.is_import:
        return None
    today = points + spent_on(account, book.today(request.now))
    for one in (terms, book.house):
        if one is None or (most := one.points_per_member_per_day_max) is None or today <= most:
            continue
        # How much of it was spent elsewhere is not the asker's to know.
        return Refused(
            Code.LIMIT_REACHED,
            f"{points} points more are above what {one.code} allows a member to spend on one day, "
            f"at all merchants together: {most}.",
        )
    return None


def spent_on(account: Account, day: date) -> int:
    """The points spent on `day`."""
    return account.spent_points if _is_counted(account, day) else 0


def count_spent(
    points: int, posting_no: int, request: Request, account: Account, state: State, book: Book
) -> None:
    """Count the points that the posting of this number spends. History spends nothing today."""
    if state.is_import:
        return
    today = book.today(request.now)
    if not _is_counted(account, today):
        account.spent_on, account.spent_points = today, 0
        account.spent_after_no = posting_no - 1
    account.spent_points += points


def _is_counted(account: Account, day: date) -> bool:
    # A clock that was set back further than clocks differ starts again: nobody waits for years.
    last = account.spent_on
    return last is not None and last - _CLOCKS_APART <= day <= last
