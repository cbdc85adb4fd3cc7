"""decide(request, state, book) -> outcome: the one place where it is settled what a command does.

Pure: it reads and changes only the State it is handed. This module finds the member and the earlier
posting under the same key, in the order of precedence the API promises; what each command does
then stands in earns.py, burns.py, reversals.py, transfers.py and lapses.py.
"""

from coalition.errors import Code, shown
from coalition.ledger import burns, earns, lapses, reversals, rewards, transfers, vouchers
from coalition.ledger.checks import before_card, wrong_day
from coalition.ledger.commands import (
    Burn,
    CancelVoucher,
    Capture,
    Done,
    Earn,
    Expire,
    ExpireAnswer,
    Outcome,
    Refused,
    Request,
    Reversal,
    ReversalCalled,
    ReverseBurn,
    ReverseBurnCalled,
    ReverseEarn,
    ReverseEarnCalled,
    Transfer,
    UseVoucher,
    Void,
)
from coalition.ledger.limits import without_pin
from coalition.ledger.state import REDEEMED, Member, Seen, State
from coalition.terms.book import Book


def decide(request: Request, state: State, book: Book) -> Outcome:
    """Decide one command and record in `state` what it changes; a refusal changes nothing.

    What has lapsed by request.now (points past their day, holds past their time) is recorded first,
    whatever becomes of the command.
    """
    command = request.command
    match command:
        case Earn() | Burn():
            return _on_card(request, command, state, book)
        case Transfer():
            return _transfer(request, command, state, book)
        case Expire():
            return _expire(request, command, state, book)
        case Capture() | Void():
            return _on_burn(request, command, state, book)
        case ReverseEarn() | ReverseBurn() | ReverseEarnCalled() | ReverseBurnCalled():
            return _reversal(request, command, state, book)
        case UseVoucher() | CancelVoucher():
            return _on_voucher(request, command, state, book)


def _on_card(request: Request, command: Earn | Burn, state: State, book: Book) -> Outcome:
    known = _replay(request, state) or _against_terms(request, command, book)
    if known is not None:
        return known
    member = _holder(command.card, state)
    if member is None:
        return unknown_card(command.card)
    pinless = None
    if isinstance(command, Burn):
        if command.wants is not None:
            priced = rewards.priced(command, command.wants, request, member, state, book)
            if isinstance(priced, Refused):
                return priced
            command = priced
        pinless = without_pin(command.points, request, member.account, state, book)
    known = _known(request, state, command.card, pinless=pinless)
    if known is not None:
        return known
    lapses.lapse(member, state, book, request.now)
    # Of now is whatever names a card that is there, though our clock was set back since it was
    # issued; but an import's now is what its row says.
    if command.occurred_at < request.now or state.is_import:
        early = before_card(command.occurred_at, state.cards[command.card])
        if early is not None:
            return early
    if isinstance(command, Earn):
        return _remember(request, state, earns.earn(request, command, member, state, book))
    return _remember(request, state, burns.burn(request, command, member, state, book))


def _against_terms(request: Request, command: Earn | Burn, book: Book) -> Refused | None:
    """What the merchant's terms call invalid, whosever card it is."""
    if isinstance(command, Earn):
        return earns.against_terms(request, command, book)
    return burns.against_terms(request, command, book)


def _reversal(
    request: Request, command: Reversal | ReversalCalled, state: State, book: Book
) -> Outcome:
    # Before a reference is looked at: it may name a second movement by now.
    replay = _replay(request, state)
    if replay is not None:
        return replay
    if command.occurred_at is not None:
        refusal = wrong_day(command.occurred_at, request, book)
        if refusal is not None:
            return refusal
    match command:
        case ReverseEarn():
            return _on_earn(request, command, state, book)
        case ReverseBurn():
            return _on_burn(request, command, state, book)
        case ReverseEarnCalled() | ReverseBurnCalled():
            return _on_called(request, command, state, book)


def _on_burn(
    request: Request, command: Capture | Void | ReverseBurn, state: State, book: Book
) -> Outcome:
    member = state.members.get(command.member_id)
    burn = member.burns.get(command.burn_no) if member else None
    if member is None or burn is None or burn.kind not in REDEEMED:
        return Refused(Code.NOT_FOUND, "There is no such burn.")
    if request.merchant_id not in (burn.redeemer_id, 0):
        # What belongs to another merchant is answered as if it did not exist.
        return Refused(Code.NOT_FOUND, "There is no such burn.")
    if isinstance(command, ReverseBurn) and burn.reward is not None:
        used = rewards.not_returnable(burn, request, state, book)
        if used is not None:
            return used
    known = _known(request, state)
    if known is not None:
        return known
    lapses.lapse(member, state, book, request.now)
    match command:
        case Capture():
            outcome = burns.capture(request, command, member, burn, state, book)
        case Void():
            outcome = burns.void(request, member, burn, state, book)
        case ReverseBurn():
            outcome = reversals.reverse_burn(request, command, member, burn, state, book)
    return _remember(request, state, outcome)


def _on_earn(request: Request, command: ReverseEarn, state: State, book: Book) -> Outcome:
    member = state.members.get(command.member_id)
    earned = member.earns.get(command.earn_no) if member else None
    if member is None or earned is None or request.merchant_id not in (earned.merchant_id, 0):
        return Refused(Code.NOT_FOUND, "There is no such earn.")
    known = _known(request, state)
    if known is not None:
        return known
    lapses.lapse(member, state, book, request.now)
    return _remember(
        request, state, reversals.reverse_earn(request, command, member, earned, state, book)
    )


