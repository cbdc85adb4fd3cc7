"""What time alone does to points: holds past their time are void, lots past their day expire."""

from datetime import date, datetime, timedelta

from coalition.audit.actor import LAPSE
from coalition.ledger import journal
from coalition.ledger.burns import redeem_hold, void_hold
from coalition.ledger.commands import Expire, Request
from coalition.ledger.legs import post_burn
from coalition.ledger.state import BurnRow, Member, State
from coalition.ledger.take import Taken
from coalition.terms.book import HOUSE_ID, Book


def lapse(member: Member, state: State, book: Book, now: datetime) -> tuple[int, int]:
    """Bring one member up to `now`. Answers the points that expired and those that were voided.

    Looks only at what was loaded: open lots and held burns.
    """
    expired, voided = 0, 0
    for row, over_at in _stale_holds(member, now):
        # In the order in which it happened, so that it makes no difference when somebody looks:
        # what was free and past its day had expired before this hold gave its points back.
        expired += _expire_lots(member, state, book, book.today(over_at), now)
        request = Request(Expire(row.member_id), row.redeemer_id, now, actor=LAPSE)
        if row.on_lapse == "redeem":
            # On the voucher's last day, which is over a moment before.
            redeem_hold(request, member, row, state, book, over_at - timedelta(seconds=1))
        elif row.on_lapse == "expire":
            expired += _expire_hold(request, member, row, state, book, over_at)
        else:
            void_hold(request, member, row, state, book, over_at)
            voided += row.points
    expired += _expire_lots(member, state, book, book.today(now), now)
    return expired, voided


def _expire_hold(
    request: Request, member: Member, row: BurnRow, state: State, book: Book, over_at: datetime
) -> int:
    """The points of a voucher that was never used come back, pay what is owed, and expire."""
    taken = [(member.lots[leg.lot_no], points) for leg, points in row.taken()]
    before = {lot.lot_no: lot.remaining for lot, _ in taken}
    void_hold(request, member, row, state, book, over_at, ended="expired")
    dead = [(lot, lot.remaining - before[lot.lot_no]) for lot, _ in taken]
    return _expire(
        [(lot, points) for lot, points in dead if points], member, state, book, request.now
    )


def _stale_holds(member: Member, now: datetime) -> list[tuple[BurnRow, datetime]]:
    stale = [
        (row, row.hold_expires_at)
        for row in member.burns.values()
        if row.status == "held" and row.hold_expires_at is not None and row.hold_expires_at <= now
    ]
    return sorted(stale, key=lambda hold: (hold[1], hold[0].burn_no))


def _expire_lots(member: Member, state: State, book: Book, day: date, now: datetime) -> int:
    """Expire what was good until before `day`; it is posted at `now`, on the date it is then."""
    account = member.account
    if account.expires_next_on is None or account.expires_next_on >= day:
        return 0
    dead = [lot for lot in member.lots_in_order() if lot.expires_on and lot.expires_on < day]
    points = _expire([(lot, lot.remaining) for lot in dead], member, state, book, now)
    member.tighten_expiry()
    return points


def _expire(taken: Taken, member: Member, state: State, book: Book, now: datetime) -> int:
    points = sum(part for _, part in taken)
    if points:
        number, account = member.next_no(), member.account
        for lot, part in taken:
            if (earned := member.earns.get(lot.earn_no)) is not None:
                earned.lapsed_left += part
        post_burn("expiry", number, HOUSE_ID, taken, book.today(now), member, state)
        account.available -= points
        request = Request(Expire(account.member_id), HOUSE_ID, now, actor=LAPSE)
        journal.write(
            "expire", number, -points, request, member, state, merchant_id=HOUSE_ID, card=None
        )
    return points
