"""Deciding a burn, a hold, its capture and its void."""

from datetime import date, datetime, timedelta

from coalition.errors import Code
from coalition.ledger import journal, rewards
from coalition.ledger.answer import burn_answer
from coalition.ledger.burned import BurnRow
from coalition.ledger.checks import not_yet_earned, short, suspended, window_about, wrong_day
from coalition.ledger.commands import Burn, Capture, Done, Outcome, Refused, Request
from coalition.ledger.legs import put_back, write_legs
from coalition.ledger.limits import above_limits, count_spent
from coalition.ledger.state import Member, Posting, State
from coalition.ledger.take import Short, Taken, give_back, take_lots
from coalition.rewards.voucher import EventKind
from coalition.terms.book import Book
from coalition.terms.terms import Terms


def against_terms(request: Request, command: Burn, book: Book) -> Refused | None:
    """The refusal of a burn that the merchant's terms call invalid, whosever card it is."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return Refused(Code.INVALID, "Only a merchant redeems points; use a merchant's key.")
    terms = book.terms_today(merchant, request.now)
    refusal = wrong_day(command.occurred_at, request, book) or _hold_limit(command, terms)
    if refusal is None and command.wants is not None:
        on = book.business_date(request.merchant_id, command.occurred_at)
        held = command.hold_seconds is not None
        refusal = rewards.against_terms(command.wants, terms, on, held=held)
    return refusal


def burn(request: Request, command: Burn, member: Member, state: State, book: Book) -> Outcome:
    """Take points at the asker's till: posted at once, or held (hold_seconds) to be captured.

    What against_terms() refuses is not asked again.
    """
    merchant = book.merchants[request.merchant_id]
    terms = book.terms_today(merchant, request.now)
    taken = _take(request, command, member, book)
    if isinstance(taken, Refused):
        return taken
    most = above_limits(command.points, terms, request, member.account, state, book)
    if most is None and command.wants is not None:
        most = rewards.above_limits(command.wants, terms, request, member, state, book)
    refusal = most or suspended(merchant)
    if refusal is not None:
        return refusal
    if isinstance(taken, Short):
        return short(taken, member.pending_on(book.today(request.now)), book)
    on = book.business_date(request.merchant_id, command.occurred_at)
    row = _new_burn(request, command, member, on, terms, state, book)
    state.record_burn(member, row)
    if command.wants is not None:
        rewards.issue(command.wants, row, terms, request, member, state)
    about = None if row.window_id is None else window_about(command.occurred_at, state, book)
    write_legs(row, taken, row.burn_no, about, member, state)
    account = member.account
    account.available -= command.points
    if row.status == "held":
        account.held += command.points
    count_spent(command.points, row.burn_no, request, account, state, book)
    member.tighten_expiry()
    posting = journal.write(
        "hold" if row.status == "held" else "burn",
        row.burn_no,
        -command.points,
        request,
        member,
        state,
        book,
        merchant_id=request.merchant_id,
        card=command.card,
        occurred_at=command.occurred_at,
        reference=command.reference,
    )
    return Done(burn_answer(posting, row, state.window.label, state.rewards))


def _take(request: Request, command: Burn, member: Member, book: Book) -> Taken | Short | Refused:
    """The lots that the burn takes: none that is pending, or was earned after its own time.

    A burn of now may take whatever is there: a till whose clock is fast has dated its lot ahead.
    """
    lots, at = member.usable_lots(book.today(request.now)), command.occurred_at
    taken = take_lots(lots, command.points, command.take, request.merchant_id)
    if at >= request.now or isinstance(taken, Short):
        return taken
    by_then = [lot for lot in lots if lot.earned_at <= at]
    if len(by_then) == len(lots):
        return taken
    taken = take_lots(by_then, command.points, command.take, request.merchant_id)
    return not_yet_earned(at, taken, book) if isinstance(taken, Short) else taken


def _new_burn(
    request: Request,
    command: Burn,
    member: Member,
    on: date,
    terms: Terms,
    state: State,
    book: Book,
) -> BurnRow:
    held = command.hold_seconds is not None
    longest = terms.hold_seconds_max
    until = request.now + timedelta(seconds=command.hold_seconds or longest)
    row = BurnRow(
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
        occurred_at=command.occurred_at,
        legs=[],
    )
    if command.wants is not None:
        rewards.name(row, command.wants, terms, book.merchants[request.merchant_id].zone)
    return row


def _hold_limit(command: Burn, terms: Terms) -> Refused | None:
    longest = terms.hold_seconds_max
    if command.hold_seconds is not None and command.hold_seconds > longest:
        return Refused(Code.INVALID, f"hold_seconds: {terms.code} may hold {longest} s at most.")
    return None


def capture(
    request: Request, command: Capture, member: Member, row: BurnRow, state: State, book: Book
) -> Outcome:
    """Post a held burn in the window that is open now; what is not captured goes back."""
    if row.status != "held":
        return Refused(Code.NOT_HELD, f"The burn is {row.status}; only a held one is captured.")
    if row.on_lapse is not None:
        return Refused(Code.NOT_HELD, "The burn is kept for its voucher: use or cancel that.")
    points = row.points if command.points is None else command.points
    if points > row.points:
        return Refused(
            Code.INVALID, f"points: {points} is more than the {row.points} points that are held."
        )
    if row.reward is not None and points != row.points:
        return Refused(Code.INVALID, "points: a reward is captured whole; leave them out.")
    # By the house, for a merchant that was suspended after it handed the goods out, it is captured.
    merchant = book.merchants.get(request.merchant_id)
    if merchant is not None and (refusal := suspended(merchant)) is not None:
        return refusal
    number = member.next_no()
    returned = row.points - points
    paid = 0
    if returned:
        parts = give_back(row.taken(), returned)
        paid = put_back(row, parts, number, member, state, book, request.now)
    row.points = points
    _redeem(row, request.now, member, state, book)
    member.account.held -= points + returned
    member.account.available += returned - paid
    posting = _about_burn("capture", returned - paid, number, request, member, row, state, book)
    return Done(burn_answer(posting, row, state.window.label, state.rewards))


def _redeem(row: BurnRow, at: datetime, member: Member, state: State, book: Book) -> None:
    # A held burn is redeemed when it is captured: that day's price and window count.
    row.status, row.window_id = "posted", state.window.window_id
    row.occurred_on = book.business_date(row.redeemer_id, at)
    for leg in row.legs:
        leg.window_id, leg.occurred_on = row.window_id, row.occurred_on
    for leg, _ in row.taken():
        if member.lots[leg.lot_no].inactive_months is not None:
            state.record_move(member, leg.origin_id, row.occurred_on)
    state.captured.append(row)
    state.record_burn_change(row)


def redeem_hold(
    request: Request, member: Member, row: BurnRow, state: State, book: Book, at: datetime
) -> None:
    """Post a hold that was kept for its voucher whole: at its use, or at its end."""
    number = member.next_no()
    _redeem(row, at, member, state, book)
    member.account.held -= row.points
    _about_burn("capture", 0, number, request, member, row, state, book, is_keyed=False)


def void(request: Request, member: Member, row: BurnRow, state: State, book: Book) -> Outcome:
    """Give a held burn's points back."""
    if row.status != "held":
        return Refused(Code.NOT_HELD, f"The burn is {row.status}; only a held one is voided.")
    posting = void_hold(request, member, row, state, book, request.now)
    return Done(burn_answer(posting, row, state.window.label, state.rewards))


