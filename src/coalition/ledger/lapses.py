"""What time alone does to points: holds past their time are void, lots past their day expire."""

from collections import defaultdict
from datetime import date, datetime, timedelta

from coalition.audit.actor import LAPSE
from coalition.earning.validity import Validity, carried, period_end_after
from coalition.ledger import journal
from coalition.ledger.burned import BurnRow
from coalition.ledger.burns import redeem_hold, void_hold
from coalition.ledger.commands import Expire, Request
from coalition.ledger.extension import extend
from coalition.ledger.legs import post_burn
from coalition.ledger.state import Lot, Member, State
from coalition.ledger.take import Taken
from coalition.terms.book import HOUSE_ID, Book


def lapse(member: Member, state: State, book: Book, now: datetime) -> tuple[int, int]:
    """Bring one member up to `now`. Answers the points that expired and those that were voided.

    Looks only at what was loaded: open lots and held burns.
    """
    if book.extends_earned:
        extend(member, state, book, book.today(now))
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
    """Expire what was good until before `day`; it is posted at `now`, on the date it is then.

    What a merchant carries into its next period lives on. Ends come one after another then, so
    that it makes no difference when somebody looks.
    """
    account = member.account
    if account.expires_next_on is None or account.expires_next_on >= day:
        return 0
    expired = 0
    while dead := _past(member, day):
        if any(_validity(lot, book).carried_share for lot in dead):
            first = member.last_day(dead[0])
            ended = [lot for lot in dead if member.last_day(lot) == first]
            void = _carry(ended, member, state, book)
        else:
            void = [(lot, lot.remaining) for lot in dead]
        expired += _expire(void, member, state, book, now)
    member.tighten_expiry()
    return expired


def _past(member: Member, day: date) -> list[Lot]:
    """The open lots that were good until before `day`, the first to end at the front."""
    return [lot for lot in member.lots_in_order() if (member.last_day(lot) or day) < day]


def _expire(void: Taken, member: Member, state: State, book: Book, now: datetime) -> int:
    points = sum(part for _, part in void)
    if not points:
        return 0
    number = member.next_no()
    for lot, part in void:
        if (earned := member.earns.get(lot.earn_no)) is not None:
            earned.note_lapsed(lot.lot_no, part)
    post_burn("expiry", number, HOUSE_ID, void, book.today(now), member, state)
    member.account.available -= points
    request = Request(Expire(member.account.member_id), HOUSE_ID, now, actor=LAPSE)
    journal.write(
        "expire", number, -points, request, member, state, book, merchant_id=HOUSE_ID, card=None
    )
    return points


def _carry(ended: list[Lot], member: Member, state: State, book: Book) -> Taken:
    """Let live on what is carried of lots that ended on one day; what of each lapses.

    A share is of all that an origin's points come to that ended then by the same terms, and the
    newest of them are carried: the very same lots, so that what they came from stays known.
    """
    alike: defaultdict[tuple[int, Validity], list[Lot]] = defaultdict(list)
    for lot in ended:
        alike[lot.origin_id, _validity(lot, book)].append(lot)
    void: Taken = []
    for (_, validity), lots in alike.items():
        points = sum(lot.remaining for lot in lots)
        next_end = period_end_after(validity, lots[0].expires_on or date.max)
        left = points if next_end is None else points - carried(validity, points)
        for lot in lots:
            part = min(lot.remaining, left)
            left -= part
            if part:
                void.append((lot, part))
            if part < lot.remaining and next_end is not None:
                state.lengthen(member, lot, next_end)
    return void


def _validity(lot: Lot, book: Book) -> Validity:
    """By the terms of the day on which it was earned; later ones do not reach it."""
    origin = book.merchants.get(lot.origin_id)
    return origin.on(lot.earned_on).validity if origin else Validity()
