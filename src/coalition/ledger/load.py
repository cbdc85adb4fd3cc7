"""Loading what a group of commands is decided on: lock the accounts, then read, all set-based.

The lock and the reads are separate statements on purpose: under READ COMMITTED a statement that
waited for a lock still sees the rows as of its own start. What every group needs is read in one
statement, because at a till's load a round trip costs more than the rows; what only reversals,
captures and replays need follows when there are any.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from coalition.ledger import rows
from coalition.ledger.answer import replayed_answer
from coalition.ledger.commands import (
    Burn,
    Capture,
    Earn,
    Request,
    ReverseBurn,
    ReverseEarn,
    Transfer,
    Void,
)
from coalition.ledger.rows import Keys
from coalition.ledger.state import Account, BurnRow, Card, Lot, Member, Posting, Seen, State
from coalition.merchants.book import Book, Window

# Accounts are always locked in the order of member_id, so that two groups never wait in a circle.
_LOCK = """
select a.member_id, a.available, a.held, a.owed, a.last_no, a.expires_next_on, named.card_number
from (select card_number, member_id from card where card_number = any($1::bigint[])
      union all
      select null, unnest($2::bigint[])) as named
join account a using (member_id)
order by a.member_id for update of a
"""

# A posting holds the open window's row until it commits; a close waits for that, milliseconds.
_READ = f"""
select window_id, label, opens_at, closes_at, (select max(synced_at) from merchant) as synced_at,
    (select array_agg(row (card_number, status::text)) from card
     where card_number = any($1::bigint[])) as cards,
    (select array_agg(row ({rows.LOT_COLUMNS})) from lot
     where member_id = any($2::bigint[]) and is_open) as lots,
    (select array_agg(row (member_id, posting_no, kind::text, merchant_id, card_number, change,
                           available_after, occurred_at, recorded_at, p.window_id, owed, target_no,
                           amount, peer_member_id, request_id, body_hash, reference, w.label))
     from posting p join settlement_window w using (window_id)
     where request_id = any($3::uuid[])) as seen
from settlement_window where status = 'open' for share of settlement_window
"""

# Which burn a posting made or is about, by its kind: its own number, or its target's.
_MADE_BURN = ("burn", "hold", "reverse_earn", "transfer_out")

_SeenRows = list[tuple[Posting, str]]


class NoOpenWindowError(Exception):
    """No settlement window is open: `coalition merchants sync` opens the first one."""


async def load(
    connection: asyncpg.Connection, requests: Sequence[Request], book: Book
) -> tuple[State, datetime]:
    """Everything `requests` are decided on, with their accounts locked until the end of the
    database's transaction; and when the merchants' terms were last synced.

    Raises NoOpenWindowError where no window is open.
    """
    numbers, ids = _named(requests)
    members: dict[int, Member] = {}
    holders: dict[int, int] = {}
    for row in await connection.fetch(_LOCK, numbers, ids):
        if row[0] not in members:
            members[row[0]] = Member(Account(row[0], row[1], row[2], row[3], row[4], row[5]))
        if row[6] is not None:
            holders[row[6]] = row[0]
    spenders = _spenders(requests, holders, members, book)
    keys = [request.request_id for request in requests if request.request_id is not None]
    # A close that was waited for has closed the window that was open; then the next one is.
    for _ in range(5):
        read = await connection.fetchrow(_READ, numbers, spenders, keys)
        if read is not None:
            break
    else:
        raise NoOpenWindowError(
            "No settlement window is open; `coalition merchants sync` opens one."
        )
    state = State(Window(read[0], read[1], read[2], read[3], is_open=True), members=members)
    for number, status in read["cards"] or ():
        if number in holders:
            state.cards[number] = Card(holders[number], status)
    for row in read["lots"] or ():
        members[row[0]].lots[row[1]] = Lot(*row)
    for member_id in spenders:
        members[member_id].lots_loaded = True
    seen = [(Posting(*row[:17]), row[17]) for row in read["seen"] or ()]
    await _load_rare(connection, state, requests, spenders, seen)
    return state, read["synced_at"]


def _named(requests: Iterable[Request]) -> tuple[list[int], list[int]]:
    """The card numbers and the member ids that the requests name."""
    numbers: list[int] = []
    ids: list[int] = []
    for request in requests:
        command = request.command
        if isinstance(command, Earn | Burn):
            numbers.append(command.card)
        elif isinstance(command, Transfer):
            numbers += (command.from_card, command.to_card)
        else:
            ids.append(command.member_id)
    return numbers, ids


def _spenders(
    requests: Iterable[Request], holders: dict[int, int], members: dict[int, Member], book: Book
) -> list[int]:
    """Members whose lots are needed: all but those that only earn and have nothing to lapse."""
    spenders: set[int] = set()
    for request in requests:
        command = request.command
        if isinstance(command, Earn):
            member_id = holders.get(command.card)
            if member_id is None:
                continue
            expires_next_on = members[member_id].account.expires_next_on
            if expires_next_on is None or expires_next_on >= book.today(request.now):
                continue
        elif isinstance(command, Burn):
            member_id = holders.get(command.card)
        elif isinstance(command, Transfer):
            member_id = holders.get(command.from_card)
        else:
            member_id = command.member_id
        if member_id in members:
            spenders.add(member_id)
    return list(spenders)


async def _load_rare(
    connection: asyncpg.Connection,
    state: State,
    requests: Sequence[Request],
    spenders: list[int],
    seen: _SeenRows,
) -> None:
    """Read what few groups need: burns and earns to reverse or replay, held burns, debts."""
    wanted = _burns_wanted(requests, seen)
    holding = [m for m in spenders if state.members[m].account.held]
    if holding:
        wanted |= await rows.held_burns(connection, holding)
    burns = await rows.burns_called(connection, wanted) if wanted else {}
    await _add_burns(connection, state, burns)
    earns = {
        (request.command.member_id, request.command.earn_no)
        for request in requests
        if isinstance(request.command, ReverseEarn)
    }
    if earns:
        for earned in await rows.earns_called(connection, earns):
            if earned.member_id in state.members:
                state.members[earned.member_id].earns[earned.earn_no] = earned
    debtors = [m for m, member in state.members.items() if member.account.owed]
    if debtors:
        for member_id, origin_id, points in await rows.debts_of(connection, debtors):
            state.members[member_id].debts[origin_id] = points
    if seen:
        await _recall(connection, state, seen, burns, requests)


def _burns_wanted(requests: Iterable[Request], seen: _SeenRows) -> Keys:
    wanted: Keys = set()
    for request in requests:
        command = request.command
        if isinstance(command, Capture | Void | ReverseBurn):
            wanted.add((command.member_id, command.burn_no))
    for posting, _ in seen:
        if posting.kind in _MADE_BURN:
            wanted.add((posting.member_id, posting.posting_no))
        elif posting.target_no is not None:
            wanted.add((posting.member_id, posting.target_no))
    return wanted


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
    seen: _SeenRows,
    burns: dict[tuple[int, int], BurnRow],
    requests: Iterable[Request],
) -> None:
    """Make the answers of earlier postings under the same keys, from the rows they wrote."""
    earns = {(p.member_id, p.posting_no) for p, _ in seen if p.kind == "earn"}
    lots = await rows.lots_of_earns(connection, earns)
    to_cards: dict[UUID | None, int] = {
        request.request_id: request.command.to_card
        for request in requests
        if isinstance(request.command, Transfer)
    }
    for posting, label in seen:
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
                label,
            ),
        )
