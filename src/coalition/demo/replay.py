"""Replays a year's events day by day, by the way in for any coalition's history (importing/).

Each local midnight time passes: windows close, points lapse. Then the day's events are posted in
order. What the ledger answered is kept as far as later events need it. Where events come from is
data.py; the database they go to is started by show.py.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from coalition.audit.actor import of_command
from coalition.demo.events import Cancel, Event, Return, Reward, Sale, days, rounds
from coalition.demo.people import Person
from coalition.errors import Code
from coalition.importing.importer import Importer
from coalition.ledger.commands import (
    Burn,
    BurnAnswer,
    Earn,
    EarnAnswer,
    Outcome,
    Refused,
    Request,
    ReversalAnswer,
    ReverseBurn,
    ReverseEarn,
)

LANES = 2

Asked = tuple[Event, Request | None]


@dataclass(slots=True)
class Told:
    """What the ledger answered so far, as far as later events need it.

    earns and burns name what a return or a cancellation reverses, earns only of those sales that
    will come back; available is each member's balance in points.
    """

    will_return: set[tuple[int, str]]
    available: dict[int, int] = field(default_factory=dict)
    earns: dict[tuple[int, str], int] = field(default_factory=dict)
    burns: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What was asked and what became of it. refused: by event and code; the rest are counts.

    partial counts rewards paid with fewer points than they need; moot counts returns and
    cancellations of what was never posted.
    """

    posted: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, Code]] = field(default_factory=Counter)
    partial: int = 0
    moot: int = 0


async def replay(
    importer: Importer,
    events: Sequence[Event],
    people: Mapping[int, Person],
    *,
    ends_at: datetime,
    advance: Callable[[str, int], None],
) -> Tally:
    """Post every event in order of time, closing windows and lapsing points on the way.

    advance is told each day, when it is done, its month and how many events it had. The last
    midnight is ends_at, so that the window which ends there closes too.
    """
    tally, merchant_ids = Tally(), importer.ledger.book.ids
    told = Told({(e.basket, e.merchant) for e in events if isinstance(e, Return)})
    for midnight, day in days(events):
        await _pass_to(importer, told, midnight)
        for together in rounds(day):
            asked = [
                (event, _request(event, people[event.household], told, merchant_ids))
                for event in together
            ]
            for event, outcome in await _post_in_lanes(importer, asked):
                _note(event, outcome, told, tally)
        advance(f"{midnight:%B}", len(day))
    await _pass_to(importer, told, ends_at)
    return tally


async def _post_in_lanes(
    importer: Importer, asked: Sequence[Asked]
) -> list[tuple[Event, Outcome | None]]:
    """Post what belongs together in lanes, so that one is decided while the other is stored.

    A household's events stay in one lane, and so in order.
    """
    lanes: list[list[Asked]] = [[] for _ in range(LANES)]
    for pair in asked:
        lanes[pair[0].household % LANES].append(pair)
    noted = await asyncio.gather(*(_post(importer, lane) for lane in lanes))
    return [pair for lane in noted for pair in lane]


async def _post(importer: Importer, asked: Sequence[Asked]) -> list[tuple[Event, Outcome | None]]:
    """Each event with its outcome, in order; None where there was nothing to ask."""
    requests = [request for _, request in asked if request is not None]
    outcomes = iter(await importer.post(requests))
    return [(event, next(outcomes) if request else None) for event, request in asked]


async def _pass_to(importer: Importer, told: Told, moment: datetime) -> None:
    if await importer.pass_to(moment):
        async with importer.ledger.engine.connect() as connection:
            rows = await connection.execute(text("select member_id, available from account"))
            told.available = {row.member_id: row.available for row in rows}


def _request(
    event: Event, person: Person, told: Told, merchant_ids: Mapping[str, int]
) -> Request | None:
    """What the merchant's till would ask; None where there is nothing to reverse."""
    command: Earn | Burn | ReverseEarn | ReverseBurn
    match event:
        case Sale(at, _, basket, _, items):
            command = Earn(person.card, at, items=items, reference=f"basket {basket}")
        case Reward(at, _, number, _, points):
            # Who has fewer points burns what there is; who has none is refused by the ledger.
            there = told.available.get(person.member_id, 0)
            burned = min(points, there) or points
            command = Burn(person.card, burned, at, reference=f"reward {number}")
        case Return(_, _, basket, merchant):
            earn_no = told.earns.get((basket, merchant))
            if earn_no is None:
                return None
            command = ReverseEarn(person.member_id, earn_no)
        case Cancel(_, _, number, _):
            burn_no = told.burns.get(number)
            if burn_no is None:
                return None
            command = ReverseBurn(person.member_id, burn_no)
    return Request(
        command,
        merchant_ids[event.merchant],
        event.at,
        _request_id(event),
        actor=of_command("demo"),
    )


def _request_id(event: Event) -> UUID:
    """An event's idempotency key. It comes from the data: a second replay would change nothing."""
    number = event.basket if isinstance(event, Sale | Return) else event.number
    key = f"{type(event).__name__}:{event.merchant}:{number}"
    return UUID(bytes=hashlib.sha256(key.encode()).digest()[:16])


def _note(event: Event, outcome: Outcome | None, told: Told, tally: Tally) -> None:
    if outcome is None:
        tally.moot += 1
        return
    kind = type(event).__name__.lower()
    if isinstance(outcome, Refused):
        tally.refused[kind, outcome.code] += 1
        return
    tally.posted[kind] += 1
    answer = outcome.answer
    match answer:
        case EarnAnswer(member_id=member_id, earn_no=earn_no, available=available):
            told.available[member_id] = available
            if isinstance(event, Sale) and (event.basket, event.merchant) in told.will_return:
                told.earns[event.basket, event.merchant] = earn_no
        case BurnAnswer(member_id=member_id, burn_no=burn_no, available=available):
            told.available[member_id] = available
            if isinstance(event, Reward):
                told.burns[event.number] = burn_no
                tally.partial += answer.points < event.points
        case ReversalAnswer(member_id=member_id, available=available):
            told.available[member_id] = available
