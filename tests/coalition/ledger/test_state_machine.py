"""The ledger against the plain model, side by side, with whatever Hypothesis thinks of.

A real database does every movement, alone or several in one group; the model (model.py) does it in
memory. After each step the answers, balances, lots and legs have to be the same, after each close
the window's lines and positions, and at the end no invariant may be broken.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from msgspec.structs import replace
from tests.coalition.ledger import asked
from tests.coalition.ledger.asked import NAMES, Op
from tests.coalition.ledger.both import Both
from tests.coalition.ledger.databases import Databases
from tests.world import ZONE

from coalition.ledger.commands import Burn, Done, Earn, ExpireAnswer, Refused, Request, Transfer
from coalition.terms.book import HOUSE_ID


class Ledgers(RuleBasedStateMachine):
    """The ledger and the model, told the same things."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.run = databases.run
        self.both = Both(databases)
        self.posted: list[tuple[Request, Done]] = []
        # The very first posting opens the window of its own time: test_post.py.
        self.play([Op("earn", "ann", "telecom", 10)])
        assert self.posted

    def teardown(self) -> None:
        try:
            # Whatever was left in the open window is priced too.
            ends_at = self.both.model.windows[-1].closes_at
            self.both.world.now = max(self.both.world.now, ends_at)
            self.close_windows()
            self.run(self.both.compare())
            assert self.run(self.both.world.breaches()) == []
        finally:
            self.run(self.both.leave())

    def play(self, ops: list[Op]) -> None:
        self.posted += self.run(self.both.play(ops))

    @rule(op=asked.earns)
    def earn(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.burns)
    def burn(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.holds)
    def hold(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.ends)
    def capture_or_void(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.refunds)
    def reverse_burn(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.returns)
    def reverse_earn(self, op: Op) -> None:
        self.play([op])

    @rule(op=asked.gifts)
    def transfer(self, op: Op) -> None:
        self.play([op])

    @rule(ops=st.lists(asked.anything, min_size=2, max_size=6))
    def group(self, ops: list[Op]) -> None:
        self.play(ops)

    @rule(seconds=st.sampled_from([1, 59, 3600, 86_400, 5 * 86_400, 21 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.both.world.now += timedelta(seconds=seconds)
        # A card shows what time has done before any job has come by.
        self.run(self.both.compare_cards())

    @rule(by_jobs=st.booleans())
    def night(self, by_jobs: bool) -> None:
        """Everybody is brought up to now; what the jobs find by themselves is all there is."""
        world, model = self.both.world, self.both.model
        if by_jobs:
            self.run(world.expire())
        requests = [world.lapse_request(name) for name in NAMES]
        for outcome in self.run(world.ledger.post(requests)):
            assert isinstance(outcome, Done)
            assert isinstance(outcome.answer, ExpireAnswer)
            assert not by_jobs or (outcome.answer.expired, outcome.answer.voided) == (0, 0)
        for name in NAMES:
            model.lapse(name, world.now)
        self.run(self.both.compare())

    @rule(pick=st.integers(0, 60), other=st.booleans())
    def ask_again(self, pick: int, other: bool) -> None:
        """The same key and body get the first answer for ever; another body is refused."""
        if not self.posted:
            return
        request, first = self.posted[-1 - pick % len(self.posted)]
        again = replace(request, now=self.both.world.now, body_hash=request.body_hash + other)
        outcome = self.run(self.both.world.ledger.post([again]))[0]
        if other:
            assert isinstance(outcome, Refused)
            code = "idempotency_key_reused" if self.alive(request) else "card_not_active"
            # What the terms refuse comes before anything is said of a card or a key.
            assert outcome.code == ("invalid" if self.is_too_late(request) else code)
        else:
            assert outcome == Done(first.answer, replayed=True)
        self.run(self.both.compare())

    def is_too_late(self, request: Request) -> bool:
        """Whether it happened longer ago by now than its merchant's terms take."""
        both, at = self.both, getattr(request.command, "occurred_at", None)
        if at is None or request.merchant_id == HOUSE_ID:
            return False
        return both.model.too_late(both.world.code(request.merchant_id), at, both.world.now)

    def alive(self, request: Request) -> bool:
        """Whether every card that the request names is still in use."""
        both, command = self.both, request.command
        active = {
            both.world.people[name].card
            for name in NAMES
            if both.model.members[name].card_status == "active"
        }
        if isinstance(command, Earn | Burn):
            return command.card in active
        if isinstance(command, Transfer):
            return {command.from_card, command.to_card} <= active
        return True

    @rule(name=asked.names, what=st.sampled_from(["block", "unblock", "unblock", "replace"]))
    def card(self, name: str, what: str) -> None:
        self.run(self.both.change_card(name, what))

    @rule()
    def close_due(self) -> None:
        self.close_windows()

    def close_windows(self) -> None:
        for label in self.run(self.both.world.close()):
            ends_at = self.both.model.windows[-1].closes_at
            in_next_month = ends_at.astimezone(ZONE) + timedelta(days=32)
            self.both.flip(label, ends_at, in_next_month.replace(day=1).astimezone(UTC))
        self.run(self.both.compare_windows())

    @rule()
    def close_early(self) -> None:
        now, window = self.both.world.now, self.both.model.windows[-1]
        if window.opens_at < now < window.closes_at:
            label = self.run(self.both.world.close_early())
            self.both.flip(label, now, window.closes_at)
        self.run(self.both.compare_windows())


@pytest.fixture
def databases(server_url: str, database_url: str) -> Iterator[Databases]:
    with asyncio.Runner() as runner:
        databases = Databases(runner, server_url, database_url)
        databases.run(databases.prepare())
        yield databases


def explore(databases: Databases, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Ledgers(databases),  # type: ignore[arg-type]  # a factory does, as documented
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_ledger_does_what_the_model_does(databases: Databases) -> None:
    explore(databases, examples=30, steps=30)


@pytest.mark.soak
def test_ledger_does_what_the_model_does_for_long(databases: Databases) -> None:
    explore(databases, examples=400, steps=100)