def void_hold(
    request: Request,
    member: Member,
    row: BurnRow,
    state: State,
    book: Book,
    at: datetime,
    *,
    ended: EventKind = "cancelled",
) -> Posting:
    """Void a hold, asked for or past its time, and write the posting of it.

    ended: what becomes of its vouchers thereby.
    at: when the points came back, from which they have days to live where their own are over.
    """
    number = member.next_no()
    paid = put_back(row, give_back(row.taken(), row.points), number, member, state, book, at)
    if row.reward is not None:
        rewards.give_back(row, number, request, state, book, ended)
    row.status, row.returned = "voided", row.points
    state.record_burn_change(row)
    member.account.held -= row.points
    member.account.available += row.points - paid
    return _about_burn("void", row.points - paid, number, request, member, row, state, book)


def _about_burn(
    kind: str,
    change: int,
    number: int,
    request: Request,
    member: Member,
    row: BurnRow,
    state: State,
    book: Book,
    *,
    is_keyed: bool = True,
) -> Posting:
    return journal.write(
        kind,
        number,
        change,
        request,
        member,
        state,
        book,
        # Its redeemer's, also where the house asked for it: it stands in that merchant's history.
        merchant_id=row.redeemer_id,
        card=row.card,
        target_no=row.burn_no,
        is_keyed=is_keyed,
    )
