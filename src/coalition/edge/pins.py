"""Members' PINs at the door: compared before a movement is posted, set, and reset by the house.

Comparing takes a tenth of a second and 19 MiB. So it is done by threads of its own, a few at once,
outside any database transaction; the ledger is told what was found and nothing more.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.audit.actor import NOT_KNOWN, Actor
from coalition.audit.store import last_four, record
from coalition.edge.access import Caller
from coalition.edge.problems import RetryLaterError
from coalition.errors import CoalitionError, Code
from coalition.ledger.commands import PinCheck, Request
from coalition.ledger.decide import card_not_active, unknown_card
from coalition.ledger.limits import PIN_WORDS
from coalition.members import pin_store
from coalition.members.pin import hash_pin, is_pin
from coalition.members.pin_store import KeptPin, PinHolder
from coalition.terms.standing import check_not_suspended

# A thread each would take the processor from the tills; those that wait take a second at most.
_AT_ONCE = 2
_WAITING_MAX = 32

T = TypeVar("T")


class Pins:
    """The PINs that one process compares. What several must agree on is in the database."""

    def __init__(self, engine: AsyncEngine, pepper: bytes) -> None:
        self._engine = engine
        self._pepper = pepper
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pin")
        self._under_way = 0

    async def check(self, card: int, pin: str, asked: Request) -> PinCheck:
        """What the ledger is to know of a PIN that came with a movement of this card's points.

        A request that was posted before is not asked for its PIN again: absent. Raises busy where
        too many are being compared.
        """
        async with self._engine.connect() as connection:
            kept = await pin_store.find_asked(connection, card, asked.request_id, asked.body_hash)
        if kept is None:
            return "absent"
        return await self._compare(kept, pin, asked.now)

    async def change(
        self,
        caller: Caller,
        card: int,
        pin: str,
        old_pin: str | None,
        now: datetime,
        *,
        actor: Actor = NOT_KNOWN,
    ) -> None:
        """Set the PIN of the card's member. The audit says that, and nothing of a PIN.

        The first is set by whoever enrolled the member, or by the house; another by any merchant
        that enrolled or served the member, with the one before; and the house resets any.
        Raises unknown_card, card_not_active, pin_required, merchant_suspended, busy.
        """
        async with self._engine.connect() as connection:
            holder = await pin_store.find_holder(connection, card, caller.merchant_id)
        if holder is None or not (caller.is_house or holder.is_known):
            # What belongs to others is answered as if it did not exist.
            raise CoalitionError(Code.UNKNOWN_CARD, unknown_card(card).detail)
        if holder.card_status != "active":
            raise CoalitionError(
                Code.CARD_NOT_ACTIVE, card_not_active(card, holder.card_status).detail
            )
        await self._check_may_set(caller, holder, old_pin, now)
        member_id, pepper = holder.pin.member_id, self._pepper
        new_hash = await self._apart(lambda: hash_pin(pepper, member_id, pin))
        async with self._engine.begin() as connection:
            if not await pin_store.store_pin(connection, holder.pin, new_hash, now):
                raise _pin_required("The PIN was set by somebody else meanwhile.")
            await check_not_suspended(connection, caller.merchant_id)
            # Without the one before, only the house puts another in its place.
            is_reset = holder.pin.hash is not None and old_pin is None
            action = "pin.reset" if is_reset else "pin.set"
            await record(connection, actor, now, action, last_four(card), member_id=member_id)

    async def _check_may_set(
        self, caller: Caller, holder: PinHolder, old_pin: str | None, now: datetime
    ) -> None:
        if holder.pin.hash is None:
            if not caller.is_house and caller.merchant_id != holder.enrolled_by:
                # Else one earn would make a thief somebody who served the member.
                raise _pin_required(
                    "The member has no PIN yet: the first is set by the merchant that enrolled "
                    "the member, or by the house."
                )
        elif old_pin is not None:
            found = await self._compare(holder.pin, old_pin, now)
            if found != "right":
                raise _pin_required(f"old_pin: {PIN_WORDS[found]}")
        elif not caller.is_house:
            raise _pin_required("The member has a PIN: send it as old_pin, or ask the house.")

    async def _compare(self, kept: KeptPin, pin: str, now: datetime) -> PinCheck:
        stored = kept.hash
        if stored is None:
            return "unset"
        self._check_crowd()
        async with self._engine.begin() as connection:
            if not await pin_store.count_attempt(connection, kept, now):
                return "locked"
        pepper, member_id = self._pepper, kept.member_id
        if not await self._apart(lambda: is_pin(pepper, member_id, pin, stored)):
            return "wrong"
        async with self._engine.begin() as connection:
            await pin_store.forgive(connection, kept)
        return "right"

    def _check_crowd(self) -> None:
        if self._under_way >= _AT_ONCE + _WAITING_MAX:
            raise RetryLaterError(Code.BUSY, "too many PINs are being compared; try again", 1)

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do work of the processor's in a thread. Raises busy where too much waits for one."""
        self._check_crowd()
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def _pin_required(detail: str) -> CoalitionError:
    return CoalitionError(Code.PIN_REQUIRED, detail)
