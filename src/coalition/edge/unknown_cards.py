"""A key that asked for many cards that there are none of waits before it asks for a stranger's.

Before the card is looked at, and so whether there is such a card or not. Those whose member the
merchant enrolled or served pass: a shop's own customers never wait for what somebody guessed with
its key. How many are too many, and for how long, is keys/guessing.py.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coalition.edge.access import Caller
from coalition.edge.problems import RetryLaterError
from coalition.edge.services import Services
from coalition.errors import CoalitionError, Code
from coalition.keys.guessing import FREE_AN_HOUR
from coalition.members.cards import is_familiar

# A refusal goes out so long after the look-up began, so that how long it took tells nothing.
REFUSED_AFTER_S = 0.1


@asynccontextmanager
async def asking_for(services: Services, caller: Caller, card: int) -> AsyncIterator[None]:
    """Around whatever looks a card up and raises unknown_card where there is none.

    Raises too_many_requests as check_familiar() does.
    """
    if services.guessing.wait_s(caller.key_id):
        await check_familiar(services, caller, card)
    try:
        yield
    except CoalitionError as error:
        note_unknown(services, caller, error)
        raise


def note_unknown(services: Services, caller: Caller, error: CoalitionError) -> None:
    """Count a refusal against the caller's key where it was for an unknown card."""
    if error.code is Code.UNKNOWN_CARD:
        services.guessing.note(caller.key_id)


async def check_familiar(services: Services, caller: Caller, *cards: int) -> None:
    """Raise too_many_requests for a slowed key that asks for a card it cannot know already."""
    loop = asyncio.get_running_loop()
    answer_at_s = loop.time() + REFUSED_AFTER_S
    async with services.engine.connect() as connection:
        for card in cards:
            if not await is_familiar(connection, card, caller.merchant_id):
                break
        else:
            return
    await asyncio.sleep(answer_at_s - loop.time())
    raise RetryLaterError(
        Code.TOO_MANY_REQUESTS,
        f"this key asked for more than {FREE_AN_HOUR} cards within an hour that there are none of: "
        "until it may go on, it is served with cards of members whom you enrolled or served before",
        max(1, math.ceil(services.guessing.wait_s(caller.key_id))),
    )
