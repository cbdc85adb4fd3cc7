"""Loading what a group of commands is decided on: lock the accounts, then read, all set-based.

The lock and the reads are separate statements on purpose: under READ COMMITTED a statement that
waited for a lock still sees the rows as of its own start.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

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
from coalition.ledger.state import (
    Account,
    BurnRow,
    Card,
    EarnRow,
    Leg,
    Lot,
    Member,
    Posting,
    Seen,
    State,
)
from coalition.merchants.book import Book, Window

Keys = set[tuple[int, int]]

# Accounts are always locked in the order of member_id, so that two groups never wait in a circle.
_LOCK = """
select member_id, available, held, owed, last_no, expires_next_on from account
where member_id in (select member_id from card where card_number = any($1::bigint[])
                    union select unnest($2::bigint[]))
order by member_id for update
"""

# A posting holds the open window's row until it commits; a close waits for that, milliseconds.
_OPEN_WINDOW = """
select window_id, label, opens_at, closes_at, (select max(synced_at) from merchant) as synced_at
from settlement_window where status = 'open' for share of settlement_window
"""
_CARDS = (
    "select card_number, member_id, status::text from card where card_number = any($1::bigint[])"
)
_SEEN = """
select member_id, posting_no, kind::text, merchant_id, card_number, change, available_after,
       occurred_at, recorded_at, p.window_id, owed, target_no, amount, peer_member_id, request_id,
       body_hash, reference, w.label
from posting p join settlement_window w on w.window_id = p.window_id
where request_id = any($1::uuid[])
"""
_HELD = """
select member_id, burn_no from burn where status = 'held' and member_id = any($1::bigint[])
"""
_BURNS = """
select b.member_id, b.burn_no, b.redeemer_id, b.kind::text, b.points, b.returned, b.status::text,
       b.occurred_on, b.hold_expires_at, b.window_id, p.card_number
from unnest($1::bigint[], $2::int[]) as t (member_id, burn_no)
join burn b on b.member_id = t.member_id and b.burn_no = t.burn_no
join posting p on p.member_id = b.member_id and p.posting_no = b.burn_no
"""
_LEGS = """
select l.member_id, l.lot_no, l.posting_no, l.burn_no, l.origin_id, l.redeemer_id, l.kind::text,
       l.points, l.occurred_on, l.window_id, l.about_window_id, l.leg_no
from unnest($1::bigint[], $2::int[]) as t (member_id, burn_no)
join leg l on l.member_id = t.member_id and l.burn_no = t.burn_no
order by l.member_id, l.posting_no, l.leg_no
"""
_LOT_COLUMNS = """
member_id, lot_no, earn_no, origin_id, kind::text, points, remaining, earned_at, earned_on,
expires_on, window_id, about_window_id
"""
_OPEN_LOTS = f"select {_LOT_COLUMNS} from lot where member_id = any($1::bigint[]) and is_open"
_LOTS = f"""
select {_LOT_COLUMNS} from lot
where (member_id, lot_no) in (select * from unnest($1::bigint[], $2::int[]))
"""
_LOTS_OF_EARNS = f"""
select {_LOT_COLUMNS} from lot
where (member_id, earn_no) in (select * from unnest($1::bigint[], $2::int[]))
"""
_EARNS = """
select p.member_id, p.posting_no, p.merchant_id, p.card_number, made.points, p.amount,
       made.earned_on, p.window_id, back.points, back.amount
from unnest($1::bigint[], $2::int[]) as t (member_id, earn_no)
join posting p on p.member_id = t.member_id and p.posting_no = t.earn_no and p.kind = 'earn'
cross join lateral (
    select sum(points)::bigint as points, min(earned_on) as earned_on from lot
    where lot.member_id = p.member_id and lot.earn_no = p.posting_no) made
cross join lateral (
    select coalesce(sum(r.owed - r.change), 0)::bigint as points,
           coalesce(sum(r.amount), 0)::bigint as amount from posting r
    where r.member_id = p.member_id and r.target_no = p.posting_no
      and r.kind = 'reverse_earn') back
