"""Deciding a burn, a hold, its capture and its void, and how legs are written for all of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from coalition.errors import Code
from coalition.ledger.answer import burn_answer
from coalition.ledger.commands import Burn, Capture, Done, Outcome, Refused, Request
from coalition.ledger.state import BurnRow, Leg, Lot, Member, Posting, State
from coalition.ledger.take import Short, give_back, take_lots
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import Terms


def burn(request: Request, command: Burn, member: Member, state: State, book: Book) -> Outcome:
    """Take points at the asker's till: posted at once, or held (hold_seconds) to be captured."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return Refused(Code.INVALID, "Only a merchant redeems points; use a merchant's key.")
    terms = book.terms_today(merchant, request.now)
    refusal = (
        before_joining(command.occurred_at, merchant, book)
        or _hold_limit(command, terms)
        or _limits(command, terms)
        or suspended(merchant)
    )
    if refusal is not None:
        return refusal
    taken = take_lots(member.lots_in_order(), command.points, command.take, request.merchant_id)
    if isinstance(taken, Short):
        return short(taken, book)
    on = book.business_date(request.merchant_id, command.occurred_at)
    row = _new_burn(request, command, member, on, terms, state)
    state.record_burn(member, row)
    about = None if row.window_id is None else window_about(command.occurred_at, state, book)
    write_legs(row, taken, row.burn_no, about, member, state)
    account = member.account
    account.available -= command.points
    if row.status == "held":
        account.held += command.points
    member.tighten_expiry()
    posting = Posting(
        member_id=account.member_id,
        posting_no=row.burn_no,
        kind="hold" if row.status == "held" else "burn",
        merchant_id=request.merchant_id,
        card=command.card,
        change=-command.points,
        available_after=account.available,
        occurred_at=command.occurred_at,
        recorded_at=request.now,
        window_id=state.window.window_id,
        request_id=request.request_id,
        body_hash=request.body_hash,
        reference=command.reference,
    )
    state.record_posting(member, posting)
    return Done(burn_answer(posting, row, state.window.label))


def _new_burn(
    request: Request, command: Burn, member: Member, on: date, terms: Terms, state: State
) -> BurnRow:
    held = command.hold_seconds is not None
    longest = terms.hold_seconds_max
    until = request.now + timedelta(seconds=command.hold_seconds or longest)
    return BurnRow(
        member_id=member.account.member_id,
        burn_no=member.next_no(),
        redeemer_id=request.merchant_id,
        kind="redemption",
        points=command.points,
        returned=0,
        status="held" if held else "posted",
        occurred_on=on,
        hold_expires_at=until if held else None,
        window_id=None if held else state.window.window_id,
        card=command.card,
        legs=[],
    )


def _hold_limit(command: Burn, terms: Terms) -> Refused | None:
    longest = terms.hold_seconds_max
    if command.hold_seconds is not None and command.hold_seconds > longest:
        return Refused(Code.INVALID, f"hold_seconds: {terms.code} may hold {longest} s at most.")
    return None


def _limits(command: Burn, terms: Terms) -> Refused | None:
    most = terms.points_per_burn_max
    if most is not None and command.points > most:
        return Refused(
            Code.LIMIT_REACHED,
            f"{command.points} points in one burn; {terms.code} allows {most}.",
        )
    return None


def capture(
    request: Request, command: Capture, member: Member, row: BurnRow, state: State, book: Book
) -> Outcome:
    """Post a held burn in the window that is open now; what is not captured goes back."""
    if row.status != "held":
        return Refused(Code.NOT_HELD, f"The burn is {row.status}; only a held one is captured.")
    points = row.points if command.points is None else command.points
    if points > row.points:
        return Refused(
            Code.INVALID, f"points: {points} is more than the {row.points} points that are held."
        )
    number = member.next_no()
    returned = row.points - points
    if returned:
        put_back(row, give_back(row.taken(), returned), number, member, state, book, request.now)
    # A held burn is redeemed when it is captured: that day's price and window count.
    row.occurred_on = book.business_date(row.redeemer_id, request.now)
    row.window_id = state.window.window_id
    row.status, row.points = "posted", points
    for leg in row.legs:
        leg.window_id, leg.occurred_on = row.window_id, row.occurred_on
    state.captured.append(row)
    state.record_burn_change(row)
    member.account.held -= points + returned
    member.account.available += returned
    posting = _about_burn("capture", returned, number, request, member, row, state)
    return Done(burn_answer(posting, row, state.window.label))


