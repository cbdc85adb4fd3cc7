"""How points are shared out: what a rule gives among who pays, what a return takes among lots."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.earning.shares import split, spread


@pytest.mark.parametrize(
    ("points", "shares", "parts"),
    [
        (100, ["0.5", "0.5"], [50, 50]),
        (101, ["0.5", "0.5"], [51, 50]),  # of equal rests the first
        (10, ["0.25", "0.75"], [3, 7]),  # 2.5 and 7.5
        (1, ["0.2", "0.3", "0.5"], [0, 0, 1]),
        (100, ["0.333333", "0.333333", "0.333334"], [33, 33, 34]),
        (7, ["1"], [7]),
    ],
)
def test_what_is_left_over_goes_to_the_largest_rests(
    points: int, shares: list[str], parts: list[int]
) -> None:
    assert split(points, [Decimal(share) for share in shares]) == parts


@given(st.integers(0, 10**12), st.lists(st.integers(1, 1_000_000), min_size=1, max_size=8))
def test_shares_add_up_and_none_is_a_point_off(points: int, weights: list[int]) -> None:
    # Shares that add up to 1 exactly, with six digits: what is missing is the last one's.
    shares = [Decimal(weight * 1_000_000 // sum(weights)) / 1_000_000 for weight in weights]
    shares[-1] += 1 - sum(shares)
    parts = split(points, shares)
    assert sum(parts) == points
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - Fraction(points) * Fraction(share)) < 1


lots = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@given(lots, st.data())
def test_all_points_back_take_exactly_what_each_lot_gave(
    gave: list[int], data: st.DataObject
) -> None:
    points = data.draw(st.integers(0, sum(gave)))
    parts = spread(points, gave)
    assert sum(parts) == points
    assert all(0 <= part <= lot for part, lot in zip(parts, gave, strict=True))
    assert spread(sum(gave), gave) == gave


@given(lots)
def test_one_point_more_never_takes_less_of_a_lot(gave: list[int]) -> None:
    steps = [spread(points, gave) for points in range(sum(gave) + 1)]
    for before, after in pairwise(steps):
        assert all(one <= other for one, other in zip(before, after, strict=True))


@given(lots, st.data())
def test_points_are_taken_as_if_one_by_one_from_the_lot_whose_half_comes_next(
    gave: list[int], data: st.DataObject
) -> None:
    points = data.draw(st.integers(0, sum(gave)))
    slow = [0] * len(gave)
    for _ in range(points):
        due = [Fraction(2 * part + 1, lot) for part, lot in zip(slow, gave, strict=True)]
        slow[due.index(min(due))] += 1
    assert spread(points, gave) == slow


def test_a_return_of_millions_is_spread_at_once() -> None:
    assert spread(10**12, [10**12, 2 * 10**12]) == [333_333_333_333, 666_666_666_667]
