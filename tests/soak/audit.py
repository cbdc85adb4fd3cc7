"""What an import of CDNOW's purchases must have come to: worked out again from the events alone.

It shares no code with the program: plain Python works out every lot, leg, line and position, plain
SQL reads the tables, and the two are held against each other. All rounding is of exact fractions.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction

import asyncpg
from tests.soak.cdnow import ZONE, Event

# Points a dollar, days to live, cents a point: what the shops' files say (test_import.py).
RATE = {"music": Fraction(1), "video": Fraction(3, 2), "books": Fraction(2)}
DAYS = {"music": 90, "video": 60, "books": 365}
CENTS = {"music": Fraction(3, 4), "video": Fraction(49, 100), "books": Fraction(101, 100)}
# Cents a point that is issued: what these shops pay in advance is theirs again when it expires.
ISSUE_CENTS = {"music": Fraction(0), "video": Fraction(0), "books": Fraction(1, 5)}
GRACE_DAYS = 30
# Whose points leave their value to the pool when they expire.
TO_THE_POOL = {"music"}

LOTS = """
select e.reference, m.code, l.points, l.remaining, l.expires_on
from lot l join merchant m on m.merchant_id = l.origin_id
join posting e on e.member_id = l.member_id and e.posting_no = l.earn_no
"""
LEGS = """
select e.reference, o.code, r.code, g.kind::text, g.points, w.label, a.label
from leg g join lot l using (member_id, lot_no)
join posting e on e.member_id = l.member_id and e.posting_no = l.earn_no
join merchant o on o.merchant_id = g.origin_id join merchant r on r.merchant_id = g.redeemer_id
join settlement_window w on w.window_id = g.window_id
left join settlement_window a on a.window_id = g.about_window_id
"""
LINES = """
select w.label, o.code, r.code, p.kind, a.label, p.points, p.amount, d.code, c.code, n.code
from path p join settlement_window w using (window_id)
join merchant o on o.merchant_id = p.origin_id join merchant r on r.merchant_id = p.redeemer_id
left join settlement_window a on a.window_id = p.about_window_id
left join merchant d on d.merchant_id = p.debtor_id
left join merchant c on c.merchant_id = p.creditor_id
left join merchant n on n.merchant_id = p.onward_id
"""
POSITIONS = """
select w.label, m.code, p.net, p.opening, p.instructed, p.closing
from position p join settlement_window w using (window_id)
join merchant m on m.merchant_id = p.party_id order by window_id
"""
Line = tuple[str, str, str, str, str | None]


@dataclass(slots=True)
class Lot:
    key: str
    shop: str
    points: int
    left: int
    until: date
    earned_at: datetime
    window: str


@dataclass(slots=True)
class Taken:
    """A part of a lot that a burn took, and the lot's last good day at that moment."""

    lot: Lot
    points: int
    until: date
    shop: str
    window: str


