"""The read side: how many are gone, what a member could pay with, a voucher and its history.

One statement a view, no locks; who may see what is the API's to say.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.rewards.voucher import EventKind, RewardKey, VoucherState, burn_status_at, state_of
from coalition.terms.rewards import ANY, Alternative

_SOLD = text("select merchant_id, reward, sold from reward_count")
_BALANCE = text("""
    select l.origin_id, sum(l.remaining)::bigint as points
    from card c left join lot l on l.member_id = c.member_id and l.is_open
        and (l.expires_on is null or l.expires_on >= :today)
    where c.card_number = :card group by 1
""")
_VOUCHER = text("""
    select v.member_id, v.voucher_no, v.burn_no, b.redeemer_id as merchant_id, b.reward,
           p.card_number as card, v.status, v.value, v.remaining, v.part_use, v.expires_on,
           b.status::text as burn_status, b.hold_expires_at, b.on_lapse, p.recorded_at as issued_at,
           e.kind, e.amount, m.recorded_at as at
    from voucher_code c
    join voucher v on v.member_id = c.member_id and v.voucher_no = c.voucher_no
    join burn b on b.member_id = v.member_id and b.burn_no = v.burn_no
    join posting p on p.member_id = v.member_id and p.posting_no = v.burn_no
    left join voucher_event e on e.member_id = v.member_id and e.voucher_no = v.voucher_no
    left join posting m on m.member_id = e.member_id and m.posting_no = e.posting_no
    where c.digest = any(:digests)
    order by e.posting_no
""")


@dataclass(frozen=True, slots=True)
class EventLine:
    kind: EventKind
    at: datetime
    amount: int | None


@dataclass(frozen=True, slots=True)
class VoucherView:
    """A voucher as it is kept. Amounts are in minor units of the merchant's currency."""

    member_id: int
    voucher_no: int
    burn_no: int
    merchant_id: int
    reward: str
    card: int | None
    status: str
    value: int | None
    remaining: int | None
    part_use: bool
    expires_on: date | None
    burn_status: str
    hold_expires_at: datetime | None
    on_lapse: str | None
    issued_at: datetime
    history: tuple[EventLine, ...]

    def state(self, now: datetime, today: date) -> VoucherState:
        """Its state at `now`, which is the day `today` at its merchant."""
        burn = burn_status_at(self.burn_status, self.hold_expires_at, self.on_lapse, now)
        return state_of(self.status, self.expires_on, burn, today)


async def sold(connection: AsyncConnection) -> dict[RewardKey, int]:
    """How many pieces of each reward are gone."""
    rows = await connection.execute(_SOLD)
    return {(row.merchant_id, row.reward): row.sold for row in rows}


async def balance(connection: AsyncConnection, card: int, today: date) -> dict[int, int] | None:
    """The points of each origin that the card's member could burn; None: there is no such card."""
    rows = (await connection.execute(_BALANCE, {"card": card, "today": today})).all()
    if not rows:
        return None
    return {row.origin_id: row.points for row in rows if row.origin_id is not None}


def is_affordable(one: Alternative, quantity: int, has: dict[str, int]) -> bool:
    """Whether these points of each merchant's pay for so many pieces."""
    if one.mix[0][0] == ANY:
        return sum(has.values()) >= one.points * quantity
    return all(has.get(code, 0) >= points * quantity for code, points in one.mix)


async def voucher(connection: AsyncConnection, digests: list[bytes]) -> VoucherView | None:
    """The voucher whose code has one of these keyed hashes."""
    rows: Any = (await connection.execute(_VOUCHER, {"digests": digests})).all()
    if not rows:
        return None
    fields = {name: getattr(rows[0], name) for name in VoucherView.__slots__ if name != "history"}
    history = tuple(EventLine(r.kind, r.at, r.amount) for r in rows if r.kind is not None)
    return VoucherView(**fields, history=history)
