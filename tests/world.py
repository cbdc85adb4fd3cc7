"""A small coalition in a test's own database: merchants, members, a clock, and one door.

Members are named, merchants have codes, and every movement goes through Ledger.post as it does in
the program. Nothing is mocked and nothing is decided here; what is right is the test's to say.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.clearing.service import close_due, close_window, ensure_first_window, read_result
from coalition.earning.rates import Rate
from coalition.jobs import expire_due, void_stale
from coalition.ledger import commands as ask
from coalition.ledger.post import Ledger
from coalition.members.store import Enrolment, enrol
from coalition.sealing.digests import seal_key
from coalition.sealing.encryption import Keyring
from coalition.terms.book import HOUSE_ID
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms
from coalition.verify import verify
from settlement.obligation import Result

ZONE = ZoneInfo("Asia/Shanghai")
# The pepper of every process that a test starts, and the key of digests in every engine of a test.
PEPPER = "0123456789abcdef0123456789abcdef"
SEAL_KEY = seal_key(PEPPER.encode())
HOUSE = HouseTerms(
    name="The house",
    currency="CNY",
    time_zone="Asia/Shanghai",
    first_window_on=date(2026, 1, 1),
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)
FIRST_DAY = date(2026, 1, 1)
RING = Keyring(b"a pepper of thirty-two bytes, yes")


def merchant(code: str) -> Terms:
    """A merchant that may grant points outright, and earns 1 point for every 1.00 spent."""
    return Terms(
        code=code,
        name=code.title(),
        currency="CNY",
        time_zone="Asia/Shanghai",
        joined_on=date(2025, 1, 1),
        rates=(Rate("*", Decimal(1), 100),),
        points_outright=True,
        hold_seconds_max=2_592_000,
    )


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), ZONE)


@dataclass(frozen=True, slots=True)
class Person:
    member_id: int
    card: int


@dataclass(frozen=True, slots=True)
class Balance:
    available: int
    held: int
    owed: int


@dataclass(frozen=True, slots=True)
class LotLine:
    """A lot as a member sees it; number is the ledger's lot_no."""

    number: int
    origin: str
    kind: str
    points: int
    remaining: int
    expires_on: date | None
    window: int
    about: int | None
    earned_at: datetime
    active_from: date | None


@dataclass(frozen=True, slots=True)
class LegLine:
    """A leg; burn and lot are the ledger's numbers."""

    burn: int
    lot: int
    origin: str
    redeemer: str
    kind: str
    points: int
    on: date
    window: int | None
    about: int | None


