"""What a window, or a year of them, came to in a dozen figures. Pure: results in, figures out.

How they are printed is report.py; where results come from is the settlement store.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal

from settlement.obligation import HOUSE, PathLine, Result


@dataclass(frozen=True, slots=True)
class Figures:
    """Points, and money in minor units: gross is what would be paid without netting, net with it.

    taken_back are points of returned purchases. Cancelled rewards are taken off burned_own and
    burned_cross in the window that cancelled them. corrections counts lines about earlier windows.
    """

    issued: int = 0
    taken_back: int = 0
    burned_own: int = 0
    burned_cross: int = 0
    expired: int = 0
    gross: int = 0
    net: int = 0
    corrections: int = 0

    @property
    def ratio(self) -> Decimal | None:
        """How many times the money that moves the gross debts are; None where none moves."""
        return Decimal(self.gross) / Decimal(self.net) if self.net else None


def figures_of(result: Result) -> Figures:
    """What one window came to.

    The house stands between all, so money moves between it and the others only. gross counts each
    debt to or from the house; net, what each of the others pays or receives once they are set off.
    """
    paths = result.paths
    return Figures(
        issued=_points(paths, "issue"),
        taken_back=_points(paths, "clawback"),
        burned_own=_points((path for path in paths if path.is_own), "redemption"),
        burned_cross=_points((path for path in paths if not path.is_own), "redemption"),
        expired=_points(paths, "expiry"),
        # A net passed through to another party is the same money once more.
        gross=sum(due.amount for due in result.obligations if due.path_no is not None),
        net=sum(abs(position.net) for position in result.positions if position.party != HOUSE),
        corrections=sum(path.about is not None for path in paths),
    )


def add_up(windows: Iterable[Figures]) -> Figures:
    """The figures of several windows together; its net is what was paid window by window."""
    listed = list(windows)
    names = [field.name for field in fields(Figures)]
    return Figures(*(sum(getattr(one, name) for one in listed) for name in names))


def _points(paths: Iterable[PathLine], kind: str) -> int:
    return sum(path.quantity for path in paths if path.kind == kind)
