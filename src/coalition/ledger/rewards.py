"""Deciding what a burn of a reward is: its price, what is left of it, its limits, its vouchers.

The burn itself is burns.py, which asks here where a reward is wanted.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from coalition.earning.purchase import POINTS_MAX
from coalition.errors import Code, shown
from coalition.ledger.burned import BurnRow
from coalition.ledger.commands import Burn, Refused, Request, Take, Wanted
from coalition.ledger.state import Lot, Member, State
from coalition.ledger.take import Short, take_lots
from coalition.rewards.codes import SealedCode
from coalition.rewards.voucher import (
    EventKind,
    Taken,
    Voucher,
    VoucherEvent,
    burn_status_at,
    state_of,
)
from coalition.terms.book import Book
from coalition.terms.rewards import ANY, VOUCHERS_PER_BURN_MAX, Alternative, Reward
from coalition.terms.terms import Terms

WHOLE = (
    "points: a reward is given back whole; leave them out. One of several vouchers is cancelled."
)


def against_terms(wants: Wanted, terms: Terms, on: date, *, held: bool) -> Refused | None:
    """What the terms call invalid of a reward, whosever card it is. on: the till's day; held: a
    hold is asked for.
    """
    wrong = _wrong(wants, terms, on, held=held)
    return None if wrong is None else Refused(Code.INVALID, wrong)


def _wrong(wants: Wanted, terms: Terms, on: date, *, held: bool) -> str | None:
    reward = _find(wants.reward, terms)
    if reward is None or not reward.is_offered(on):
        return (
            f"reward: {terms.code} has no {shown(wants.reward)!r} on {on}; GET /v1/rewards lists "
            "what there is."
        )
    quantity = wants.quantity
    if quantity < reward.quantity_min:
        return f"quantity: {quantity}; of {reward.code} it is {reward.quantity_min} at least."
    if wants.price is not None and wants.price >= len(reward.price):
        last = len(reward.price) - 1
        return f"price: {wants.price}; {reward.code} has the alternatives 0 to {last}."
    if max(one.points for one in reward.price) * quantity > POINTS_MAX:
        return f"quantity: {quantity} come to more than {POINTS_MAX} points; ask for fewer."
    if (wants.store is not None) != bool(reward.stores):
        return _wrong_store(reward)
    if wants.store is not None and wants.store not in reward.stores:
        return _wrong_store(reward)
    if reward.voucher is None:
        return None
    if reward.voucher.redeemer_paid == "use" and (held or quantity > 1):
        return f"{reward.code} is paid for when it is used: one by one, and without a hold."
    if quantity > VOUCHERS_PER_BURN_MAX:
        return f"quantity: {quantity}; at most {VOUCHERS_PER_BURN_MAX} vouchers come at once."
    if not reward.voucher.external and len(wants.codes) < quantity:
        return "reward: a voucher's code is shown once, in an answer; ask by POST /v1/burns."
    return None


def _wrong_store(reward: Reward) -> str:
    if not reward.stores:
        return f"collect: {reward.code} is not collected at a store; leave it out."
    return f"collect: {reward.code} is collected at one of {', '.join(reward.stores)}; say which."


def _find(code: str, terms: Terms) -> Reward | None:
    return next((reward for reward in terms.rewards if reward.code == code), None)


def _wanted(wants: Wanted, terms: Terms) -> Reward:
    reward = _find(wants.reward, terms)
    assert reward is not None, "against_terms refuses what there is not"
    return reward


def priced(
    command: Burn, wants: Wanted, request: Request, member: Member, state: State, book: Book
) -> Burn | Refused:
    """The command with the points and the take of the alternative that pays; or out of stock.

    Without one that is asked for it is the first that the member can pay, and where there is none,
    the first, which the burn then refuses.
    """
    terms = book.terms_today(book.merchants[request.merchant_id], request.now)
    reward = _wanted(wants, terms)
    gone = _out_of_stock(wants, reward, request, state)
    if gone is not None:
        return gone
    number = wants.price
    if number is None:
        number = _first_payable(reward, wants.quantity, request, member, book)
    one = reward.price[number]
    return replace(
        command,
        points=one.points * wants.quantity,
        take=_take(one, wants.quantity, book),
        wants=replace(wants, price=number),
    )


def _out_of_stock(wants: Wanted, reward: Reward, request: Request, state: State) -> Refused | None:
    key = (request.merchant_id, reward.code)
    if reward.stock is not None:
        left = max(0, reward.stock - state.rewards.counts[key].sold)
        if wants.quantity > left:
            return Refused(
                Code.OUT_OF_STOCK,
                f"{wants.quantity} of {reward.code} were asked; {left} are left. Nothing was taken"
                "; choose another, or try again when there are more.",
            )
    if reward.voucher is not None and reward.voucher.external:
        left = len(state.rewards.free.get(key, ()))
        if wants.quantity > left:
            return Refused(
                Code.OUT_OF_STOCK,
                f"{wants.quantity} codes of {reward.code} were asked; {left} are loaded. Nothing "
                "was taken: choose another, or try again when there are more.",
            )
    return None


def _first_payable(
    reward: Reward, quantity: int, request: Request, member: Member, book: Book
) -> int:
    today = book.today(request.now)
    lots = [lot for lot in member.lots_in_order() if not lot.expires_on or lot.expires_on >= today]
    for number, one in enumerate(reward.price):
        if _is_payable(one, quantity, lots, request, book):
            return number
    return 0


def _is_payable(
    one: Alternative, quantity: int, lots: list[Lot], request: Request, book: Book
) -> bool:
    take = _take(one, quantity, book)
    return not isinstance(take_lots(lots, one.points * quantity, take, request.merchant_id), Short)


def _take(one: Alternative, quantity: int, book: Book) -> Take:
    if one.mix[0][0] == ANY:
        return Take()
    return Take("mix", mix=tuple((book.ids[code], part * quantity) for code, part in one.mix))


def above_limits(
    wants: Wanted, terms: Terms, request: Request, member: Member, state: State, book: Book
) -> Refused | None:
    """A refusal where these pieces are more than the reward's limits allow."""
    reward, desk, quantity = _wanted(wants, terms), state.rewards, wants.quantity
    limits, key = reward.limits, (request.merchant_id, reward.code)
    taken = desk.taken.get((member.account.member_id, key), ())
    today = book.today(request.now)
    had = sum(one.pieces for one in taken)
    had_today = sum(one.pieces for one in taken if book.today(one.at) == today)
    for most, before, what in (
        (limits.per_burn, 0, "at once"),
        (limits.per_member, had, "a member in all"),
        (limits.per_member_per_day, had_today, "a member on one day"),
        (limits.in_all, desk.counts[key].sold, "in all"),
    ):
        if most is not None and before + quantity > most:
            return Refused(
                Code.LIMIT_REACHED,
                f"{quantity} of {reward.code} were asked; {terms.code} allows {most} {what}, of "
                f"which {max(0, most - before)} are left.",
            )
    return None


