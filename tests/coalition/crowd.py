"""A small coalition for tests of load and faults: two merchants, some members, and a random crowd.

What a crowd was answered is kept by key, so that a test can compare it with the ledger. Nothing
here waits for the clock: whatever is waited for is a condition, with a bound that is an error.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.owner import superuser

from coalition.clearing.service import ensure_first_window
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.ledger.commands import (
    Answer,
    Burn,
    BurnAnswer,
    Capture,
    Command,
    Done,
    Earn,
    EarnAnswer,
    Outcome,
    Request,
    ReversalAnswer,
    ReverseBurn,
    ReverseEarn,
    Take,
    Transfer,
    TransferAnswer,
    Void,
)
from coalition.members.card import make_card
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms
from coalition.verify import verify

FIRST_DAY = date(2017, 1, 1)
START = datetime(2017, 1, 10, 12, tzinfo=UTC)
# As a sync numbers merchants, by their codes; 0 is the house, 1 the pool.
RETAIL, TELECOM = 2, 3
PRICES = {"telecom": "0.010", "retail": "0.008", "bakery": "0.005"}
WAIT_S_MAX = 60
FOR_EVER = Validity()
OLDEST = Take()

HOUSE = HouseTerms(
    name="The house",
    currency="CNY",
    time_zone="UTC",
    first_window_on=FIRST_DAY,
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)


def terms(code: str, validity: Validity = FOR_EVER) -> Terms:
    return Terms(
        code=code,
        name=code.title(),
        currency="CNY",
        time_zone="UTC",
        joined_on=FIRST_DAY,
        rates=(Rate("*", Decimal(1), 100),),
        validity=validity,
        prices=(Price(code, None, FIRST_DAY, Decimal("0.001"), Decimal(PRICES[code])),),
        points_outright=True,
        hold_seconds_max=90 * 86_400,
    )


def card(member_id: int) -> int:
    return make_card(member_id)


async def found(engine: AsyncEngine, *, members: int, validity: Validity = FOR_EVER) -> None:
    """Two merchants, the first window, and members 1 to `members`, each with a card."""
    merchants = [terms("telecom", validity), terms("retail", validity)]
    async with engine.begin() as connection:
        await sync(connection, HOUSE, merchants, START)
        await ensure_first_window(connection, HOUSE)
        for member_id in range(1, members + 1):
            at = START.replace(day=FIRST_DAY.day, hour=0)
            values = {"member_id": member_id, "card": card(member_id), "at": at}
            for statement in (
                "insert into member (member_id, enrolled_by, enrolled_at)"
                " values (:member_id, 2, :at)",
                "insert into account (member_id) values (:member_id)",
                "insert into card (card_number, member_id, issued_at)"
                " values (:card, :member_id, :at)",
            ):
                await connection.execute(text(statement), values)


def key(number: int) -> UUID:
    """A request_id that no other number has."""
    return UUID(int=number)


def asked(
    command: Command,
    by: int = TELECOM,
    *,
    key: UUID | None = None,
    body: int = 1,
    now: datetime = START,
) -> Request:
    return Request(command, by, now, key, body)


def earn(member_id: int, points: int, *, at: datetime = START) -> Earn:
    return Earn(card(member_id), at, points=points)


def burn(
    member_id: int,
    points: int,
    *,
    at: datetime = START,
    take: Take = OLDEST,
    hold_seconds: int | None = None,
) -> Burn:
    return Burn(card(member_id), points, at, take, hold_seconds)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until a condition holds. An AssertionError, naming it, where it does not come about."""
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            # What is waited for happens in the database, which rings no bell of ours.
            while not await holds():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited {WAIT_S_MAX} s in vain until {what}") from None


async def somebody_waits(engine: AsyncEngine, waiters: int = 1) -> None:
    """Wait until so many sessions of this database wait for a lock."""

    async def holds() -> bool:
        async with engine.connect() as connection:
            found: int | None = await connection.scalar(
                text(
                    "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                    " and datname = current_database()"
                )
            )
        return (found or 0) >= waiters

    await until(holds, f"{waiters} sessions wait for a lock")


async def lock_account(connection: AsyncConnection, member_id: int) -> None:
    """Hold a member's account in this connection's database transaction."""
    await connection.execute(
        text("select from account where member_id = :member_id for update"),
        {"member_id": member_id},
    )


async def value(engine: AsyncEngine, statement: str, **values: object) -> int:
    """The one number that a statement answers."""
    async with engine.connect() as connection:
        answered = await connection.scalar(text(statement), values)
    assert isinstance(answered, int), f"{statement} answers {answered!r}"
    return answered


async def change(engine: AsyncEngine, *statements: str) -> None:
    """Change the database behind the program's back, triggers and foreign keys aside."""
    async with superuser(engine).begin() as connection:
        for statement in ("set local session_replication_role = replica", *statements):
            await connection.execute(text(statement))


