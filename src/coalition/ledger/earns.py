"""Deciding an earn: what a purchase is worth, the lots it makes, and the debt it first pays."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from coalition.earning.facts import Facts
from coalition.earning.memory import Count
from coalition.earning.purchase import POINTS_MAX, Purchase, check_parts, whole_of
from coalition.earning.rates import check_purchase, points_for
from coalition.earning.reckoning import Reckoning, Rules, reckon
from coalition.earning.rules.together import PURCHASE
from coalition.earning.validity import last_good_day, months_later, usable_from
from coalition.errors import Code
from coalition.ledger import journal
from coalition.ledger.answer import earn_answer
from coalition.ledger.checks import suspended, window_about, wrong_day
from coalition.ledger.commands import BALANCE_MAX, Done, Earn, Outcome, Refused, Request
from coalition.ledger.earned import Counted, EarnPart, EarnRow
from coalition.ledger.legs import pay_debts
from coalition.ledger.state import Lot, Member, Posting, State
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import Terms
from coalition.toml.document import near


class _Given(NamedTuple):
    """Points of one lot. rule None: the rates of the file gave them, or the till outright."""

    kind: str
    origin_id: int
    points: int
    rule: str | None = None


def against_terms(request: Request, command: Earn, book: Book) -> Refused | None:
    """The refusal of an earn that the merchant's terms call invalid, whosever card it is."""
    merchant = book.merchants.get(request.merchant_id)
    if merchant is None:
        return Refused(Code.INVALID, "Only a merchant issues points; use a merchant's key.")
    refusal = wrong_day(command.occurred_at, request, book)
    if refusal is not None:
        return refusal
    terms = merchant.on(book.business_date(request.merchant_id, command.occurred_at))
    if command.points is not None and not terms.points_outright:
        return Refused(
            Code.INVALID,
            f"The terms of {terms.code} do not let it grant points outright; send the "
            "purchase's amount instead.",
        )
    try:
        check_purchase(
            command.amount,
            command.items,
            counts_pieces=any(rule.counts_pieces for rule in terms.rules),
        )
        if parts := command.tax + command.delivery + command.paid_with_points:
            check_parts(parts, whole_of(command.amount, command.items))
    except ValueError as error:
        return Refused(Code.INVALID, str(error))
    return None if command.action is None else _unknown_action(command.action, terms)


def _unknown_action(action: str, terms: Terms) -> Refused | None:
    known = {one for rule in terms.rules for one in rule.when.action}
    if action in known:
        return None
    if not known:
        detail = f"action: {terms.code}'s terms define no actions yet"
    else:
        detail = f"action: {terms.code}'s terms know no {action!r}; {near(action, known)}"
    return Refused(Code.INVALID, detail)


def earn(request: Request, command: Earn, member: Member, state: State, book: Book) -> Outcome:
    """Grant the points of one purchase: a lot for each rule that gave any, and each who pays.

    What against_terms() refuses is not asked again.
    """
    merchant = book.merchants[request.merchant_id]
    on = book.business_date(request.merchant_id, command.occurred_at)
    terms = merchant.on(on)
    reckoning = None
    if terms.rules and command.points is None:
        facts = Facts(
            member.tallies.get(merchant.merchant_id, {}),
            merchant.merchant_id in member.earned_at,
            member.enrolled_at,
            member.birth_month,
        )
        reckoning = reckon(rules_of(terms, on, book), purchase_of(command, merchant), facts)
        given = _lots_of(reckoning, book)
    else:
        given = _by_rates(command, terms, merchant.merchant_id)
    points = sum(one.points for one in given)
    today = book.terms_today(merchant, request.now)
    counts = reckoning.counts if reckoning else ()
    # What counts in a period is posted, though it gives no point by itself.
    refusal = None if not points and any(one.spent for one in counts) else _worth(points, terms)
    refusal = refusal or _limits(points, today, member) or suspended(merchant)
    if refusal is not None:
        return refusal
    lives = {one.origin_id: _life(one.origin_id, on, terms, book) for one in given}
    for origin_id, life in lives.items():
        over = _over(origin_id, on, life, member, book.today(request.now))
        if over is not None:
            return over
    earn_no = member.next_no()
    lots = _new_lots(command, given, lives, earn_no, on, member, state, book)
    for lot in lots:
        if lot.origin_id in book.idle_origins:
            state.record_move(member, lot.origin_id, on)
        state.record_lot(member, lot)
    paid = pay_debts(earn_no, [(lot, lot.points) for lot in lots], member, state)
    posting = _write(request, command, earn_no, points - paid, member, state, book)
    counted = _count(counts, earn_no, merchant.merchant_id, member, state, book) if counts else []
    if state.called:
        # A reversal of the same group may name it by its reference.
        member.earns[earn_no] = _as_row(posting, on, lots, counted)
    return Done(earn_answer(posting, lots, state.window.label), reckoning=reckoning)


