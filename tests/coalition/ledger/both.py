"""The ledger and the model beside each other: asked the same things, and compared.

The ledger is a real database, cloned for every example from one that is prepared once.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.engine import make_url

from coalition import database
from coalition.ledger import commands as ask
from coalition.ledger.commands import Done, Outcome, Refused, Request
from coalition.ledger.read import card_view
from coalition.members.store import replace, set_blocked
from tests.coalition.ledger.asked import NAMES, Op, terms
from tests.coalition.ledger.model import Burn, Earn, Model, Span
from tests.coalition.ledger.model_window import Balances, lines, settle
from tests.world import Person, World, noon

T = TypeVar("T")
START = noon(date(2026, 1, 10))


class Databases:
    """One prepared database and its clones; every example runs on the one event loop."""

    def __init__(self, runner: asyncio.Runner, server_url: str, database_url: str) -> None:
        self._runner = runner
        self._server_url = server_url
        self._template = make_url(database_url)
        self._numbers = count(1)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def prepare(self) -> None:
        engine = database.create_engine(self._template.render_as_string(hide_password=False))
        world = World(engine)
        world.now = START
        await world.sync(list(terms().values()))
        await engine.dispose()

    async def clone(self) -> str:
        name = f"{self._template.database}_{next(self._numbers)}"
        await self._execute(
            f"create database {name} template {self._template.database} strategy file_copy"
        )
        return self._template.set(database=name).render_as_string(hide_password=False)

    async def drop(self, url: str) -> None:
        await self._execute(f"drop database {make_url(url).database} with (force)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server_url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@dataclass(frozen=True)
class Made:
    """A burn or an earn that both have: its number in the ledger, and the model's own."""

    name: str
    at: str
    number: int
    thing: Any


@dataclass(frozen=True)
class Said:
    """An answer in words that both can say; a leg is the lot's place among the member's lots."""

    points: int
    legs: list[tuple[int, int]]
    available: int
    status: str = ""
    owed: int = 0
    until: date | None = None


class Both:
    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.url = databases.run(databases.clone())
        self.world = World(database.create_engine(self.url))
        self.burns: list[Made] = []
        self.earns: list[Made] = []
        self.labels: list[str] = []
        self.balances: Balances = {}
        self.compared = 0
        databases.run(self._enter())

    async def _enter(self) -> None:
        self.world.now = START
        await self.world.ledger.refresh()
        for name in NAMES:
            await self.world.enrol(name)
        window = self.world.ledger.book.windows[0]
        self.model = Model(terms(), NAMES, Span(window.opens_at, window.closes_at))

    async def leave(self) -> None:
        await self.world.engine.dispose()
        await self.databases.drop(self.url)

    # ------------------------------------------------------------ asking

    async def play(self, ops: list[Op]) -> list[tuple[Op, Request, Done]]:
        """Post the movements as one group, do them in the model, and compare; what was done."""
        chosen = [(op, made) for op in ops if (made := self._choose(op)) is not None]
        requests = [self._request(op, made) for op, made in chosen]
        if not requests:
            return []
        outcomes = await self.world.ledger.post(requests)
        # The model goes one by one, and what it says is kept as it was at that moment.
        wanted = [self._in_model(op, made) for op, made in chosen]
        await self._note_lots()
        posted: list[tuple[Op, Request, Done]] = []
        for (op, made), request, outcome, (said, thing) in zip(
            chosen, requests, outcomes, wanted, strict=True
        ):
            assert self._said(op, outcome) == said, f"{op}: {outcome}"
            if isinstance(outcome, Done):
                posted.append((op, request, outcome))
                self._keep(op, outcome.answer, thing)
        await self.compare({op.name for op in ops} | {op.peer for op in ops} | {
            made.name for _, made in chosen
        })
        return posted

    def _choose(self, op: Op) -> Made | None:
        """The burn or earn that a movement is about; itself where it is about none."""
        if op.kind in ("earn", "burn", "transfer"):
            return Made(op.name, op.at, 0, None)
        made = self.earns if op.kind == "reverse_earn" else self.burns
        return made[-1 - op.pick % len(made)] if made else None

    def _request(self, op: Op, made: Made) -> Request:
        world, on = self.world, self.world.now - op.ago
        person = world.people[made.name]
        command: ask.Command
        match op.kind:
            case "earn":
                command = ask.Earn(person.card, on, amount=op.amount, points=op.points)
            case "burn":
                points, take = _asked(op)
                command = ask.Burn(person.card, points, on, self._take(take), op.hold_seconds)
            case "capture":
                command = ask.Capture(person.member_id, made.number, op.points)
            case "void":
                command = ask.Void(person.member_id, made.number)
            case "reverse_burn":
                command = ask.ReverseBurn(person.member_id, made.number, op.points)
            case "reverse_earn":
                command = ask.ReverseEarn(person.member_id, made.number, op.points, op.amount)
            case _:
                points, take = _asked(op)
                peer = world.people[op.peer].card
                command = ask.Transfer(person.card, peer, points, self._take(take))
        return world.request(command, "house" if op.kind == "transfer" else made.at)

    def _take(self, take: dict[str, int] | str) -> ask.Take:
        if isinstance(take, dict):
            return self.world.take("mix", mix=take)
        order, _, only = take.partition(" ")
        return self.world.take(order, only=only)

    # ------------------------------------------------------------ the model's answer

    def _in_model(self, op: Op, made: Made) -> tuple[Said | str, Any]:
        model, now, on = self.model, self.world.now, self.world.now - op.ago
        name = made.name
        member = model.members[name]
        thing: Any
        match op.kind:
            case "earn":
                thing = model.earn(name, made.at, op.points, op.amount, on, now)
            case "burn":
                points, take = _asked(op)
                thing = model.burn(name, made.at, points, take, on, op.hold_seconds, now)
            case "capture":
                thing = model.capture(name, made.thing, op.points, now)
            case "void":
                thing = model.void(name, made.thing, now)
            case "reverse_burn":
                thing = model.reverse_burn(name, made.thing, op.points, now)
            case "reverse_earn":
                thing = model.reverse_earn(name, made.thing, op.points, op.amount, now)
            case _:
                points, take = _asked(op)
                thing = model.transfer(name, op.peer, points, take, now)
        if isinstance(thing, str):
            return thing, None
        place = {id(lot): number for number, lot in enumerate(member.lots)}
        available = member.available
        if isinstance(thing, Earn):
            lot = thing.lot
            return Said(lot.points, [(place[id(lot)], lot.points)], available, until=lot.good_until), thing
        if isinstance(thing, Burn):
            legs = [(place[id(leg.lot)], points) for leg, points in thing.taken()]
            status = "" if op.kind == "transfer" else thing.status
            return Said(thing.points, legs, available, status), thing
        moved, owed = thing.points, thing.owed
        legs = [(place[id(leg.lot)], abs(leg.points)) for leg in thing.legs]
        return Said(moved + owed, legs, available, owed=owed), thing
