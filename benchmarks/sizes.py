"""How much is measured: the sizes of a smoke run, of the complete run, and of the large one."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows, rounds and seconds of one run.

    rows: of each night file. legs: of the window that is closed; it has a tenth as many pairs of
    merchants. members_large: of the second database that the mix is measured on again; 0: none.
    rounds: of every short measurement. seconds: of a round of load.
    """

    merchants: int
    members: int
    members_large: int
    tpcb_scale: int
    rounds: int
    seconds: int
    rows: int
    legs: int

    @property
    def closing_merchants(self) -> int:
        """So many that legs spread over legs / 10 pairs: 1,000 for ten million legs."""
        return max(2, math.isqrt(self.legs // 10))


COMPLETE = Sizes(
    merchants=200,
    members=200_000,
    members_large=0,
    tpcb_scale=20,
    rounds=3,
    seconds=10,
    rows=1_000_000,
    legs=2_000_000,
)
LARGE = replace(COMPLETE, members_large=2_000_000, legs=10_000_000)
QUICK = replace(
    COMPLETE, members=20_000, tpcb_scale=5, rounds=2, seconds=3, rows=20_000, legs=100_000
)


def sized(
    sizes: Sizes, *, members: int | None, rows: int | None, legs: int | None, rounds: int | None
) -> Sizes:
    """The sizes with those replaced that were asked for."""
    return replace(
        sizes,
        members=members or sizes.members,
        rows=rows or sizes.rows,
        legs=legs or sizes.legs,
        rounds=rounds or sizes.rounds,
    )