def _on_called(request: Request, command: ReversalCalled, state: State, book: Book) -> Outcome:
    name = state.name_of(request, command)
    if name is None:
        return unknown_card(command.card)
    what = "earn" if name.is_earn else "burn"
    found = state.called[name]
    if not found:
        return Refused(
            Code.NOT_FOUND,
            f"No {what} by this card's member has the reference {shown(name.reference)!r}.",
        )
    if request.request_id in state.seen:
        return key_reused()
    if len(found) > 1:
        return Refused(
            Code.INVALID,
            f"reference: more than one {what} by this card's member has {shown(name.reference)!r}; "
            f"reverse the one that is meant by its {what}_id.",
        )
    member_id, number = name.member_id, found[0]
    if isinstance(command, ReverseEarnCalled):
        earn = ReverseEarn(member_id, number, command.points, command.amount, command.occurred_at)
        return _on_earn(request, earn, state, book)
    burn = ReverseBurn(member_id, number, command.points, command.occurred_at)
    return _on_burn(request, burn, state, book)


def _on_voucher(
    request: Request, command: UseVoucher | CancelVoucher, state: State, book: Book
) -> Outcome:
    member = state.members.get(command.member_id)
    burn = member.burns.get(command.burn_no) if member else None
    voucher = state.rewards.vouchers.get((command.member_id, command.voucher_no))
    if member is None or burn is None or voucher is None:
        return Refused(Code.NOT_FOUND, vouchers.NO_SUCH)
    if request.merchant_id not in (burn.redeemer_id, 0):
        return Refused(Code.NOT_FOUND, vouchers.NO_SUCH)
    known = (
        _replay(request, state)
        or vouchers.refusal(request, command, burn, voucher, book)
        or _known(request, state)
    )
    if known is not None:
        return known
    lapses.lapse(member, state, book, request.now)
    if isinstance(command, UseVoucher):
        outcome = vouchers.use(request, command, member, burn, voucher, state, book)
    else:
        outcome = vouchers.cancel(request, member, burn, voucher, state, book)
    return _remember(request, state, outcome)


def _transfer(request: Request, command: Transfer, state: State, book: Book) -> Outcome:
    giver, taker = _holder(command.from_card, state), _holder(command.to_card, state)
    if giver is None or taker is None:
        return unknown_card(command.from_card if giver is None else command.to_card)
    pinless = without_pin(command.points, request, giver.account, state, book)
    known = _known(request, state, command.from_card, command.to_card, pinless=pinless)
    if known is not None:
        return known
    if giver is taker:
        return Refused(Code.INVALID, "Both cards belong to one member; there is nothing to move.")
    lapses.lapse(giver, state, book, request.now)
    if book.idle_origins:
        # What is given may move the day on which the taker's own points lapse: not of those that
        # have by now.
        lapses.lapse(taker, state, book, request.now)
    return _remember(
        request, state, transfers.transfer(request, command, giver, taker, state, book)
    )


def _expire(request: Request, command: Expire, state: State, book: Book) -> Outcome:
    member = state.members.get(command.member_id)
    if member is None:
        return Refused(Code.NOT_FOUND, f"There is no member {command.member_id}.")
    expired, voided = lapses.lapse(member, state, book, request.now)
    member.tighten_expiry()
    state.changed_members[command.member_id] = member
    return Done(ExpireAnswer(command.member_id, expired, voided))


def _holder(number: int, state: State) -> Member | None:
    card = state.cards.get(number)
    return state.members.get(card.member_id) if card else None


def _replay(request: Request, state: State) -> Done | None:
    """The first answer, where this was posted before: whatever became of the card or the terms."""
    earlier = state.seen.get(request.request_id) if request.request_id else None
    if earlier is not None and earlier.body_hash == request.body_hash:
        return Done(earlier.answer, replayed=True)
    return None


def _known(
    request: Request, state: State, *cards: int, pinless: Refused | None = None
) -> Outcome | None:
    """What is settled before the command is looked at: a replay, a dead card, a key used before.

    pinless: the refusal where a PIN is missing, or wrong.
    """
    replay = _replay(request, state)
    if replay is not None:
        return replay
    for number in cards:
        if state.cards[number].status != "active":
            return card_not_active(number, state.cards[number].status)
    if pinless is not None:
        return pinless
    return key_reused() if request.request_id in state.seen else None


def _remember(request: Request, state: State, outcome: Outcome) -> Outcome:
    # The next command of this group under the same key must see this one.
    if request.request_id is not None and isinstance(outcome, Done):
        state.seen[request.request_id] = Seen(request.body_hash, outcome.answer)
    return outcome


def unknown_card(number: int) -> Refused:
    return Refused(Code.UNKNOWN_CARD, f"No card has the number {number}.")


def card_not_active(number: int, status: str) -> Refused:
    return Refused(
        Code.CARD_NOT_ACTIVE,
        f"Card {number} is {status}. "
        + ("Unblock it first." if status == "blocked" else "Use the card that replaced it."),
    )


def key_reused() -> Refused:
    return Refused(
        Code.IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key was used before with another body. Send the first body again to see "
        "its answer, or use a new key.",
    )
