"""The ledger and the model beside each other: asked the same things, and compared.

Whether the two answered the same is seen at once; what they hold is compared row by row.
"""

from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.coalition.ledger.asked import A_DAY_MAX, NAMES, Op, terms
from tests.coalition.ledger.databases import START, Databases
from tests.coalition.ledger.model import Model
from tests.coalition.ledger.model_rows import Back, Burn, Earn, Span
from tests.coalition.ledger.model_window import Balances, lines, settle
from tests.world import SEAL_KEY, Balance, Person, World

from coalition import database
from coalition.ledger import commands as ask
from coalition.ledger.commands import Answer, Done, Outcome, Refused, Request
from coalition.ledger.read import card_view
from coalition.members.cards import block, replace, unblock
from coalition.terms.book import HOUSE_ID


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
    usable_from: date | None = None
    at: datetime | None = None


class Both:
    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.url = databases.run(databases.clone())
        self.world = World(database.create_engine(self.url, SEAL_KEY))
        self.burns: list[Made] = []
        self.earns: list[Made] = []
        self.labels: list[str] = []
        self.balances: Balances = {}
        self.compared = 0
        databases.run(self._enter())

    async def _enter(self) -> None:
        self.world.now = enrolled_at = START - timedelta(days=40)
        await self.world.ledger.refresh()
        for name in NAMES:
            await self.world.enrol(name)
        self.world.now = START
        window = self.world.ledger.book.windows[0]
        window_span = Span(window.opens_at, window.closes_at)
        self.model = Model(terms(), A_DAY_MAX, NAMES, enrolled_at, window_span)

    async def leave(self) -> None:
        await self.world.engine.dispose()
        await self.databases.drop(self.url)

    # ------------------------------------------------------------ asking

    async def play(self, ops: list[Op]) -> list[tuple[Request, Done]]:
        """Post the movements as one group, do them in the model, and compare; what was done."""
        chosen = [(op, made) for op in ops if (made := self._choose(op)) is not None]
        requests = [self._request(op, made) for op, made in chosen]
        if not requests:
            return []
        outcomes = await self.world.ledger.post(requests)
        # The model goes one by one, and what it says is kept as it was at that moment.
        wanted = [self._in_model(op, made) for op, made in chosen]
        await self._note_lots()
        posted: list[tuple[Request, Done]] = []
        for (op, made), request, outcome, (said, thing) in zip(
            chosen, requests, outcomes, wanted, strict=True
        ):
            assert self._said(outcome) == said, f"{op}: {outcome}"
            if isinstance(outcome, Done):
                posted.append((request, outcome))
                self._keep(op, made, outcome.answer, thing)
        await self.compare({made.name for _, made in chosen} | {op.peer for op in ops})
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
                command = ask.Earn(
                    person.card, on, amount=op.amount, points=op.points, reference=op.reference
                )
            case "burn":
                points, take = op.spends()
                command = ask.Burn(
                    person.card, points, on, self._take(take), op.hold_seconds, op.reference
                )
            case "capture":
                command = ask.Capture(person.member_id, made.number, op.points)
            case "void":
                command = ask.Void(person.member_id, made.number)
            case "reverse_burn" | "reverse_earn":
                command = self._back(op, made)
            case _:
                points, take = op.spends()
                peer = world.people[op.peer].card
                command = ask.Transfer(person.card, peer, points, self._take(take))
        return world.request(command, "house" if op.kind == "transfer" else made.at)

    def _back(self, op: Op, made: Made) -> ask.Reversal | ask.ReversalCalled:
        person, at = self.world.people[made.name], self._returned_at(op)
        reference = made.thing.reference if op.by_reference else None
        if op.kind == "reverse_burn":
            if reference is not None:
                return ask.ReverseBurnCalled(person.card, reference, op.points, at)
            return ask.ReverseBurn(person.member_id, made.number, op.points, at)
        if reference is not None:
            return ask.ReverseEarnCalled(person.card, reference, op.points, op.amount, at)
        return ask.ReverseEarn(person.member_id, made.number, op.points, op.amount, at)

    def _returned_at(self, op: Op) -> datetime | None:
        return None if op.returned_ago is None else self.world.now - op.returned_ago

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
                thing = model.earn(name, made.at, op.points, op.amount, on, now, op.reference)
            case "burn":
                points, take = op.spends()
                thing = model.burn(
                    name, made.at, points, take, on, op.hold_seconds, now, op.reference
                )
            case "capture":
                thing = model.capture(name, made.thing, op.points, now)
            case "void":
                thing = model.void(name, made.thing, now)
            case "reverse_burn" | "reverse_earn":
                thing = self._back_in_model(op, made)
            case _:
                points, take = op.spends()
                thing = model.transfer(name, op.peer, points, take, now)
        if isinstance(thing, str):
            return thing, None
        place = {id(lot): number for number, lot in enumerate(member.lots)}
        available = member.available - member.pending(model.day(now))
        if isinstance(thing, Earn):
            lot = thing.lot
            parts = [(place[id(lot)], lot.points)]
            until = None if lot.idle_months else lot.good_until
            return Said(
                lot.points, parts, available, until=until, usable_from=lot.active_from
            ), thing
        if isinstance(thing, Burn):
            legs = [(place[id(leg.lot)], points) for leg, points in thing.taken()]
            status = "" if op.kind == "transfer" else thing.status
            return Said(thing.points, legs, available, status), thing
        legs = [(place[id(leg.lot)], abs(leg.points)) for leg in thing.legs]
        at = self._returned_at(op) or now
        return Said(thing.points + thing.owed, legs, available, owed=thing.owed, at=at), None

    def _back_in_model(self, op: Op, made: Made) -> Back | str:
        model, now, at = self.model, self.world.now, self._returned_at(op)
        thing = made.thing
        if at is not None and model.too_late(made.at, at, now):
            return "invalid"
        if op.by_reference and thing.reference is not None:
            thing = model.called(made.name, made.at, op.kind, thing.reference)
        if isinstance(thing, str):
            return thing
        if isinstance(thing, Burn):
            return model.reverse_burn(made.name, thing, op.points, now, at)
        return model.reverse_earn(made.name, thing, op.points, op.amount, now, at)

    # ------------------------------------------------------------ the ledger's answer

    async def _note_lots(self) -> None:
        self.place = {
            (self.world.people[name].member_id, lot.number): number
            for name in NAMES
            for number, lot in enumerate(await self.world.lots(name))
        }

    def _said(self, outcome: Outcome) -> Said | str:
        if isinstance(outcome, Refused):
            return outcome.code.value
        answer = outcome.answer
        if isinstance(answer, ask.EarnAnswer):
            (lot,) = answer.lots
            legs = [(self.place[answer.member_id, lot.lot_no], lot.points)]
            return Said(
                answer.points, legs, answer.available,
                until=lot.expires_on, usable_from=lot.active_from,
            )  # fmt: skip
        assert not isinstance(answer, ask.ExpireAnswer | ask.VoucherAnswer), "that is not asked"
        legs = [(self.place[answer.member_id, leg.lot_no], leg.points) for leg in answer.legs]
        status = answer.status if isinstance(answer, ask.BurnAnswer) else ""
        if isinstance(answer, ask.ReversalAnswer):
            at = answer.occurred_at
            return Said(answer.points, legs, answer.available, owed=answer.owed, at=at)
        return Said(answer.points, legs, answer.available, status)

    def _keep(self, op: Op, made: Made, answer: Answer, thing: Any) -> None:
        if isinstance(answer, ask.EarnAnswer):
            self.earns.append(Made(made.name, made.at, answer.earn_no, thing))
        elif isinstance(answer, ask.BurnAnswer) and op.kind == "burn":
            self.burns.append(Made(made.name, made.at, answer.burn_no, thing))

    # ------------------------------------------------------------ what both hold

    async def compare(self, names: Iterable[str] = NAMES) -> None:
        """Balances, lots and legs, row by row."""
        for name in names:
            member = self.model.members[name]
            balance = await self.world.balance(name)
            owed = sum(member.debts.values())
            assert balance == Balance(member.available, member.held, owed), name
            lots = await self.world.lots(name)
            assert [
                (x.origin, x.kind, x.points, x.remaining, x.expires_on, x.earned_at,
                 x.window, x.about, x.active_from)
                for x in lots
            ] == [
                (x.origin, x.kind, x.points, x.left,
                 x.at_least if x.idle_months else x.good_until, x.earned_at,
                 x.window, x.about, x.active_from)
                for x in member.lots
            ], name  # fmt: skip
            await self._compare_legs(name, {lot.number: n for n, lot in enumerate(lots)})

    async def _compare_legs(self, name: str, lot_places: dict[int, int]) -> None:
        member = self.model.members[name]
        legs = await self.world.legs(name)
        burn_places = {no: n for n, no in enumerate(sorted({leg.burn for leg in legs}))}
        lots = {id(lot): n for n, lot in enumerate(member.lots)}
        burns = {id(burn): n for n, burn in enumerate(member.burns)}
        assert [
            (burn_places[x.burn], lot_places[x.lot], x.kind, x.redeemer, x.points, x.on, x.window,
             x.about)
            for x in legs
        ] == [
            (burns[id(burn)], lots[id(x.lot)], burn.kind, burn.redeemer or x.lot.origin, x.points,
             x.on, x.window, x.about)
            for burn, x in member.legs
        ], name  # fmt: skip

    async def compare_cards(self) -> None:
        """What a card shows is what the jobs would leave, had they just come by."""
        then = deepcopy(self.model)
        for name in NAMES:
            then.lapse(name, self.world.now)
            member = then.members[name]
            book = self.world.ledger.book
            async with self.world.engine.connect() as connection:
                card = self.world.people[name].card
                view = await card_view(connection, card, book, self.world.now)
            assert view is not None
            today = then.day(self.world.now)
            pending = member.pending(today)
            assert (view.status, view.available, view.held, view.pending) == (
                member.card_status, member.available - pending, member.held, pending,
            )  # fmt: skip
            origins, expiring = Counter[str](), Counter[date]()
            pending_from = Counter[date]()
            for lot in member.open_lots():
                if lot.active_from and lot.is_pending(today):
                    pending_from[lot.active_from] += lot.left
                else:
                    origins[lot.origin] += lot.left
                if lot.good_until:
                    expiring[lot.good_until] += lot.left
            assert {self.world.code(no): n for no, n in view.origins.items()} == origins, name
            assert view.expiring == expiring, name
            assert view.pending_from == pending_from, name
            owed = {origin: points for origin, points in member.debts.items() if points}
            assert {self.world.code(no): n for no, n in view.owed.items()} == owed, name

    async def change_card(self, name: str, what: str) -> None:
        person, member = self.world.people[name], self.model.members[name]
        async with self.world.engine.begin() as connection:
            if what == "replace":
                new = await replace(connection, person.card, HOUSE_ID, self.world.now)
                self.world.people[name] = Person(person.member_id, new.card)
                member.card_status, member.card_issued_at = "active", self.world.now
            elif what == "block":
                member.card_status = await block(connection, person.card, HOUSE_ID, self.world.now)
            else:
                member.card_status = await unblock(
                    connection, person.card, HOUSE_ID, self.world.now
                )

    # ------------------------------------------------------------ windows

    def flip(self, label: str, ends_at: datetime, next_ends_at: datetime) -> None:
        """Close the model's open window and open its next one."""
        self.labels.append(label)
        self.model.windows[-1].closes_at = ends_at
        self.model.windows.append(Span(ends_at, next_ends_at))

    async def compare_windows(self) -> None:
        """Each newly closed window's lines, and every party's position."""
        for number in range(self.compared + 1, len(self.labels) + 1):
            result = await self.world.result(self.labels[number - 1])
            rows, nets = lines(self.model, number)
            found = Counter(
                (x.origin, x.redeemer, x.kind, self.labels.index(x.about) + 1 if x.about else None,
                 x.quantity, x.price, x.amount)
                for x in result.paths
            )  # fmt: skip
            assert found == rows, f"window {number}"
            positions, self.balances = settle(self.model.terms, self.balances, nets)
            assert {
                x.party: (x.opening, x.net, x.instructed, x.closing)
                for x in result.positions
                if x.opening or x.net
            } == positions, f"window {number}"
            self.compared = number