"""
_DEBTS = "select member_id, origin_id, points from debt where member_id = any($1::bigint[])"

# Which burn a posting made or is about, by its kind: its own number, or its target's.
_MADE_BURN = ("burn", "hold", "reverse_earn", "transfer_out")


async def load(
    connection: asyncpg.Connection, requests: Sequence[Request], book: Book
) -> tuple[State, datetime]:
    """Everything `requests` are decided on, with their accounts locked until the end of the
    database's transaction; and when the merchants' terms were last synced.

    Raises NoOpenWindowError where no window is open.
    """
    numbers = _card_numbers(requests)
    state, synced_at = await _locked(connection, numbers, requests)
    for row in await connection.fetch(_CARDS, numbers):
        state.cards[row[0]] = Card(row[1], row[2])
    seen = await _seen_postings(connection, requests)
    spenders = _spenders(requests, state, book)
    await _load_lots(connection, state, spenders)
    wanted = _burns_wanted(requests, seen)
    holders = [m for m in spenders if state.members[m].account.held]
    if holders:
        wanted |= {(row[0], row[1]) for row in await connection.fetch(_HELD, holders)}
    burns = await _load_burns(connection, state, wanted)
    await _load_earns(connection, state, requests)
    await _load_debts(connection, state)
    if seen:
        await _recall(connection, state, seen, burns, requests)
    return state, synced_at


class NoOpenWindowError(Exception):
    """No settlement window is open: `coalition merchants sync` opens the first one."""


async def _locked(
    connection: asyncpg.Connection, numbers: list[int], requests: Sequence[Request]
) -> tuple[State, datetime]:
    ids = [
        request.command.member_id
        for request in requests
        if not isinstance(request.command, Earn | Burn | Transfer)
    ]
    accounts = await connection.fetch(_LOCK, numbers, ids)
    # A close that was waited for has closed the window that was open; then the next one is.
    for _ in range(5):
        row = await connection.fetchrow(_OPEN_WINDOW)
        if row is not None:
            break
    else:
        raise NoOpenWindowError(
            "No settlement window is open; `coalition merchants sync` opens one."
        )
    state = State(Window(row[0], row[1], row[2], row[3], is_open=True))
    for account in accounts:
        state.members[account[0]] = Member(Account(*account))
    return state, row["synced_at"]


def _card_numbers(requests: Iterable[Request]) -> list[int]:
    numbers: list[int] = []
    for request in requests:
        command = request.command
        if isinstance(command, Earn | Burn):
            numbers.append(command.card)
        elif isinstance(command, Transfer):
            numbers += (command.from_card, command.to_card)
    return numbers


async def _seen_postings(
    connection: asyncpg.Connection, requests: Iterable[Request]
) -> list[tuple[Posting, str]]:
    keys = [request.request_id for request in requests if request.request_id is not None]
    if not keys:
        return []
    rows = await connection.fetch(_SEEN, keys)
    return [(Posting(*row[:-1]), row[-1]) for row in rows]


def _spenders(requests: Iterable[Request], state: State, book: Book) -> list[int]:
    """Members whose lots are needed: all but those that only earn and have nothing to lapse."""
    spenders: set[int] = set()
    for request in requests:
        command = request.command
        if isinstance(command, Earn):
            card = state.cards.get(command.card)
            member = state.members.get(card.member_id) if card else None
            if member is None:
                continue
            lapses_on = member.account.expires_next_on
            # A hold may be past its time; then its points count in what the answer says is there.
            if member.account.held or (lapses_on and lapses_on < book.today(request.now)):
                spenders.add(member.account.member_id)
        elif isinstance(command, Burn | Transfer):
            number = command.card if isinstance(command, Burn) else command.from_card
            card = state.cards.get(number)
            if card is not None and card.member_id in state.members:
                spenders.add(card.member_id)
        elif command.member_id in state.members:
            spenders.add(command.member_id)
    return list(spenders)


async def _load_lots(connection: asyncpg.Connection, state: State, spenders: list[int]) -> None:
    if not spenders:
        return
    for row in await connection.fetch(_OPEN_LOTS, spenders):
        state.members[row[0]].lots[row[1]] = Lot(*row)
    for member_id in spenders:
        state.members[member_id].lots_loaded = True


def _burns_wanted(requests: Iterable[Request], seen: Iterable[tuple[Posting, str]]) -> Keys:
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


async def _load_burns(
    connection: asyncpg.Connection, state: State, wanted: Keys
) -> dict[tuple[int, int], BurnRow]:
    if not wanted:
        return {}
    members, numbers = _columns(wanted)
    burns = {
        (row[0], row[1]): BurnRow(*row)
        for row in await connection.fetch(_BURNS, members, numbers)
    }
    lots: Keys = set()
    for row in await connection.fetch(_LEGS, members, numbers):
        leg = Leg(*row)
        burns[(leg.member_id, leg.burn_no)].legs.append(leg)
        lots.add((leg.member_id, leg.lot_no))
    for key, burn in burns.items():
        if key[0] in state.members:
            state.members[key[0]].burns[key[1]] = burn
    missing = {
        (member_id, lot_no)
        for member_id, lot_no in lots
        if member_id in state.members and lot_no not in state.members[member_id].lots
    }
    if missing:
        for row in await connection.fetch(_LOTS, *_columns(missing)):
            state.members[row[0]].lots[row[1]] = Lot(*row)
    return burns


async def _load_earns(
    connection: asyncpg.Connection, state: State, requests: Iterable[Request]
) -> None:
    wanted = {
        (request.command.member_id, request.command.earn_no)
        for request in requests
        if isinstance(request.command, ReverseEarn)
    }
    if not wanted:
        return
    for row in await connection.fetch(_EARNS, *_columns(wanted)):
        if row[0] in state.members:
            state.members[row[0]].earns[row[1]] = EarnRow(*row)


async def _load_debts(connection: asyncpg.Connection, state: State) -> None:
    debtors = [m for m, member in state.members.items() if member.account.owed]
    if not debtors:
        return
    for member_id, origin_id, points in await connection.fetch(_DEBTS, debtors):
        state.members[member_id].debts[origin_id] = points


async def _recall(
    connection: asyncpg.Connection,
    state: State,
    seen: Sequence[tuple[Posting, str]],
    burns: dict[tuple[int, int], BurnRow],
    requests: Iterable[Request],
) -> None:
    """Make the answers of earlier postings under the same keys, from the rows they wrote."""
    lots: dict[tuple[int, int], list[Lot]] = defaultdict(list)
    earns = {(p.member_id, p.posting_no) for p, _ in seen if p.kind == "earn"}
    if earns:
        for row in await connection.fetch(_LOTS_OF_EARNS + " order by lot_no", *_columns(earns)):
            lots[(row[0], row["earn_no"])].append(Lot(*row))
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
                lots[(posting.member_id, posting.posting_no)],
                burn,
                legs,
                to_cards.get(posting.request_id, 0),
                label,
            ),
        )


def _columns(keys: Keys) -> tuple[list[int], list[int]]:
    ordered = sorted(keys)
    return [key[0] for key in ordered], [key[1] for key in ordered]
