"""Turns on the event loop: work over what somebody sent gives way to the tills by the clock.

How long a row takes is its sender's choice: one may be ten bytes and the next 64 KiB. So it is time
that is counted, and never rows.
"""

import asyncio
import time

# Short beside what a till waits for its commit, long beside what giving way costs.
TURN_S = 0.004


def monotonic_s() -> float:
    return time.monotonic()


class Turn:
    """One piece of work's time on the loop. Ask is_over after each step, and then give_way()."""

    def __init__(self) -> None:
        self._until_s = monotonic_s() + TURN_S

    @property
    def is_over(self) -> bool:
        return monotonic_s() >= self._until_s

    async def give_way(self) -> None:
        """Let whatever else is ready run, and begin the next turn."""
        await asyncio.sleep(0)
        self._until_s = monotonic_s() + TURN_S