class _Life(NamedTuple):
    """From when and until when points live, as a lot says it."""

    active_from: date | None
    expires_on: date | None
    inactive_months: int | None


def _life(origin_id: int, on: date, terms: Terms, book: Book) -> _Life:
    """Of points of an origin, given on a day by `terms`.

    Points live by the terms of their origin; from when on they can be burned is said by the
    merchant that gave them, which takes the goods back.
    """
    validity = book.merchants[origin_id].on(on).validity
    return _Life(
        usable_from(terms.validity, on), last_good_day(validity, on), validity.inactive_months
    )


def _new_lots(
    command: Earn,
    given: Sequence[_Given],
    lives: Mapping[int, _Life],
    earn_no: int,
    on: date,
    member: Member,
    state: State,
    book: Book,
) -> list[Lot]:
    """A lot for each rule that gave and each who pays."""
    about = window_about(command.occurred_at, state, book)
    lots = []
    for one in given:
        life = lives[one.origin_id]
        lots.append(
            Lot(
                member_id=member.account.member_id,
                lot_no=member.next_no(),
                earn_no=earn_no,
                origin_id=one.origin_id,
                kind=one.kind,
                points=one.points,
                remaining=one.points,
                earned_at=command.occurred_at,
                earned_on=on,
                expires_on=life.expires_on,
                window_id=state.window.window_id,
                about_window_id=about,
                rule=one.rule,
                active_from=life.active_from,
                inactive_months=life.inactive_months,
            )
        )
    return lots


def _count(
    counts: Sequence[Count],
    earn_no: int,
    merchant_id: int,
    member: Member,
    state: State,
    book: Book,
) -> list[Counted]:
    """Let the merchant's rules remember what the earn counts for."""
    counted = []
    for one in counts:
        row = Counted(
            member.account.member_id,
            earn_no,
            earn_no,
            merchant_id,
            *one.key,
            one.spent,
            one.points,
            one.times,
            None if one.payer is None else book.ids[one.payer],
        )
        state.record_counted(member, row)
        counted.append(row)
        # What a return takes of the period's points may by now be this earn's as well.
        if one.payer is not None and (pool := member.pools.get((merchant_id, one.key))):
            pool.earns.add(earn_no)
    return counted


def _write(
    request: Request,
    command: Earn,
    earn_no: int,
    change: int,
    member: Member,
    state: State,
    book: Book,
) -> Posting:
    member.account.available += change
    amount = command.amount
    if amount is None and command.items:
        amount = whole_of(None, command.items)
    return journal.write(
        "earn",
        earn_no,
        change,
        request,
        member,
        state,
        book,
        merchant_id=request.merchant_id,
        card=command.card,
        occurred_at=command.occurred_at,
        amount=amount,
        reference=command.reference,
    )


