"""How whole points are shared out so that the parts always add up. Pure and exact."""

from collections.abc import Sequence
from decimal import Decimal


def split(points: int, shares: Sequence[Decimal]) -> list[int]:
    """Points by shares that add up to 1: each its whole part, what is left to the largest rests.

    Of equal rests the first share gets its point first.
    """
    ratios = [share.as_integer_ratio() for share in shares]
    parts = [points * top // bottom for top, bottom in ratios]
    rests = [Decimal(points) * share - part for share, part in zip(shares, parts, strict=True)]
    by_rest = sorted(range(len(parts)), key=lambda place: (-rests[place], place))
    for place in by_rest[: points - sum(parts)]:
        parts[place] += 1
    return parts


def spread(points: int, lots: Sequence[int]) -> list[int]:
    """Points taken back, over lots that gave so many each, in the ratio of what they gave.

    By Webster's method: as if they were taken one by one, each from the lot whose half-point comes
    next, the first of equals. So one point more never takes less from any lot, whatever parts were
    taken before, and all of them take exactly what each lot gave. points: at most the lots' sum.
    """
    whole = sum(lots)
    # Lot i has its (s + 1)th point at the moment (2 s + 1) / lots[i]. Until the moment
    # (2 points - n) / whole, no more than `points` are taken, and at most n fewer.
    ahead = 2 * points - len(lots)
    parts = [max(0, (ahead * lot + whole) // (2 * whole)) for lot in lots]
    for _ in range(points - sum(parts)):
        place = 0
        for other in range(1, len(lots)):
            # (2 s + 1) / lot, compared without a fraction.
            if (2 * parts[other] + 1) * lots[place] < (2 * parts[place] + 1) * lots[other]:
                place = other
        parts[place] += 1
    return parts
