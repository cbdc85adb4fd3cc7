"""A ledger with a catalogue, and a member who may take from it; for tests below the API."""

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import RING, World, merchant

from coalition.ledger import commands as ask
from coalition.rewards.codes import mint, seal_code
from coalition.terms.rewards import Alternative, Reward, VoucherTerms
from coalition.terms.terms import Terms

HALF_AND_HALF = Alternative((("telecom", 500), ("retail", 500)))


def voucher(code: str = "airtime", **changes: Any) -> Reward:
    """A voucher worth 50.00 for 500 + 500, or whatever changes make of it."""
    fields: dict[str, Any] = {
        "price": (HALF_AND_HALF,),
        "voucher": VoucherTerms(value=5_000, part_use=True),
    }
    return Reward(**({"code": code, "name": code, "kind": "voucher"} | fields | changes))


def goods(code: str, *price: Alternative, **changes: Any) -> Reward:
    return Reward(**({"code": code, "name": code, "kind": "goods", "price": price} | changes))


def mix(**parts: int) -> Alternative:
    return Alternative(tuple(parts.items()))


@dataclass
class Shop:
    """telecom has the catalogue; retail and fuel have none unless they are given one."""

    world: World

    async def member(self, name: str, **points: int) -> None:
        await self.world.enrol(name)
        for code, part in points.items():
            done = await self.world.earn(name, code, part)
            assert isinstance(done, ask.Done), done

    def want(
        self, name: str, reward: str, quantity: int = 1, price: int | None = None, **more: Any
    ) -> ask.Burn:
        codes = tuple(seal_code(mint(), RING) for _ in range(min(quantity, 100)))
        wants = ask.Wanted(reward, quantity, price, codes)
        world = self.world
        return ask.Burn(world.people[name].card, 0, world.now, wants=wants, **more)

    async def take(
        self, name: str, reward: str, quantity: int = 1, price: int | None = None, **more: Any
    ) -> ask.Outcome:
        at = more.pop("at", "telecom")
        return await self.world.post(self.want(name, reward, quantity, price, **more), at)

    async def taken(self, name: str, reward: str, *of: Any, **more: Any) -> ask.BurnAnswer:
        outcome = await self.take(name, reward, *of, **more)
        assert isinstance(outcome, ask.Done), outcome
        assert isinstance(outcome.answer, ask.BurnAnswer)
        return outcome.answer

    def origins(self, answer: ask.BurnAnswer) -> dict[str, int]:
        """The points that a burn took of each merchant's."""
        found: dict[str, int] = {}
        for leg in answer.legs:
            code = self.world.code(leg.origin_id)
            found[code] = found.get(code, 0) + leg.points
        return found


async def open_shop(engine: AsyncEngine, *rewards: Reward, **of: tuple[Reward, ...]) -> Shop:
    """rewards are telecom's; of: those of others."""
    world = World(engine)
    terms: list[Terms] = [
        replace(merchant(code), rewards=rewards if code == "telecom" else of.get(code, ()))
        for code in ("telecom", "retail", "fuel")
    ]
    await world.sync(terms)
    return Shop(world)