def _over(origin_id: int, on: date, life: _Life, member: Member, today: date) -> Refused | None:
    """A refusal of points that lapsed already, or would before they could be burned."""
    active_from, expires_on, inactive_months = life
    if expires_on is None and inactive_months is not None:
        moved_on = member.moved_on.get(origin_id, on)
        expires_on = months_later(max(on, moved_on), inactive_months)
    if expires_on is None:
        return None
    if expires_on < today:
        return Refused(
            Code.NOTHING_EARNED, f"Points earned on {on} were good until {expires_on}; it is over."
        )
    if active_from is not None and expires_on < active_from:
        return Refused(
            Code.NOTHING_EARNED,
            f"Points earned on {on} could be burned from {active_from} on, and lapse after "
            f"{expires_on}.",
        )
    return None


def _as_row(posting: Posting, on: date, lots: Sequence[Lot], counted: list[Counted]) -> EarnRow:
    return EarnRow(
        member_id=posting.member_id,
        earn_no=posting.posting_no,
        merchant_id=posting.merchant_id,
        card=posting.card or 0,
        points=sum(lot.points for lot in lots),
        amount=posting.amount,
        occurred_on=on,
        window_id=posting.window_id,
        about_window_id=lots[0].about_window_id if lots else None,
        reversed_points=0,
        reversed_amount=0,
        occurred_at=posting.occurred_at,
        parts=[EarnPart(lot.lot_no, lot.origin_id, lot.points, 0, lot.rule) for lot in lots],
        counted=counted,
    )


def _by_rates(command: Earn, terms: Terms, merchant_id: int) -> list[_Given]:
    if command.points is not None:
        return [_Given("outright", merchant_id, command.points)]
    points = points_for(terms.rates, command.amount, command.items)
    return [_Given("purchase", merchant_id, points)] if points else []


def _lots_of(reckoning: Reckoning, book: Book) -> list[_Given]:
    return [
        _Given(one.lots, book.ids[code], points, None if one.rule == PURCHASE else one.rule)
        for one in reckoning.granted
        for code, points in one.paid_by
    ]


def _worth(points: int, terms: Terms) -> Refused | None:
    if points == 0:
        return Refused(
            Code.NOTHING_EARNED,
            f"This purchase comes to 0 points under the terms of {terms.code}.",
        )
    if points > POINTS_MAX:
        return Refused(Code.LIMIT_REACHED, f"{points} points in one earn; at most {POINTS_MAX}.")
    return None


def rules_of(terms: Terms, on: date, book: Book) -> Rules:
    """The terms' rules on a day, with the merchants that pay for none of their points then."""
    absent: dict[str, str] = {}
    for code in {code for rule in terms.rules for code, _ in rule.paid_by}:
        payer = book.merchants[book.ids[code]].terms
        if payer.suspended:
            absent[code] = f"{code}, who pays, is suspended"
        elif on < payer.joined_on:
            absent[code] = f"{code}, who pays, joins on {payer.joined_on}"
    return Rules(terms.code, terms.rates, terms.rules, absent)


def purchase_of(command: Earn, merchant: Merchant) -> Purchase:
    """The purchase as the rules see it, at the merchant's own time."""
    return Purchase(
        at=command.occurred_at.astimezone(merchant.zone),
        amount=command.amount,
        items=command.items,
        action=command.action,
        channel=command.channel,
        region=command.region,
        store=command.store,
        tax=command.tax,
        delivery=command.delivery,
        with_points=command.paid_with_points,
    )


def _limits(points: int, terms: Terms, member: Member) -> Refused | None:
    most = terms.points_per_earn_max
    if most is not None and points > most:
        return Refused(
            Code.LIMIT_REACHED,
            f"{points} points in one earn; the terms of {terms.code} allow {most}.",
        )
    if member.account.available + member.account.held + points > BALANCE_MAX:
        return Refused(Code.LIMIT_REACHED, f"A member holds at most {BALANCE_MAX} points.")
    return None
