"""A scenario table being played: the world it plays in, and what its lines have named so far.

Which lines there are stands in moves.py (what happens) and expect.py (what is expected).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from tests.scenarios.table import Form, Line, parts
from tests.world import World, done

from coalition.ledger.commands import BurnAnswer, Outcome, ReversalAnswer, Take, TransferAnswer
from coalition.terms.terms import Terms
from settlement.money import format_amount
from settlement.obligation import PathLine, Position

Parts = list[tuple[str, int]]
Step = Callable[..., Awaitable[Outcome | None]]
FORMS: list[tuple[Form, Step]] = []
EXPECTATIONS = ("balance", "lots", "path", "correction", "late", "position")


def says(form: str) -> Callable[[Step], Step]:
    def add(step: Step) -> Step:
        FORMS.append((Form(form), step))
        return step

    return add


class Play:
    """A table being played: the world it plays in, and what its lines gave names to."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.world = World(engine)
        self.terms: dict[str, Terms] = {}
        self.named: dict[str, Any] = {}
        # The last closed window: its lines and positions, and those not named so far.
        self.paths: list[PathLine] = []
        self.unnamed: list[PathLine] = []
        self.positions: dict[str, Position] = {}
        self.unstated: dict[str, Position] = {}

    async def line(self, line: Line) -> None:
        """Do what a line says, or check what it expects. TableError where it does not come true."""
        try:
            if line.text.split()[0] not in EXPECTATIONS:
                self.finish_window()
            outcome = await self.step(line.text)
            if outcome is not None:
                done(outcome)
        except AssertionError as error:
            raise line.wrong(str(error)) from error

    async def step(self, text: str) -> Outcome | None:
        for form, step in FORMS:
            values = form.values(text)
            if values is not None:
                return await step(self, *values)
        verb = text.split()[0]
        near = [form.form for form, _ in FORMS if form.form.split()[0] == verb]
        known = near or sorted({form.form.split()[0] for form, _ in FORMS})
        raise AssertionError(f"no such line; it could read: {' | '.join(known)}")

    def finish_window(self) -> None:
        """Every line and position of the last closed window has been named by now."""
        rest = [show(line) for line in self.unnamed]
        for party, position in self.unstated.items():
            rest.append(f"position {party} {format_amount(position.net, position.currency)}")
        self.unnamed, self.unstated = [], {}
        assert not rest, f"before this line, the closed window also came to: {'; '.join(rest)}"

    async def terms_changed(self) -> None:
        await self.world.sync(list(self.terms.values()))

    def same(self, what: str, expected: object, actual: object) -> None:
        assert expected == actual, f"{what}: expected {expected}, but it is {actual}"

    def legs(
        self, expected: Parts | None, answer: BurnAnswer | ReversalAnswer | TransferAnswer
    ) -> None:
        if expected is not None:
            codes = [(self.world.code(leg.origin_id), leg.points) for leg in answer.legs]
            self.same("legs", expected, codes)

    def take(self, text: str | None) -> Take:
        order, _, rest = (text or "oldest").partition(" ")
        return self.world.take(order, only=rest, mix=dict(parts(rest)))


def show(line: PathLine) -> str:
    """A line as a table would say it."""
    of = f" of {line.about}" if line.about else ""
    return (
        f"{line.origin} -> {line.redeemer} {line.kind} {line.quantity} points at "
        f"{line.price.normalize():f} {format_amount(line.amount, line.currency)}{of}"
    )