def name(row: BurnRow, wants: Wanted, terms: Terms, zone: ZoneInfo) -> None:
    """Write into a new burn which reward it is of. One that is paid for at its use is held until
    then, or until its last day in the redeemer's zone is over.
    """
    reward = _wanted(wants, terms)
    assert wants.price is not None, "priced() has chosen"
    if reward.kind in ("cash_out", "donation"):
        row.kind = reward.kind
    row.reward, row.quantity, row.price_no = reward.code, wants.quantity, wants.price
    row.store = wants.store
    row.money = (reward.price[wants.price].money - reward.pays) * wants.quantity
    voucher = reward.voucher
    if voucher is None or voucher.redeemer_paid == "issue":
        return
    last = voucher.last_day(row.occurred_on)
    assert last is not None, "a file that says use says until when"
    row.status, row.window_id = "held", None
    row.hold_expires_at = datetime.combine(last + timedelta(days=1), time(), zone)
    row.on_lapse = "redeem" if voucher.breakage == "redeemer" else "expire"


def issue(
    wants: Wanted, row: BurnRow, terms: Terms, request: Request, member: Member, state: State
) -> None:
    """Count the pieces of a new burn, and write its vouchers."""
    reward, desk = _wanted(wants, terms), state.rewards
    key = (row.redeemer_id, reward.code)
    desk.counts[key].sold += wants.quantity
    desk.changed_counts[key] = reward.stock
    taken = Taken(row.burn_no, request.now, wants.quantity)
    desk.taken.setdefault((row.member_id, key), []).append(taken)
    if reward.voucher is None:
        return
    for place in range(wants.quantity):
        code: SealedCode = desk.free[key].pop(0) if reward.voucher.external else wants.codes[place]
        value = reward.voucher.value or None
        voucher = Voucher(
            member_id=row.member_id,
            voucher_no=member.next_no(),
            burn_no=row.burn_no,
            status="issued",
            value=value,
            remaining=value,
            expires_on=reward.voucher.last_day(row.occurred_on),
            part_use=reward.voucher.part_use,
        )
        desk.record_voucher(voucher, code)


def not_returnable(row: BurnRow, request: Request, state: State, book: Book) -> Refused | None:
    """A refusal to reverse a burn of which a voucher was used, or is past its day."""
    today = book.business_date(row.redeemer_id, request.now)
    for voucher in state.rewards.of_burn(row.member_id, row.burn_no):
        burn = burn_status_at(row.status, row.hold_expires_at, row.on_lapse, request.now)
        now = state_of(voucher.status, voucher.expires_on, burn, today)
        if now not in ("issued", "reserved", "cancelled"):
            return Refused(
                Code.NOT_USABLE,
                f"A voucher of this burn is {now.replace('_', ' ')}, and a reward that was used is "
                "not given back.",
            )
    return None


def give_back(
    row: BurnRow,
    posting_no: int,
    request: Request,
    state: State,
    book: Book,
    ended: EventKind = "cancelled",
) -> None:
    """All that is left of a burn's pieces comes back; before its points are counted as returned."""
    put_pieces_back(row, row.pieces, request, state, book)
    for voucher in state.rewards.of_burn(row.member_id, row.burn_no):
        if voucher.status != "cancelled":
            end(voucher, posting_no, state, ended)


def put_pieces_back(row: BurnRow, pieces: int, request: Request, state: State, book: Book) -> None:
    """Give pieces back to the stock and to the member's limits."""
    assert row.reward is not None, "asked of burns of a reward"
    desk, key = state.rewards, (row.redeemer_id, row.reward)
    if key not in desk.counts:
        # A card is only looked at: nothing is loaded for writing, and nothing will be written.
        return
    desk.counts[key].sold -= pieces
    merchant = book.merchants.get(row.redeemer_id)
    reward = merchant and _find(row.reward, book.terms_today(merchant, request.now))
    desk.changed_counts[key] = reward.stock if reward else None
    for taken in desk.taken.get((row.member_id, key), ()):
        if taken.burn_no == row.burn_no:
            taken.pieces -= pieces


def end(voucher: Voucher, posting_no: int, state: State, kind: EventKind) -> None:
    """Write that a voucher was cancelled, or that its points expired."""
    event = VoucherEvent(
        voucher.member_id, posting_no, voucher.voucher_no, kind, None, voucher.remaining
    )
    state.rewards.record_event(voucher, event)
