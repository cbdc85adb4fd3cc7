"""Tills that ask whatever happens, and what they were answered.

A till whose answer does not come sends the same again under the same key, as the contract tells it
to. What was answered 201 must be in the ledger once; what was asked and never answered may be.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import httpx
from tests.coalition import crowd

REPLAYED = "Idempotent-Replayed"
# What a server that is away or too busy gives, whereupon the till asks again.
TRIES_MAX = 2_000
PAUSE_S = 0.01
# What a till whose fault lies with somebody else may see.
EXPECTED = {201, 409, 429, 503}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a till sends it, and again under the same key where no answer came."""

    path: str
    body: dict[str, object]
    key: str


@dataclass
class Tills:
    """clients are ways to the same coalition, used in turn.

    saw counts what came back by its status, and as `cut` what never did.
    """

    clients: list[httpx.AsyncClient]
    members: int
    answered: dict[str, dict[str, object]] = field(default_factory=dict)
    asked: dict[str, Ask] = field(default_factory=dict)
    saw: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    doubled: int = 0
    stopping: bool = False

    async def send(self, ask: Ask) -> httpx.Response | None:
        """The answer, counted; None where none came."""
        client = self.clients[self.saw.total() % len(self.clients)]
        self.asked[ask.key] = ask
        try:
            answer = await client.post(
                ask.path, json=ask.body, headers={"Idempotency-Key": ask.key}
            )
        except httpx.TransportError:
            self.saw["cut"] += 1
            return None
        self.saw[str(answer.status_code)] += 1
        if answer.status_code not in EXPECTED:
            self.wrong.append(f"{ask.path} {ask.body}: {answer.status_code} {answer.text[:300]}")
        if answer.status_code == 503 and "Retry-After" not in answer.headers:
            self.wrong.append(f"{ask.path}: 503 without Retry-After")
        if answer.status_code == 201:
            self._note(ask, answer.json())
        return answer

    def _note(self, ask: Ask, answer: dict[str, object]) -> None:
        first = self.answered.setdefault(ask.key, answer)
        if first != answer:
            self.doubled += 1
            self.wrong.append(f"{ask.key}: one key, two answers: {first} and {answer}")

    async def settle(self, ask: Ask) -> httpx.Response:
        """Ask until something is said for good."""
        for _ in range(TRIES_MAX):
            answer = await self.send(ask)
            if answer is not None and answer.status_code not in (429, 503):
                return answer
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{ask} was not answered in {TRIES_MAX} tries")

    async def work(self, tills: int, asks: int | None = None) -> None:
        """So many tills at once, each asking so often, or until somebody sets `stopping`."""
        await asyncio.gather(*(self._till(number, asks) for number in range(tills)))

    async def _till(self, number: int, asks: int | None) -> None:
        chance = random.Random(number)
        count = 0
        while not self.stopping and (asks is None or count < asks):
            count += 1
            await self.settle(self._ask(chance, f"till-{number}-{len(self.asked)}-{count}"))

    def _ask(self, chance: random.Random, key: str) -> Ask:
        giver, taker = (
            f"{crowd.card(n):016d}" for n in chance.sample(range(1, self.members + 1), 2)
        )
        dice, points = chance.random(), chance.randint(1, 100)
        if dice < 0.6:
            return Ask("/v1/earns", {"card": giver, "points": points}, key)
        if dice < 0.9:
            return Ask("/v1/burns", {"card": giver, "points": points, "hold": dice < 0.7}, key)
        return Ask("/v1/transfers", {"from_card": giver, "to_card": taker, "points": points}, key)

    async def ask_all_again(self) -> int:
        """Send everything once more; how many answers were lost: answered 201, and not a replay."""
        before, lost = set(self.answered), 0
        for ask in list(self.asked.values()):
            answer = await self.settle(ask)
            if ask.key in before and answer.headers.get(REPLAYED) != "true":
                lost += 1
                self.wrong.append(f"{ask} was answered 201 before, and is no replay")
        return lost

    def worth(self) -> int:
        """What all members have together by the answers; a gift stays among them, a hold theirs."""
        worth = 0
        for key, answer in self.answered.items():
            points = answer["points"]
            assert isinstance(points, int)
            if self.asked[key].path == "/v1/earns":
                worth += points
            elif answer.get("status") == "posted":
                worth -= points
        return worth