class World:
    """A coalition over an engine. now is the ledger's clock; it moves only when it is told to."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.ledger = Ledger(engine)
        self.now = noon(FIRST_DAY)
        self.people: dict[str, Person] = {}
        self._keys = 0

    async def sync(self, terms: list[Terms], house: HouseTerms = HOUSE) -> None:
        """Store the merchants' terms, and open the first window where there is none."""
        async with self.engine.begin() as connection:
            await sync(connection, house, terms, self.now)
            await ensure_first_window(connection, house)
        await self.ledger.refresh()

    async def enrol(self, name: str) -> Person:
        async with self.engine.begin() as connection:
            new = await enrol(
                connection, Enrolment(external_ref=name), HOUSE_ID, self.now, ring=RING
            )
        self.people[name] = Person(new.member_id, new.card)
        return self.people[name]

    def request(
        self, command: ask.Command, at: str, *, key: UUID | None = None, body: int = 1
    ) -> ask.Request:
        """A request by the merchant called `at` (or the house), under a key of its own."""
        if key is None:
            self._keys += 1
            key = UUID(int=self._keys)
        return ask.Request(command, self.ledger.book.ids[at], self.now, key, body)

    async def post(self, command: ask.Command, at: str) -> ask.Outcome:
        return (await self.ledger.post([self.request(command, at)]))[0]

    def take(
        self, order: str = "oldest", only: str | None = None, mix: dict[str, int] | None = None
    ) -> ask.Take:
        ids = self.ledger.book.ids
        parts = tuple((ids[code], points) for code, points in (mix or {}).items())
        match order:
            case "own_first":
                return ask.Take("own_first")
            case "only":
                assert only is not None, "only whose points?"
                return ask.Take("only", only=ids[only])
            case "mix":
                return ask.Take("mix", mix=parts)
        assert order == "oldest", f"no such take: {order}"
        return ask.Take()

    async def earn(
        self,
        name: str,
        at: str,
        points: int | None = None,
        *,
        amount: int | None = None,
        on: datetime | None = None,
    ) -> ask.Outcome:
        """Points outright, or what an amount (minor units) earns; on: when it happened."""
        card = self.people[name].card
        return await self.post(ask.Earn(card, on or self.now, amount=amount, points=points), at)

    async def burn(
        self,
        name: str,
        at: str,
        points: int,
        take: ask.Take | None = None,
        *,
        on: datetime | None = None,
        hold_seconds: int | None = None,
    ) -> ask.Outcome:
        card, take = self.people[name].card, take or ask.Take()
        command = ask.Burn(card, points, on or self.now, take, hold_seconds)
        return await self.post(command, at)

    async def capture(self, held: ask.BurnAnswer, points: int | None = None) -> ask.Outcome:
        command = ask.Capture(held.member_id, held.burn_no, points)
        return await self.post(command, self.code(held.merchant_id))

    async def void(self, held: ask.BurnAnswer) -> ask.Outcome:
        return await self.post(ask.Void(held.member_id, held.burn_no), self.code(held.merchant_id))

    async def reverse_burn(self, burn: ask.BurnAnswer, points: int | None = None) -> ask.Outcome:
        command = ask.ReverseBurn(burn.member_id, burn.burn_no, points)
        return await self.post(command, self.code(burn.merchant_id))

    async def reverse_earn(
        self, earn: ask.EarnAnswer, points: int | None = None, *, amount: int | None = None
    ) -> ask.Outcome:
        command = ask.ReverseEarn(earn.member_id, earn.earn_no, points, amount)
        return await self.post(command, self.code(earn.merchant_id))

    async def transfer(
        self, giver: str, taker: str, points: int, at: str, take: ask.Take | None = None
    ) -> ask.Outcome:
        cards = (self.people[giver].card, self.people[taker].card)
        return await self.post(ask.Transfer(*cards, points, take or ask.Take()), at)

    async def lapse(self, name: str) -> ask.Outcome:
        """What the nightly jobs do, for one member."""
        return (await self.ledger.post([self.lapse_request(name)]))[0]

    def lapse_request(self, name: str) -> ask.Request:
        return ask.Request(ask.Expire(self.people[name].member_id), HOUSE_ID, self.now)

    async def expire(self) -> tuple[int, int]:
        """Run the jobs: points of holds past their time, and points past their day."""
        voided = await void_stale(self.ledger, self.now)
        return voided, await expire_due(self.ledger, self.now)

    async def close(self) -> list[str]:
        """Close every window whose end has come by now; their labels."""
        return await close_due(self.engine, self.now)

    async def close_early(self) -> str:
        """Close the open window now, before its end; its label."""
        label = (await self.open_window())[0]
        await close_window(self.engine, label, self.now, early=True)
        return label

    async def open_window(self) -> tuple[str, datetime]:
        """The open window's label and the moment it ends."""
        async with self.engine.connect() as connection:
            row = (
                await connection.execute(
                    text("select label, closes_at from settlement_window where status = 'open'")
                )
            ).one()
        return row[0], row[1]

    async def result(self, label: str) -> Result:
        async with self.engine.connect() as connection:
            return await read_result(connection, label)

    async def balance(self, name: str) -> Balance:
        async with self.engine.connect() as connection:
            row = await connection.execute(
                text("select available, held, owed from account where member_id = :member_id"),
                {"member_id": self.people[name].member_id},
            )
            return Balance(*row.one())

    async def lots(self, name: str) -> list[LotLine]:
        """Every lot of a member, in the order in which they were made."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "select lot_no, m.code, kind::text, points, remaining, expires_on, window_id,"
                    " about_window_id, earned_at, active_from from lot"
                    " join merchant m on m.merchant_id = origin_id"
                    " where member_id = :member_id order by lot_no"
                ),
                {"member_id": self.people[name].member_id},
            )
            return [LotLine(*row) for row in rows]

    async def legs(self, name: str) -> list[LegLine]:
        """Every leg of a member, in the order in which they were written."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "select burn_no, lot_no, o.code, r.code, kind::text, points, occurred_on,"
                    " window_id, about_window_id from leg"
                    " join merchant o on o.merchant_id = origin_id"
                    " join merchant r on r.merchant_id = redeemer_id"
                    " where member_id = :member_id order by posting_no, leg_no"
                ),
                {"member_id": self.people[name].member_id},
            )
            return [LegLine(*row) for row in rows]

    async def breaches(self) -> list[str]:
        """What `coalition verify` finds."""
        async with self.engine.connect() as connection:
            return [f"{breach.rule}: {breach.row}" for breach in await verify(connection)]

    def code(self, merchant_id: int) -> str:
        return self.ledger.book.codes[merchant_id]

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)


def done(outcome: ask.Outcome) -> ask.Answer:
    """The answer; a refusal fails the test and says why."""
    assert isinstance(outcome, ask.Done), f"refused: {outcome}"
    return outcome.answer