async def assert_sound(engine: AsyncEngine) -> None:
    """Every invariant holds."""
    async with engine.connect() as connection:
        breaches = await verify(connection)
    assert not breaches, "\n".join(f"{breach.rule}: {breach.row}" for breach in breaches)


async def net_worth(engine: AsyncEngine) -> dict[int, int]:
    """What each member has, held points included, less what it owes."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("select member_id, available + held - owed from account")
        )
        return {row[0]: row[1] for row in rows}


def net_worth_of(answers: Sequence[Answer], member_ids: Sequence[int]) -> dict[int, int]:
    """What the same members have by the answers alone; a hold moves nothing until its capture."""
    worth = dict.fromkeys(member_ids, 0)
    by_card = {card(member_id): member_id for member_id in member_ids}
    for answer in answers:
        match answer:
            case EarnAnswer():
                worth[answer.member_id] += answer.points
            case BurnAnswer(status="posted"):
                worth[answer.member_id] -= answer.points
            case ReversalAnswer(kind="burn"):
                worth[answer.member_id] += answer.points
            case ReversalAnswer(kind="earn"):
                worth[answer.member_id] -= answer.points
            case TransferAnswer():
                worth[answer.member_id] -= answer.points
                worth[by_card[answer.to_card]] += answer.points
    return worth


Post = Callable[[Request], Awaitable[Outcome]]


@dataclass
class Clock:
    now: datetime = START


@dataclass
class Crowd:
    """Clients that ask at random, and what they were answered.

    doors are ways to the same ledger, as two server processes are; a client uses them in turn, and
    asks some things twice at once under one key. answers holds the answer of every key that was
    answered, asked what was asked under it, refused how often each code came.
    """

    doors: Sequence[Post]
    clock: Clock
    members: int
    seed: int
    answers: dict[UUID, Answer] = field(default_factory=dict)
    requests: dict[UUID, Request] = field(default_factory=dict)
    refused: dict[Code, int] = field(default_factory=dict)
    done: int = 0

    async def run(self, clients: int, asks: int) -> None:
        """`clients` at once, each asking `asks` times."""
        await asyncio.gather(*(self._client(number, asks) for number in range(clients)))

    async def _client(self, number: int, asks: int) -> None:
        chance = random.Random(self.seed * 1_000 + number)
        mine: list[Answer] = []
        for count in range(asks):
            command, by = self._command(chance, mine)
            request = asked(
                command, by, key=key((number + 1) * 1_000_000 + count + 1), now=self.clock.now
            )
            outcome = await self._ask(request, chance)
            if isinstance(outcome, Done):
                mine.append(outcome.answer)
            self.done += 1

    async def _ask(self, request: Request, chance: random.Random) -> Outcome:
        assert request.request_id is not None
        self.requests[request.request_id] = request
        # One in five is asked through every door at once, as an impatient till does.
        doors = self.doors if chance.random() < 0.2 else [chance.choice(self.doors)]
        outcomes = await asyncio.gather(*(door(request) for door in doors))
        for outcome in outcomes:
            if isinstance(outcome, Done):
                first = self.answers.setdefault(request.request_id, outcome.answer)
                assert outcome.answer == first, f"seed {self.seed}: one key, two answers"
            else:
                self.refused[outcome.code] = self.refused.get(outcome.code, 0) + 1
        posted = [outcome for outcome in outcomes if isinstance(outcome, Done)]
        assert sum(not outcome.replayed for outcome in posted) <= 1, f"seed {self.seed}: two posted"
        return posted[0] if posted else outcomes[0]

    def _command(self, chance: random.Random, mine: Sequence[Answer]) -> tuple[Command, int]:
        """Something to ask, and who asks it. Some of it cannot be had: then it is refused."""
        member_id = chance.randint(1, self.members)
        by = chance.choice((TELECOM, RETAIL))
        now = self.clock.now
        burns = [answer for answer in mine if isinstance(answer, BurnAnswer)]
        earns = [answer for answer in mine if isinstance(answer, EarnAnswer)]
        dice = chance.random()
        if burns and dice < 0.25:
            answer = chance.choice(burns)
            part = chance.choice((None, chance.randint(1, answer.points)))
            place = (answer.member_id, answer.burn_no)
            about = (Capture(*place, part), Void(*place), ReverseBurn(*place, part))
            return chance.choice(about), answer.merchant_id
        if earns and dice < 0.30:
            earned = chance.choice(earns)
            part = chance.randint(1, earned.points)
            return ReverseEarn(earned.member_id, earned.earn_no, part), earned.merchant_id
        if dice < 0.45:
            other = chance.choice([m for m in range(1, self.members + 1) if m != member_id])
            return Transfer(card(member_id), card(other), chance.randint(1, 60)), by
        if dice < 0.75:
            held_s = chance.choice((None, None, 60, 10_000_000))
            order = chance.choice((Take(), Take("own_first"), Take("only", only=TELECOM)))
            points = chance.randint(1, 80)
            return burn(member_id, points, at=now, take=order, hold_seconds=held_s), by
        return earn(member_id, chance.randint(1, 120), at=now), by
