"""Loading what a group of commands is decided on: lock the accounts, then read, all set-based.

What every group needs is locked and read by the database's function load_group, in one round trip.
In which order it locks, and why it reads by a second statement, stands there, in the schema. What
only reversals, captures and replays need follows when there are any.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from coalition.earning.memory import Key, Tally
from coalition.ledger import rows, tallies
from coalition.ledger.answer import replayed_answer
from coalition.ledger.burned import BurnRow
from coalition.ledger.commands import (
    Burn,
    CancelVoucher,
    Capture,
    Earn,
    Request,
    ReversalCalled,
    ReverseBurn,
    ReverseEarn,
    Transfer,
    UseVoucher,
    Void,
)
from coalition.ledger.load_rewards import load_desk
from coalition.ledger.rows import Keys, lot_of, posting_of
from coalition.ledger.state import Account, Called, Card, Lot, Member, Posting, Seen, State
from coalition.terms.book import Book
from settlement.window import Window

_LOAD = "select * from load_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"

# How many columns of a row are known here; what a later migration adds comes behind them.
_ACCOUNT = len(Account.__struct_fields__)
_TALLY = len(Tally.__struct_fields__)

# Which burn a posting made or is about, by its kind: its own number, or its target's.
_MADE_BURN = ("burn", "hold", "reverse_earn", "transfer_out")


class NoOpenWindowError(Exception):
    """No settlement window is open: `coalition merchants sync` opens the first one."""


async def load(
    connection: asyncpg.Connection, requests: Sequence[Request], book: Book
) -> tuple[State, datetime]:
    """Everything `requests` are decided on, with their accounts locked until the end of the
    database's transaction; and when the merchants' terms were last synced.

    Raises NoOpenWindowError where no window is open.
    """
    named = _named(requests, book)
    times = [request.now for request in requests]
    today, since = book.today(max(times)), book.today(min(times))
    asked = (
        list(named.cards), list(named.spending), list(named.spending.values()),
        list(named.members), named.keys, today, since, bool(book.idle_origins),
        *_asked_tallies(requests, book), _asked_facts(requests, book),
    )  # fmt: skip
    # A close that was waited for has closed the window that was open; then the next one is.
    for _ in range(5):
        read = await connection.fetchrow(_LOAD, *asked)
        if read is not None:
            break
    else:
        raise NoOpenWindowError(
            "No settlement window is open; `coalition merchants sync` opens one."
        )
    state = State(Window(read[0], read[1], read[2], read[3], "open"))
    state.members = {row[0]: Member(Account(*row[:_ACCOUNT])) for row in read["accounts"] or ()}
    for member_id, origin_id, moved_on in read["moved"] or ():
        state.members[member_id].moved_on[origin_id] = moved_on
    for member_id, merchant_id, rule, span, until, *sums in read["tallies"] or ():
        if (member := state.members.get(member_id)) is not None:
            key = Key(rule, span, until)
            member.tallies.setdefault(merchant_id, {})[key] = Tally(*sums[:_TALLY])
    for row in read["found_cards"] or ():
        state.cards[row[0]] = Card(row[1], row[2], row[3])
    for member_id, enrolled_at, birth_month in read["facts"] or ():
        if (member := state.members.get(member_id)) is not None:
            member.enrolled_at, member.birth_month = enrolled_at, birth_month
    if asked[-6]:
        await tallies.add_earned_at(connection, state, zip(*asked[-6:-3], strict=True))
    spenders = _add_lots(state, named, read["wholly"], read["lots"] or (), since)
    await _add_the_rest(connection, state, requests)
    seen = [posting_of(row) for row in read["seen"] or ()]
    await _load_rare(connection, state, requests, spenders, seen, book)
    return state, read["synced_at"]


def _asked_tallies(requests: Iterable[Request], book: Book) -> list[list[Any]]:
    """The tallies that the requests' earns ask for: cards, merchants, and each part of the keys."""
    asked: set[tuple[int, int, Key]] = set()
    if book.remembers:
        for request in requests:
            command = request.command
            if isinstance(command, Earn) and request.merchant_id in book.remembers:
                on = book.business_date(request.merchant_id, command.occurred_at)
                for rule in book.merchants[request.merchant_id].on(on).rules:
                    asked |= {(command.card, request.merchant_id, key) for key in rule.keys(on)}
    columns = [(card, merchant_id, *key) for card, merchant_id, key in asked]
    return [list(column) for column in zip(*columns, strict=True)] or [[]] * 5


