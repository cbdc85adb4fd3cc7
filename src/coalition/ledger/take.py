"""Which lots a burn takes from, and in which order they are filled again. Pure functions."""

from collections.abc import Iterable, Sequence

import msgspec

from coalition.ledger.burned import Leg
from coalition.ledger.commands import Take
from coalition.ledger.state import Lot


class Short(msgspec.Struct, frozen=True):
    """Not enough points: asked of origin_id (None: of any), while so many are there."""

    origin_id: int | None
    asked: int
    there: int


Taken = list[tuple[Lot, int]]


def take_lots(lots: Sequence[Lot], points: int, take: Take, redeemer_id: int) -> Taken | Short:
    """The lots to take `points` from, with how much of each, in the order they are taken.

    `lots` are the open ones, the first to be taken first. The parts add up to `points` exactly, or
    the answer is Short and nothing is taken.
    """
    if take.order == "only":
        return _from_one(lots, points, take.only)
    if take.order == "mix":
        return _from_mix(lots, take.mix)
    if take.order == "own_first":
        own = [lot for lot in lots if lot.origin_id == redeemer_id]
        others = [lot for lot in lots if lot.origin_id != redeemer_id]
        return _first(own + others, points) or Short(None, points, _there(lots))
    return _first(lots, points) or Short(None, points, _there(lots))


def _from_one(lots: Sequence[Lot], points: int, origin_id: int | None) -> Taken | Short:
    fitting = [lot for lot in lots if lot.origin_id == origin_id]
    return _first(fitting, points) or Short(origin_id, points, _there(fitting))


def _from_mix(lots: Sequence[Lot], mix: Sequence[tuple[int, int]]) -> Taken | Short:
    # Sorted out once: a mix may name a hundred origins, and a member have thousands of lots.
    by_origin: dict[int, list[Lot]] = {origin_id: [] for origin_id, _ in mix}
    for lot in lots:
        if lot.origin_id in by_origin:
            by_origin[lot.origin_id].append(lot)
    taken: Taken = []
    for origin_id, points in mix:
        fitting = by_origin[origin_id]
        part = _first(fitting, points)
        if part is None:
            return Short(origin_id, points, _there(fitting))
        taken += part
    return taken


def _there(lots: Iterable[Lot]) -> int:
    return sum(lot.remaining for lot in lots)


def _first(lots: Iterable[Lot], points: int) -> Taken | None:
    taken: Taken = []
    for lot in lots:
        part = min(lot.remaining, points)
        if part:
            taken.append((lot, part))
            points -= part
        if not points:
            return taken
    return None


def give_back(taken: Sequence[tuple[Leg, int]], points: int) -> list[tuple[Leg, int]]:
    """Which legs give back how much of `points`: the leg taken last first.

    `taken` holds the legs in the order taken with what is left of each; together at least `points`.
    """
    returned: list[tuple[Leg, int]] = []
    for leg, left in reversed(taken):
        part = min(left, points)
        if not part:
            break
        returned.append((leg, part))
        points -= part
    assert points == 0, "no more is given back than was taken"
    return returned
