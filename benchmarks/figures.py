"""What was measured, and whether it meets its goal. Pure values; report.py shows them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Series:
    """The same thing measured in several rounds, in the order they were run."""

    rounds: tuple[float, ...]

    def __post_init__(self) -> None:
        assert self.rounds, "a series has at least one round"

    @property
    def middle(self) -> float:
        return median(self.rounds)


def series_of(values: Iterable[float]) -> Series | None:
    """The values as a series; None where there are none."""
    rounds = tuple(values)
    return Series(rounds) if rounds else None


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on figure / reference, or on the figure itself where a row has no reference."""

    side: Literal["at least", "at most"]
    bound: float

    def is_met_by(self, value: float) -> bool:
        """A value that is no number (nothing was measured) meets nothing."""
        if math.isnan(value):
            return False
        return value >= self.bound if self.side == "at least" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. figure None: it was not measured, and absent says why.

    reference is what the figure is divided by, in the same unit; reference_name says what it is.
    """

    name: str
    unit: str
    figure: Series | None
    reference: Series | None = None
    reference_name: str = ""
    goal: Goal | None = None
    note: str = ""
    absent: str = "not measured"

    @property
    def ratio(self) -> float | None:
        """The medians' quotient; None without a figure or a reference."""
        if self.figure is None or self.reference is None:
            return None
        return self.figure.middle / self.reference.middle if self.reference.middle else math.nan

    @property
    def is_met(self) -> bool | None:
        """None where there is no goal, or nothing to hold against it."""
        if self.goal is None or self.figure is None:
            return None
        return self.goal.is_met_by(self.figure.middle if self.ratio is None else self.ratio)


def unmet(rows: Iterable[Row]) -> list[Row]:
    """The rows whose goal was not reached."""
    return [row for row in rows if row.is_met is False]


def undecided(rows: Iterable[Row]) -> list[Row]:
    """The rows that have a goal and no figure."""
    return [row for row in rows if row.goal is not None and row.figure is None]