def _asked_facts(requests: Iterable[Request], book: Book) -> list[int]:
    """The cards of whose members the requests' earns ask more than the ledger knows."""
    return [
        request.command.card
        for request in requests
        if request.merchant_id in book.asks_facts and isinstance(request.command, Earn)
    ]


class _Named(NamedTuple):
    """What the requests name. spending: the cards whose lots are needed, with how many points the
    requests take of them, the oldest first; None: every open lot is needed.
    """

    cards: set[int]
    spending: dict[int, int | None]
    members: set[int]
    keys: list[UUID]


def _add_lots(
    state: State,
    named: _Named,
    whole: Iterable[int],
    found: Iterable[asyncpg.Record],
    since: date,
) -> set[int]:
    """Put the lots that were found into their members. Answers the members whose lots these are.

    Of all others, they are the lots that are pending on the day `since`.
    """
    wholly = set(whole)
    partly: set[int] = set()
    for number, needed in named.spending.items():
        if (card := state.cards.get(number)) is not None:
            (wholly if needed is None else partly).add(card.member_id)
    # A card that was issued after the lock names a member whose account is not held.
    spenders = (wholly | partly) & state.members.keys()
    for row in found:
        if (holder := state.members.get(row[0])) is not None:
            holder.lots[row[1]] = lot_of(row)
    for member_id in spenders:
        member = state.members[member_id]
        member.lots_loaded = True
        if member_id not in wholly:
            # Of pending lots none is left out, whatever day it expires.
            member.loaded_until = _last_day(
                lot for lot in member.lots.values() if not lot.is_pending(since)
            )
    return spenders


async def _add_the_rest(
    connection: asyncpg.Connection, state: State, requests: Iterable[Request]
) -> None:
    """Every open lot of members of whom a burn may not take all that came, some being earned after
    its own time: what it takes in their place may be any other.
    """
    members: set[int] = set()
    for request in requests:
        command = request.command
        if not isinstance(command, Burn) or command.occurred_at >= request.now:
            continue
        card = state.cards.get(command.card)
        member = state.members.get(card.member_id) if card else None
        lots = member.lots.values() if member else ()
        if card and any(lot.earned_at > command.occurred_at for lot in lots):
            members.add(card.member_id)
    if members:
        for lot in await rows.open_lots(connection, members):
            state.members[lot.member_id].lots[lot.lot_no] = lot
        for member_id in members:
            state.members[member_id].loaded_until = None


def _last_day(lots: Iterable[Lot]) -> date | None:
    """Until when what is not loaded is good at least; None: for ever, or all is loaded."""
    days = [lot.expires_on for lot in lots]
    return None if None in days else max(filter(None, days), default=None)


def _named(requests: Iterable[Request], book: Book) -> _Named:
    named = _Named(set(), {}, set(), [])
    for request in requests:
        command = request.command
        if request.request_id is not None:
            named.keys.append(request.request_id)
        if isinstance(command, Earn):
            named.cards.add(command.card)
        elif isinstance(command, Burn):
            named.cards.add(command.card)
            needed = named.spending.get(command.card, 0)
            if needed is not None:
                # A hold may lapse before the next request of this group is decided, and put back
                # points that live longer then.
                # And which lots are the oldest, those know only that are loaded, where terms give
                # some of them more time, or they lapse by inactivity.
                oldest = command.take.order == "oldest" and command.hold_seconds is None
                oldest = oldest and not (book.extends_earned or book.idle_origins)
                # Of a reward the alternatives are tried with all there is.
                oldest = oldest and command.wants is None
                named.spending[command.card] = needed + command.points if oldest else None
        elif isinstance(command, Transfer):
            named.cards.update((command.from_card, command.to_card))
            named.spending[command.from_card] = None
        elif isinstance(command, ReversalCalled):
            named.cards.add(command.card)
            named.spending[command.card] = None
        else:
            named.members.add(command.member_id)
    return named


async def _load_rare(
    connection: asyncpg.Connection,
    state: State,
    requests: Sequence[Request],
    spenders: set[int],
    seen: Sequence[Posting],
    book: Book,
) -> None:
    """Read what few groups need: burns and earns to reverse or replay, held burns, debts."""
    state.called = await rows.called(connection, _names_called(requests, state))
    earns, burns_called = _found_by_name(state.called)
    wanted = _burns_wanted(requests, seen) | burns_called
    holding = [m for m in spenders if state.members[m].account.held]
    named = frozenset(wanted)
    if holding:
        wanted |= await rows.held_burns(connection, holding)
    burns = await rows.burns_called(connection, wanted) if wanted else {}
    await _add_burns(connection, state, burns)
    await load_desk(connection, state, requests, _about_rewards(burns, named, requests), seen, book)
    earns |= {
        (request.command.member_id, request.command.earn_no)
        for request in requests
        if isinstance(request.command, ReverseEarn)
    }
    if earns:
        found = [
            earned
            for earned in await rows.earns_called(connection, earns)
            if earned.member_id in state.members
        ]
        for earned in found:
            state.members[earned.member_id].earns[earned.earn_no] = earned
        if book.remembers:
            await tallies.add_counted(connection, state, found)
    debtors = [m for m, member in state.members.items() if member.account.owed]
    if debtors:
        for member_id, origin_id, points in await rows.debts_of(connection, debtors):
            state.members[member_id].debts[origin_id] = points
    if seen:
        await _recall(connection, state, seen, burns, requests, book)


