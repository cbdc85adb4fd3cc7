"""How points leave lots and come back to them: burns that are posted at once, and every leg."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.state import REDEEMED, Lot, Member, State
from coalition.terms.book import HOUSE_ID, Book


def post_burn(
    kind: str,
    number: int,
    redeemer_id: int,
    taken: Sequence[tuple[Lot, int]],
    on: date,
    member: Member,
    state: State,
    *,
    card: int | None = None,
    about_window_id: int | None = None,
) -> BurnRow:
    """Write a burn of all that is `taken`, posted in the open window, with its legs.

    The balance is the caller's to move, and the journal's line to write.
    """
    row = _posted(kind, number, redeemer_id, taken, on, member, state, card=card)
    write_legs(row, taken, number, about_window_id, member, state)
    return row


def _posted(
    kind: str,
    number: int,
    redeemer_id: int,
    taken: Sequence[tuple[Lot, int]],
    on: date,
    member: Member,
    state: State,
    *,
    card: int | None = None,
) -> BurnRow:
    row = BurnRow(
        member_id=member.account.member_id,
        burn_no=number,
        redeemer_id=redeemer_id,
        kind=kind,
        points=sum(points for _, points in taken),
        returned=0,
        status="posted",
        occurred_on=on,
        hold_expires_at=None,
        window_id=state.window.window_id,
        card=card,
        occurred_at=None,
        legs=[],
    )
    state.record_burn(member, row)
    return row


def write_legs(
    row: BurnRow,
    taken: Sequence[tuple[Lot, int]],
    posting_no: int,
    about_window_id: int | None,
    member: Member,
    state: State,
) -> None:
    """Write the legs of a burn that takes so much of each lot, in this order."""
    for place, (lot, points) in enumerate(taken, start=1):
        on, until = row.occurred_on, member.last_day(lot)
        leg = _leg(row, lot, points, posting_no, place, on, about_window_id, until)
        state.record_leg(member, row, leg)
        if lot.inactive_months is not None and row.kind == "redemption" and row.status == "posted":
            state.record_move(member, lot.origin_id, on)


def _leg(
    row: BurnRow,
    lot: Lot,
    points: int,
    posting_no: int,
    place: int,
    on: date,
    about_window_id: int | None,
    good_until: date | None,
) -> Leg:
    return Leg(
        member_id=row.member_id,
        lot_no=lot.lot_no,
        posting_no=posting_no,
        burn_no=row.burn_no,
        origin_id=lot.origin_id,
        # Only a redemption goes somewhere; other points end where they came from.
        redeemer_id=row.redeemer_id if row.kind in REDEEMED else lot.origin_id,
        kind=row.kind,
        points=points,
        occurred_on=on,
        window_id=row.window_id,
        about_window_id=about_window_id,
        leg_no=place,
        good_until=good_until,
    )


def pay_debts(
    number: int, come: Sequence[tuple[Lot, int]], member: Member, state: State, *, after: int = 0
) -> int:
    """Take what the member owes their origins out of points that come in; how many that were.

    number is the posting they come by, after how many legs that has already. What is paid is priced
    on the day on which its lot was earned, as if its own earn were reversed.
    """
    paid: list[tuple[Lot, int]] = []
    for lot, points in come:
        part = min(member.debts.get(lot.origin_id, 0), points)
        if part:
            state.record_debt(member, lot.origin_id, member.debts[lot.origin_id] - part)
            paid.append((lot, part))
    if not paid:
        return 0
    origins = {lot.origin_id for lot, _ in paid}
    row = _posted(
        "clawback",
        number,
        origins.pop() if len(origins) == 1 else HOUSE_ID,
        paid,
        paid[0][0].earned_on,
        member,
        state,
    )
    for place, (lot, points) in enumerate(paid, start=after + 1):
        is_earlier = lot.window_id != state.window.window_id
        about = lot.window_id if is_earlier else lot.about_window_id
        until = member.last_day(lot)
        leg = _leg(row, lot, points, number, place, lot.earned_on, about, until)
        state.record_leg(member, row, leg)
    return row.points


def put_back(
    row: BurnRow,
    returned: Sequence[tuple[Leg, int]],
    posting_no: int,
    member: Member,
    state: State,
    book: Book,
    now: datetime,
) -> int:
    """Write legs that give points back into the lots they came from, with the first leg's price.

    They first pay what the member owes their origins. Answers how many points that took.

    A held burn's returns have no window yet; a posted one's are in the open window and name the
    window of the first leg where that is an earlier one.
    """
    today = book.today(now)
    window_id = None if row.window_id is None else state.window.window_id
    for place, (leg, points) in enumerate(returned, start=1):
        about = leg.about_window_id if leg.window_id == window_id else leg.window_id
        lot = member.lots[leg.lot_no]
        back = Leg(
            member_id=row.member_id,
            lot_no=leg.lot_no,
            posting_no=posting_no,
            burn_no=row.burn_no,
            origin_id=leg.origin_id,
            redeemer_id=leg.redeemer_id,
            kind=leg.kind,
            points=-points,
            occurred_on=leg.occurred_on,
            window_id=window_id,
            about_window_id=about,
            leg_no=place,
        )
        state.record_leg(member, row, back)
        before = lot.expires_on
        _revive(lot, leg, member, today, book)
        if lot.expires_on != before:
            back.good_until = lot.expires_on
        member.note_expiry(member.last_day(lot))
    come = [(member.lots[leg.lot_no], points) for leg, points in returned]
    return pay_debts(posting_no, come, member, state, after=len(come))


def _revive(lot: Lot, taken: Leg, member: Member, today: date, book: Book) -> None:
    if lot.inactive_months is not None:
        last_day = member.last_day(lot)
        if last_day is not None and last_day < today:
            lot.expires_on = today + timedelta(days=_grace_days(lot, today, book))
        return
    granted_until = lot.granted_until
    if lot.expires_on is None or granted_until is None:
        return
    good_until = taken.good_until
    if good_until is None:
        # Taken before legs kept it: by the till's day, from the lot as it was granted or as it is.
        good_until = granted_until if taken.occurred_on <= granted_until else lot.expires_on
    # What counts is whether the day they had passed while they were away, by the house's date;
    # other points of their lot may have come back before them.
    if good_until < today:
        grace = timedelta(days=_grace_days(lot, today, book))
        lot.expires_on = max(lot.expires_on, today + grace)
        lot.first_expires_on = granted_until


def _grace_days(lot: Lot, today: date, book: Book) -> int:
    origin = book.merchants.get(lot.origin_id)
    return origin.on(today).validity.grace_days if origin else 30
