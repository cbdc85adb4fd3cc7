"""How much of a member's points may be spent: at once, on one day together, without a PIN. Pure.

Spent is what burns, holds and transfers take. A day is the house's, by the ledger's own clock, so
that no till chooses it by its occurred_at. What a void, a capture or a reversal gives back on the
same day was spent all the same: a limit that fills up again is none.
"""

from datetime import date, timedelta

from coalition.errors import Code
from coalition.ledger.commands import PinCheck, Refused, Request
from coalition.ledger.state import Account, State
from coalition.terms.book import Book
from coalition.terms.terms import Terms

# What is said of a PIN that is not right: which it is, and nothing that helps to guess it.
PIN_WORDS: dict[PinCheck, str] = {
    "absent": "The member's PIN is needed for this: send it as pin.",
    "unset": "The member's PIN is needed for this, and the member has none yet: "
    "POST /v1/cards/{card}/pin sets it.",
    "wrong": "The PIN is wrong.",
    "locked": "The PIN was wrong too often, and none is compared for a while. The house may set "
    "another.",
}
# Two processes' clocks are not the same: after midnight by the one, the other still counts on.
_CLOCKS_APART = timedelta(days=1)


def without_pin(
    points: int, request: Request, account: Account, state: State, book: Book
) -> Refused | None:
    """A refusal where terms ask for the PIN with these points, and it is not there or not right.

    A wrong PIN is refused where none is needed, too. What was spent today counts towards what needs
    one: a sum that needs a PIN needs it in small parts as well. The house, which may set any PIN,
    is not asked for it, and history was not.
    """
    if request.pin in ("wrong", "locked"):
        return Refused(Code.PIN_REQUIRED, PIN_WORDS[request.pin])
    merchant = book.merchants.get(request.merchant_id)
    if not book.asks_pins or request.pin == "right" or merchant is None or state.is_import:
        return None
    today = points + spent_on(account, book.today(request.now))
    for one in (book.terms_today(merchant, request.now), book.house):
        if one.pin_above_points is not None and today > one.pin_above_points:
            return Refused(Code.PIN_REQUIRED, PIN_WORDS[request.pin])
    return None


def above_limits(
    points: int, terms: Terms | None, request: Request, account: Account, state: State, book: Book
) -> Refused | None:
    """A refusal where these points are too many by the asker's terms, or by the house's.

    terms are the asking merchant's of today; None: the house asks.
    """
    if terms is not None and (most := terms.points_per_burn_max) is not None and points > most:
        return Refused(Code.LIMIT_REACHED, f"{points} points at once; {terms.code} allows {most}.")
    if state.is_import:
        return None
    for one in (terms, book.house):
        if one is None or (most := one.points_per_member_per_day_max) is None:
            continue
        if points + spent_on(account, book.today(request.now)) > most:
            # How much of it was spent elsewhere is not the asker's to know.
            return Refused(
                Code.LIMIT_REACHED,
                f"{points} points more are above what {one.code} allows a member to spend on one "
                f"day, at all merchants together: {most}.",
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
