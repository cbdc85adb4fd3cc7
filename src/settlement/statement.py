"""One party's statement of one window, as tables: what it owes and is owed, line by line.

A statement shows a party what concerns it and nothing else: its own positions, the lines in which
it pays or is paid, and its own row and column of the matrix. What others do among themselves stays
hidden, the price another party pays for the same points included; the house sees all. Turning the
tables into files is documents/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from settlement.netting import THROUGH
from settlement.obligation import CLAWBACK, HOUSE, REDEEM, Obligation, PathLine, Position, Result
from settlement.window import Window

if TYPE_CHECKING:
    import pandas as pd

YOU_OWE = "you owe"
OWED_TO_YOU = "owed to you"
NOTHING_OWED = "nothing owed"

_SUMMARY = ["currency", "opening", "receivable", "payable", "net", "instructed", "closing"]
_LINE = [
    "path", "kind", "origin", "redeemer", "quantity", "price", "amount", "currency", "direction",
]  # fmt: skip
_CORRECTION = ["window", "what", *_LINE]
_MATRIX = ["origin", "redeemer", "quantity", "you_owe", "owed_to_you", "currency"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A window's statement for one party. Amounts in the tables are minor units of `currency`.

    In `lines` and `corrections` quantity x price = amount, and per currency the amounts of one
    direction add up to the receivable or the payable in `summary`. corrections holds what belongs
    to an earlier window, named in its column window: given back, taken back, or come late.
    """

    window: Window
    party: str
    name: str
    summary: pd.DataFrame
    lines: pd.DataFrame
    corrections: pd.DataFrame
    matrix: pd.DataFrame


def build(result: Result, window: Window, party: str, name: str) -> Statement:
    """The statement of `party` (a code; name is what it is called on paper) for a netted window."""
    # Imported here, because pandas takes 60 MB and a server that prints no statement needs none.
    import pandas as pd

    lines = list(_lines(result, party))
    return Statement(
        window=window,
        party=party,
        name=name,
        summary=pd.DataFrame(_summary(result.positions, party), columns=_SUMMARY, dtype=object),
        lines=pd.DataFrame(
            [line for about, line in lines if about is None], columns=_LINE, dtype=object
        ),
        corrections=pd.DataFrame(
            [(*about, *line) for about, line in lines if about is not None],
            columns=_CORRECTION,
            dtype=object,
        ),
        matrix=pd.DataFrame(_matrix(result, party), columns=_MATRIX, dtype=object),
    )


Line = tuple[str, str, str, str, int | None, Decimal | None, int, str, str]
About = tuple[str, str]


def _summary(positions: Iterable[Position], party: str) -> list[tuple[str | int, ...]]:
    return [
        (at.currency, at.opening, at.receivable, at.payable, at.net, at.instructed, at.closing)
        for at in positions
        if at.party == party
    ]


def _lines(result: Result, party: str) -> Iterator[tuple[About | None, Line]]:
    """Every line the party may see: those that owe something, own ones, and nets passed through."""
    owed: dict[int, Obligation] = {}
    through: list[Obligation] = []
    for due in result.obligations:
        if due.path_no is not None:
            owed[due.path_no] = due
        elif party in (due.debtor, due.creditor):
            through.append(due)
    shown = [line for line in (*result.paths, *result.tills) if _concerns(line, party, owed)]
    if party == HOUSE:
        shown = _without_idle(shown, owed)
    for line in sorted(shown, key=lambda line: line.path_no):
        about = None if line.about is None else (line.about, _about_word(line))
        yield about, _path_line(line, owed.get(line.path_no), party)
    for due in through:
        yield None, _through_line(due, party)


def _concerns(line: PathLine, party: str, owed: Mapping[int, Obligation]) -> bool:
    due = owed.get(line.path_no)
    if due is not None and party in (due.debtor, due.creditor):
        return True
    # What the origin pays is no business of a redeemer's, nor the other way round.
    return party == line.redeemer if line.reason == REDEEM else party in (line.origin, HOUSE)


def _without_idle(lines: Iterable[PathLine], owed: Mapping[int, Obligation]) -> list[PathLine]:
    """The house's lines without those of 0 beside one of the same path that owes something."""
    listed = list(lines)
    busy = {_whole_path(line) for line in listed if line.path_no in owed}
    return [line for line in listed if line.path_no in owed or _whole_path(line) not in busy]


def _whole_path(line: PathLine) -> tuple[str, str, str, str | None, bool]:
    return line.origin, line.redeemer, line.kind, line.about, line.quantity < 0


def _about_word(path: PathLine) -> str:
    if not path.is_correction:
        return "late"
    return "taken back" if path.kind == CLAWBACK else "given back"


def _path_line(line: PathLine, due: Obligation | None, party: str) -> Line:
    if due is None or party not in (due.debtor, due.creditor):
        quantity, amount, direction = line.quantity, 0, NOTHING_OWED
    else:
        quantity, amount = abs(line.quantity), due.amount
        direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return (
        _seen_as(line, party), line.kind, line.origin, line.redeemer, quantity, line.price, amount,
        line.currency, direction,
    )  # fmt: skip


def _through_line(due: Obligation, party: str) -> Line:
    indirect = due.reason.removeprefix(THROUGH)
    parent = due.creditor if due.debtor == indirect else due.debtor
    direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return (
        "passed through", "net", indirect, parent, None, None, due.amount, due.currency, direction,
    )  # fmt: skip


def _seen_as(path: PathLine, party: str) -> str:
    if not path.is_redeemed:
        return "as issuer"
    if path.is_own:
        return "own"
    if path.origin == party:
        return "cross as origin"
    return "cross as redeemer" if path.redeemer == party else "cross"


def _matrix(result: Result, party: str) -> list[tuple[str | int, ...]]:
    """Quantities redeemed by pair, and what they come to for this party, in minor units.

    All three are after corrections: one makes its pair's cell smaller.
    """
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    paths = [line for line in result.paths if line.is_redeemed and party in (line.origin, HOUSE)]
    tills = [line for line in result.tills if party in (line.redeemer, HOUSE)]
    # Both sides are of the same points, and the house sees both.
    for line in paths if party == HOUSE else (*paths, *tills):
        cells[line.origin, line.redeemer, line.currency][0] += line.quantity
    sides = {line.path_no: line for line in (*paths, *tills)}
    for due in result.obligations:
        if due.path_no in sides and party in (due.debtor, due.creditor):
            line = sides[due.path_no]
            sign = 1 if line.quantity > 0 else -1
            pays = (due.debtor if sign > 0 else due.creditor) == party
            cell = cells[line.origin, line.redeemer, line.currency]
            cell[1 if pays else 2] += sign * due.amount
    return [
        (origin, redeemer, *counts, currency)
        for (origin, redeemer, currency), counts in sorted(cells.items())
    ]
