"""Ledger rows written by hand for the tests of clearing, which starts where posting ends."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.clearing import service
from coalition.terms.prices import Price
from coalition.terms.store import load_book, sync
from coalition.terms.terms import HouseTerms, Terms
from settlement.obligation import Result

HOUSE = HouseTerms(
    name="House",
    currency="CNY",
    time_zone="Asia/Shanghai",
    first_window_on=date(2017, 3, 1),
    window_rule="FREQ=MONTHLY;BYMONTHDAY=1",
)
START = date(2017, 3, 1)
MARCH_END = datetime(2017, 3, 31, 16, tzinfo=UTC)
APRIL_END = datetime(2017, 4, 30, 16, tzinfo=UTC)
MAY_END = datetime(2017, 5, 31, 16, tzinfo=UTC)


def terms(
    code: str, burn: str = "0", issue: str = "0", redeem: str | None = None, **changes: Any
) -> Terms:
    """A merchant whose prices hold from the first day on; changes are further fields of Terms."""
    price = Price(
        code, None, START, Decimal(issue), Decimal(burn), Decimal(redeem) if redeem else None
    )
    plain = Terms(code, code.title(), "CNY", "Asia/Shanghai", START, prices=(price,))
    return msgspec.structs.replace(plain, **changes)


TELECOM = terms("telecom", burn="0.010")
RETAIL = terms("retail", burn="0.008")


def pair(origin: str, redeemer: str, burn: str, redeem: str | None = None) -> Price:
    price = Decimal(redeem) if redeem else None
    return Price(origin, redeemer, START, burn_price=Decimal(burn), redeem_price=price)


@dataclass
class Rows:
    """One member's rows; every method writes into the window that is open."""

    engine: AsyncEngine
    ids: dict[str, int] = field(default_factory=dict)
    member: int = 0
    last_no: int = 0
    lots: dict[int, str] = field(default_factory=dict)
    burns: dict[int, tuple[str, str]] = field(default_factory=dict)

    async def start(self, *merchants: Terms, house: HouseTerms = HOUSE) -> None:
        async with self.engine.begin() as connection:
            await sync(connection, house, list(merchants), datetime(2017, 2, 1, tzinfo=UTC))
            await service.ensure_first_window(connection, house)
            self.ids = (await load_book(connection)).ids
            self.member = await connection.scalar(
                text(
                    "insert into member (enrolled_by, enrolled_at) values (0, now())"
                    " returning member_id"
                )
            )
            await connection.execute(
                text("insert into account (member_id) values (:m)"), {"m": self.member}
            )

    async def lot(
        self,
        origin: str,
        points: int,
        on: date = START,
        kind: str = "purchase",
        about: str | None = None,
    ) -> int:
        async with self.engine.begin() as connection:
            window, about_id = await self._windows(connection, about)
            number = await self._posting(connection, "earn", origin, points, window)
            await connection.execute(
                text(
                    "insert into lot (member_id, lot_no, earn_no, origin_id, kind, points,"
                    " remaining, earned_at, earned_on, window_id, about_window_id) values"
                    " (:m, :no, :no, :origin, cast(:kind as lot_kind), :points, :points, now(),"
                    " :on, :window, :about)"
                ),
                {
                    "m": self.member, "no": number, "origin": self.ids[origin], "kind": kind,
                    "points": points, "on": on, "window": window, "about": about_id,
                },
            )  # fmt: skip
        self.lots[number] = origin
        return number

    async def burn(
        self,
        redeemer: str,
        legs: dict[int, int],
        on: date = START,
        kind: str = "redemption",
        about: str | None = None,
    ) -> int:
        async with self.engine.begin() as connection:
            window, about_id = await self._windows(connection, about)
            number = await self._posting(connection, "burn", redeemer, sum(legs.values()), window)
            await connection.execute(
                text(
                    "insert into burn (member_id, burn_no, redeemer_id, kind, points, status,"
                    " occurred_on, window_id) values (:m, :no, :redeemer, cast(:kind as burn_kind),"
                    " :points, 'posted', :on, :window)"
                ),
                {
                    "m": self.member, "no": number, "redeemer": self.ids[redeemer], "kind": kind,
                    "points": sum(legs.values()), "on": on, "window": window,
                },
            )  # fmt: skip
            self.burns[number] = (redeemer, kind)
            await self._legs(connection, number, number, legs, on, window, about_id)
        return number

    async def give_back(
        self, burn_no: int, legs: dict[int, int], on: date = START, about: str | None = None
    ) -> None:
        async with self.engine.begin() as connection:
            window, about_id = await self._windows(connection, about)
            redeemer, _ = self.burns[burn_no]
            number = await self._posting(
                connection, "reverse_burn", redeemer, sum(legs.values()), window
            )
            back = {lot: -points for lot, points in legs.items()}
            await self._legs(connection, number, burn_no, back, on, window, about_id)

    async def price(
        self, origin: str, burn: str, effective_from: date, recorded_at: datetime
    ) -> None:
        """A price behind the back of the merchants' sync."""
        async with self.engine.begin() as connection:
            await connection.execute(
                text(
                    "insert into price (origin_id, effective_from, burn_price, recorded_at)"
                    " values (:origin, :day, :burn, :at)"
                ),
                {
                    "origin": self.ids[origin], "day": effective_from, "burn": Decimal(burn),
                    "at": recorded_at,
                },
            )  # fmt: skip

    async def _windows(
        self, connection: AsyncConnection, about: str | None
    ) -> tuple[int, int | None]:
        window = await connection.scalar(
            text("select window_id from settlement_window where status = 'open' for share")
        )
        about_id = await connection.scalar(
            text("select window_id from settlement_window where label = :about"), {"about": about}
        )
        return int(window), about_id

    async def _posting(
        self, connection: AsyncConnection, kind: str, merchant: str, points: int, window: int
    ) -> int:
        self.last_no += 1
        await connection.execute(
            text(
                "insert into posting (member_id, posting_no, kind, merchant_id, change,"
                " available_after, occurred_at, recorded_at, window_id) values (:m, :no,"
                " cast(:kind as posting_kind), :merchant, :points, 0, now(), now(), :window)"
            ),
            {
                "m": self.member, "no": self.last_no, "kind": kind,
                "merchant": self.ids[merchant], "points": points, "window": window,
            },
        )  # fmt: skip
        return self.last_no

    async def _legs(
        self,
        connection: AsyncConnection,
        posting_no: int,
        burn_no: int,
        legs: dict[int, int],
        on: date,
        window: int,
        about: int | None,
    ) -> None:
        redeemer, kind = self.burns[burn_no]
        for leg_no, (lot_no, points) in enumerate(legs.items()):
            await connection.execute(
                text(
                    "insert into leg (member_id, lot_no, posting_no, burn_no, origin_id,"
                    " redeemer_id, kind, points, occurred_on, window_id, about_window_id, leg_no)"
                    " values (:m, :lot, :no, :burn, :origin, :redeemer, cast(:kind as"
                    " burn_kind), :points, :on, :window, :about, :leg)"
                ),
                {
                    "m": self.member, "lot": lot_no, "leg": leg_no, "no": posting_no,
                    "burn": burn_no, "origin": self.ids[self.lots[lot_no]],
                    "redeemer": self.ids[redeemer],
                    "kind": kind, "points": points, "on": on, "window": window,
                    "about": about,
                },
            )  # fmt: skip


def lines(result: Result) -> set[tuple[str, str, str, int, int, str | None]]:
    """The path lines of a result, without issue: origin, redeemer, kind, points, amount, about."""
    return {
        (line.origin, line.redeemer, line.kind, line.quantity, line.amount, line.about)
        for line in result.paths
        if line.kind != "issue"
    }


def nets(result: Result) -> dict[str, int]:
    return {line.party: line.net for line in result.positions}