def void(request: Request, member: Member, row: BurnRow, state: State, book: Book) -> Outcome:
    """Give a held burn's points back."""
    if row.status != "held":
        return Refused(Code.NOT_HELD, f"The burn is {row.status}; only a held one is voided.")
    posting = void_hold(request, member, row, state, book, request.now)
    return Done(burn_answer(posting, row, state.window.label))


def void_hold(
    request: Request, member: Member, row: BurnRow, state: State, book: Book, at: datetime
) -> Posting:
    """Void a hold, asked for or past its time, and write the posting of it.

    at: when the points came back, from which they have days to live where their own are over.
    """
    number = member.next_no()
    put_back(row, give_back(row.taken(), row.points), number, member, state, book, at)
    row.status, row.returned = "voided", row.points
    state.record_burn_change(row)
    member.account.held -= row.points
    member.account.available += row.points
    return _about_burn("void", row.points, number, request, member, row, state)


def _about_burn(
    kind: str,
    change: int,
    number: int,
    request: Request,
    member: Member,
    row: BurnRow,
    state: State,
) -> Posting:
    posting = Posting(
        member_id=row.member_id,
        posting_no=number,
        kind=kind,
        # Its redeemer's, also where the house asked for it: it stands in that merchant's history.
        merchant_id=row.redeemer_id,
        card=row.card,
        change=change,
        available_after=member.account.available,
        occurred_at=request.now,
        recorded_at=request.now,
        window_id=state.window.window_id,
        target_no=row.burn_no,
        request_id=request.request_id,
        body_hash=request.body_hash,
    )
    state.record_posting(member, posting)
    return posting


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
        state.record_leg(
            member,
            row,
            Leg(
                member_id=row.member_id,
                lot_no=lot.lot_no,
                posting_no=posting_no,
                burn_no=row.burn_no,
                origin_id=lot.origin_id,
                # Only a redemption goes somewhere; other points end where they came from.
                redeemer_id=row.redeemer_id if row.kind == "redemption" else lot.origin_id,
                kind=row.kind,
                points=points,
                occurred_on=row.occurred_on,
                window_id=row.window_id,
                about_window_id=about_window_id,
                leg_no=place,
            ),
        )


def put_back(
    row: BurnRow,
    returned: Sequence[tuple[Leg, int]],
    posting_no: int,
    member: Member,
    state: State,
    book: Book,
    now: datetime,
) -> None:
    """Write legs that give points back into the lots they came from, with the first leg's price.

    A held burn's returns have no window yet; a posted one's are in the open window and name the
    window of the first leg where that is an earlier one.
    """
    today = book.today(now)
    window_id = None if row.window_id is None else state.window.window_id
    for place, (leg, points) in enumerate(returned, start=1):
        about = leg.about_window_id if leg.window_id == window_id else leg.window_id
        lot = member.lots[leg.lot_no]
        state.record_leg(
            member,
            row,
            Leg(
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
            ),
        )
        _revive(lot, leg.occurred_on, today, book)
        member.note_expiry(lot.expires_on)


def _revive(lot: Lot, taken_on: date, today: date, book: Book) -> None:
    granted_until = lot.granted_until
    if lot.expires_on is None or granted_until is None:
        return
    # Points whose day passed while they were taken come back with some days to live, though other
    # points of their lot may have come back before them.
    if lot.expires_on < today or taken_on <= granted_until < today:
        origin = book.merchants.get(lot.origin_id)
        grace_days = origin.on(today).validity.grace_days if origin else 30
        lot.expires_on = max(lot.expires_on, today + timedelta(days=grace_days))
        lot.first_expires_on = granted_until


def before_joining(at: datetime, merchant: Merchant, book: Book) -> Refused | None:
    """A refusal of what happened before the merchant was a member of the coalition."""
    if book.business_date(merchant.merchant_id, at) < merchant.terms.joined_on:
        return Refused(
            Code.INVALID,
            f"occurred_at: {at.isoformat()} is before {merchant.terms.code} joined on "
            f"{merchant.terms.joined_on}.",
        )
    return None


def suspended(merchant: Merchant) -> Refused | None:
    """A refusal where the merchant may not earn or burn for now."""
    if merchant.terms.suspended:
        return Refused(
            Code.MERCHANT_SUSPENDED,
            f"{merchant.terms.code} is suspended: it may reverse, capture and void, nothing else.",
        )
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