@dataclass(slots=True)
class Books:
    """What must have happened to every point. legs are tuples, as the statement LEGS has them."""

    lots: dict[str, Lot] = field(default_factory=dict)
    open_of: dict[int, list[Lot]] = field(default_factory=lambda: defaultdict(list))
    burns: dict[str, list[Taken]] = field(default_factory=dict)
    legs: list[tuple[str, str, str, str, int, str, str | None]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def leg(
        self, lot: Lot, redeemer: str, kind: str, points: int, at: datetime, about: str = ""
    ) -> None:
        lot.left -= points
        window = month(at)
        named = about if about and about != window else None
        self.legs.append((lot.key, lot.shop, redeemer, kind, points, window, named))


def month(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y-%m}"


def worked_out(events: list[Event]) -> Books:
    """Go through a member's events one by one, in the order of time."""
    books = Books()
    by_member: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_member[event.number].append(event)
    last_day = events[-1].at.date()
    for number, mine in by_member.items():
        for event in mine:
            _expire(books, number, event.at.date())
            {
                "earn": _earn,
                "burn": _burn,
                "reverse_earn": _return,
                "reverse_burn": _cancel,
            }[event.op](books, event)
        _expire(books, number, last_day)
    return books


def _expire(books: Books, number: int, today: date) -> None:
    for lot in books.open_of[number]:
        if lot.left and lot.until < today:
            midnight = datetime.combine(lot.until + timedelta(days=1), time(), ZONE)
            books.leg(lot, lot.shop, "expiry", lot.left, midnight)
    books.open_of[number] = [lot for lot in books.open_of[number] if lot.left]


def _earn(books: Books, event: Event) -> None:
    points = int(RATE[event.shop] * event.amount / 100)
    if points == 0:
        books.refused.add(event.key)
        return
    until = event.at.date() + timedelta(days=DAYS[event.shop])
    lot = Lot(event.key, event.shop, points, points, until, event.at, month(event.at))
    books.lots[event.key] = lot
    books.open_of[event.number].append(lot)


def _burn(books: Books, event: Event) -> None:
    order = sorted(books.open_of[event.number], key=lambda lot: (lot.until, lot.earned_at))
    if sum(lot.left for lot in order) < event.points:
        books.refused.add(event.key)
        return
    wanted, taken = event.points, []
    for lot in order:
        part = min(lot.left, wanted)
        if part:
            taken.append(Taken(lot, part, lot.until, event.shop, month(event.at)))
            books.leg(lot, event.shop, "redemption", part, event.at)
            wanted -= part
    books.burns[event.key] = taken


def _return(books: Books, event: Event) -> None:
    lot = books.lots.get(event.undoes)
    if lot is None:
        books.refused.add(event.key)
        return
    books.leg(lot, lot.shop, "clawback", lot.left, event.at, lot.window)


def _cancel(books: Books, event: Event) -> None:
    if event.undoes not in books.burns:
        books.refused.add(event.key)
        return
    today = event.at.date()
    for taken in reversed(books.burns[event.undoes]):
        lot = taken.lot
        books.leg(lot, taken.shop, "redemption", -taken.points, event.at, taken.window)
        # Its last day passed while these points were away.
        if taken.until < today:
            lot.until = max(lot.until, today + timedelta(days=GRACE_DAYS))
        if lot not in books.open_of[event.number]:
            books.open_of[event.number].append(lot)


def lines(books: Books) -> Counter[tuple[Line, bool]]:
    """Points of each line of each window; whether it gives back, where it is about another one."""
    points: Counter[tuple[Line, bool]] = Counter()
    for lot in books.lots.values():
        points[(lot.window, lot.shop, lot.shop, "issue", None), False] += lot.points
    for _, origin, redeemer, kind, part, window, about in books.legs:
        points[(window, origin, redeemer, kind, about), about is not None and part < 0] += part
    return points


def owed(line: Line, points: int) -> tuple[int, str | None, str | None, str | None]:
    """(cents, debtor, creditor, whom the creditor passes it on to) of a line.

    Half a cent goes to the even one. The house is in between; it passes on what was redeemed.
    """
    _, origin, redeemer, kind, _ = line
    burned, issued = round(points * CENTS[origin]), round(points * ISSUE_CENTS[origin])
    if kind == "issue":
        return issued, origin, "house", None
    if kind == "clawback" or (kind == "expiry" and issued):
        return issued, "house", origin, None
    if kind == "redemption" and origin != redeemer:
        return burned, origin, "house", redeemer
    if kind == "expiry" and origin in TO_THE_POOL:
        return burned, origin, "pool", None
    return 0, None, None, None


async def differences(connection: asyncpg.Connection, events: list[Event]) -> list[str]:
    """Where the tables do not say what the events come to; empty: nowhere."""
    books = worked_out(events)
    closed = {row[0] for row in await connection.fetch(
        "select label from settlement_window where netted_at is not null"
    )}  # fmt: skip
    lots = {row[0]: tuple(row[1:]) for row in await connection.fetch(LOTS)}
    right = {k: (lot.shop, lot.points, lot.left, lot.until) for k, lot in books.lots.items()}
    found = _unlike("lot", lots, right)
    legs = Counter(tuple(row) for row in await connection.fetch(LEGS))
    found += _unlike("leg", legs, Counter(books.legs))
    should = {
        line: points for line, points in lines(books).items() if points and line[0][0] in closed
    }
    found += _unlike("line", *await _lines(connection, should))
    return found + await _positions(connection, should)


async def _lines(
    connection: asyncpg.Connection, should: dict[tuple[Line, bool], int]
) -> tuple[Counter[object], Counter[object]]:
    are: Counter[object] = Counter(tuple(row) for row in await connection.fetch(LINES))
    right: Counter[object] = Counter()
    for (line, _), points in should.items():
        right[*line, points, *owed(line, points)] += 1
    return are, right


async def _positions(
    connection: asyncpg.Connection, should: dict[tuple[Line, bool], int]
) -> list[str]:
    nets: Counter[tuple[str, str]] = Counter()
    for (line, _), points in should.items():
        cents, debtor, creditor, onward = owed(line, points)
        window = line[0]
        for party, amount in ((debtor, -cents), (creditor, cents)):
            if party is not None:
                nets[window, party] += amount
        if onward is not None:
            nets[window, "house"] -= cents
            nets[window, onward] += cents
    found: list[str] = []
    sums: Counter[str] = Counter()
    closings: dict[str, int] = {}
    for window, party, net, opening, instructed, closing in await connection.fetch(POSITIONS):
        sums[window] += net
        if net != nets.pop((window, party), 0):
            found.append(f"net of {party} in {window}: {net}")
        if opening != closings.get(party, 0) or closing != opening + net - instructed:
            found.append(f"balance of {party} in {window}: {opening} + {net} - {instructed}")
        closings[party] = closing
    found += [f"{window} comes to {total}" for window, total in sums.items() if total]
    return found + [f"no position: {key}, {net}" for key, net in nets.items() if net]


def _unlike(what: str, are: object, right: object) -> list[str]:
    assert isinstance(are, dict)
    assert isinstance(right, dict)
    keys = are.keys() | right.keys()
    return [
        f"{what} {key}: {are.get(key)} and not {right.get(key)}"
        for key in keys
        if are.get(key) != right.get(key)
    ]