def _names_called(requests: Iterable[Request], state: State) -> set[Called]:
    names = {
        state.name_of(request, request.command)
        for request in requests
        if isinstance(request.command, ReversalCalled)
    }
    return {name for name in names if name is not None}


def _found_by_name(called: dict[Called, list[int]]) -> tuple[Keys, Keys]:
    """The earns and the burns that a reference names without doubt."""
    earns: Keys = set()
    burns: Keys = set()
    for name, numbers in called.items():
        if len(numbers) == 1:
            (earns if name.is_earn else burns).add((name.member_id, numbers[0]))
    return earns, burns


def _burns_wanted(requests: Iterable[Request], seen: Sequence[Posting]) -> Keys:
    wanted: Keys = set()
    for request in requests:
        command = request.command
        if isinstance(command, Capture | Void | ReverseBurn | UseVoucher | CancelVoucher):
            wanted.add((command.member_id, command.burn_no))
    for posting in seen:
        if posting.kind in _MADE_BURN:
            wanted.add((posting.member_id, posting.posting_no))
        elif posting.target_no is not None:
            wanted.add((posting.member_id, posting.target_no))
    return wanted


def _about_rewards(
    burns: dict[tuple[int, int], BurnRow],
    named: frozenset[tuple[int, int]],
    requests: Sequence[Request],
) -> dict[tuple[int, int], BurnRow]:
    """The burns of rewards that something may be decided about: those that are named, and holds
    whose time is over. Others stay as they are, and nobody waits for their rewards.
    """
    now = max(request.now for request in requests)
    return {
        of: burn
        for of, burn in burns.items()
        if burn.reward is not None
        and (of in named or (burn.hold_expires_at is not None and burn.hold_expires_at <= now))
    }


async def _add_burns(
    connection: asyncpg.Connection, state: State, burns: dict[tuple[int, int], BurnRow]
) -> None:
    missing: Keys = set()
    for (member_id, burn_no), burn in burns.items():
        member = state.members.get(member_id)
        if member is None:
            continue
        member.burns[burn_no] = burn
        missing |= {(member_id, leg.lot_no) for leg in burn.legs if leg.lot_no not in member.lots}
    if missing:
        for lot in await rows.lots_called(connection, missing):
            state.members[lot.member_id].lots[lot.lot_no] = lot


async def _recall(
    connection: asyncpg.Connection,
    state: State,
    seen: Sequence[Posting],
    burns: dict[tuple[int, int], BurnRow],
    requests: Iterable[Request],
    book: Book,
) -> None:
    """Make the answers of earlier postings under the same keys, from the rows they wrote."""
    # A window that the book does not know was opened since: post() reads it again, and then this.
    labels = {window.window_id: window.label for window in book.windows}
    earns = {(p.member_id, p.posting_no) for p in seen if p.kind == "earn"}
    lots = await rows.lots_of_earns(connection, earns)
    gifts = {(p.member_id, p.posting_no) for p in seen if p.kind == "transfer_out"}
    lots |= await rows.lots_of_gifts(connection, gifts)
    to_cards: dict[UUID | None, int] = {
        request.request_id: request.command.to_card
        for request in requests
        if isinstance(request.command, Transfer)
    }
    for posting in seen:
        own = posting.kind in _MADE_BURN
        number = posting.posting_no if own else posting.target_no
        burn = burns.get((posting.member_id, number or 0))
        legs = [g for g in burn.legs if g.posting_no == posting.posting_no] if burn else []
        assert posting.request_id is not None, "found by its request_id"
        state.seen[posting.request_id] = Seen(
            posting.body_hash or 0,
            replayed_answer(
                posting,
                lots.get((posting.member_id, posting.posting_no), []),
                burn,
                legs,
                to_cards.get(posting.request_id, 0),
                labels.get(posting.window_id, ""),
                state.rewards,
            ),
        )
