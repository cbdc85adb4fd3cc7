"""A goal is met by the ratio of the medians, and by nothing that was not measured."""

import math

import pytest
from benchmarks.figures import Goal, Row, Series, series_of, undecided, unmet
from benchmarks.sizes import COMPLETE, LARGE, sized

AT_LEAST, AT_MOST = Goal("at least", 1.5), Goal("at most", 2)


def row(figure: float | None, reference: float | None, goal: Goal | None) -> Row:
    one, other = (None if value is None else Series((value,)) for value in (figure, reference))
    return Row("a row", "/s", one, other, "reference", goal)


@pytest.mark.parametrize(
    ("figure", "reference", "goal", "is_met"),
    [
        (150, 100, AT_LEAST, True),
        (149, 100, AT_LEAST, False),
        (200, 100, AT_MOST, True),
        (201, 100, AT_MOST, False),
        (2, None, AT_MOST, True),
        (3, None, AT_MOST, False),
        (150, 0, AT_LEAST, False),
        (1, 0, AT_MOST, False),
        (None, 100, AT_LEAST, None),
        (150, 100, None, None),
    ],
)
def test_a_goal_bounds_the_ratio_or_the_figure_where_there_is_no_reference(
    figure: float | None, reference: float | None, goal: Goal | None, is_met: bool | None
) -> None:
    assert row(figure, reference, goal).is_met is is_met


def test_the_ratio_is_that_of_the_medians_so_that_one_odd_round_decides_nothing() -> None:
    odd = Row("a row", "/s", Series((300, 1, 310)), Series((100, 100, 9_000)), "reference")
    assert odd.ratio == 3


def test_a_reference_of_nothing_gives_no_ratio() -> None:
    assert math.isnan(row(1, 0, None).ratio or 0)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    missed, absent, met = row(1, 1, AT_LEAST), row(None, 1, AT_LEAST), row(2, 1, AT_LEAST)
    rows = [missed, absent, met, row(None, None, None)]
    assert unmet(rows) == [missed]
    assert undecided(rows) == [absent]


def test_no_rounds_are_no_series() -> None:
    assert series_of([]) is None


def test_ten_million_legs_are_of_a_thousand_merchants() -> None:
    assert LARGE.closing_merchants == 1_000


def test_only_the_sizes_that_are_asked_for_change() -> None:
    changed = sized(COMPLETE, members=None, rows=5_000, legs=None, rounds=None)
    assert (changed.rows, changed.members) == (5_000, COMPLETE.members)
