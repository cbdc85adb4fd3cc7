"""One party's statement of one window, as typed rows: what it owes and is owed, line by line.

A statement shows a party what concerns it and nothing else: its own positions, the lines in which
it pays or is paid, and its own row and column of the matrix. What others do among themselves stays
hidden, the price another party pays for the same points included; the house sees all. Turning the
rows into files is documents/.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from settlement.netting import THROUGH
from settlement.obligation import CLAWBACK, HOUSE, REDEEM, Obligation, PathLine, Position, Result
from settlement.rounding import Rounding, roundings
from settlement.window import Window

# The number of the format that the statements of a window netted now are issued in, for ever after.
STATEMENT_FORMAT = 3
YOU_OWE = "you owe"
OWED_TO_YOU = "owed to you"
NOTHING_OWED = "nothing owed"
# Of a line that says what is in the amounts of others already.
INCLUDED = "included"
PASSED = "passed through"
GIVEN_BACK = "given back"
# Windows netted by an earlier rule were never rounded side by side, and their bytes stay.
_ROUNDS_EACH_SIDE_FROM = 2


class SummaryRow(NamedTuple):
    """A party's position in one currency, in minor units."""

    currency: str
    opening: int
    receivable: int
    payable: int
    net: int
    instructed: int
    closing: int


class LineRow(NamedTuple):
    """What one path, kind and price came to for a party: quantity x price = amount (minor units).

    quantity and price are None for a net that is passed through, and for what rounding left with
    the house, which is in the amounts of that path's lines already.
    """

    path: str
    kind: str
    origin: str
    redeemer: str
    quantity: int | None
    price: Decimal | None
    amount: int
    currency: str
    direction: str


class CorrectionRow(NamedTuple):
    """A line that belongs to the earlier window named: given back, taken back, or come late."""

    window: str
    what: str
    path: str
    kind: str
    origin: str
    redeemer: str
    quantity: int | None
    price: Decimal | None
    amount: int
    currency: str
    direction: str


class MatrixRow(NamedTuple):
    """What was redeemed of one origin at one redeemer, and what that comes to for the party."""

    origin: str
    redeemer: str
    quantity: int
    you_owe: int
    owed_to_you: int
    currency: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A window's statement for one party.

    Per currency the amounts of one direction in `lines` and `corrections` add up to the receivable
    or the payable in `summary`.
    """

    window: Window
    party: str
    name: str
    summary: tuple[SummaryRow, ...]
    lines: tuple[LineRow, ...]
    corrections: tuple[CorrectionRow, ...]
    matrix: tuple[MatrixRow, ...]


def build(result: Result, window: Window, party: str, name: str) -> Statement:
    """The statement of `party` (a code; name is what it is called on paper) for a netted window."""
    lines = list(_lines(result, party))
    if party == HOUSE and (window.rule_version or 0) >= _ROUNDS_EACH_SIDE_FROM:
        lines += map(_rounding_line, roundings(result))
    return Statement(
        window=window,
        party=party,
        name=name,
        summary=tuple(_summary(result.positions, party)),
        lines=tuple(line for about, line in lines if about is None),
        corrections=tuple(CorrectionRow._make((*about, *line)) for about, line in lines if about),
        matrix=tuple(_matrix(result, party)),
    )


_About = tuple[str, str]


def _summary(positions: Iterable[Position], party: str) -> Iterator[SummaryRow]:
    for at in positions:
        if at.party == party:
            yield SummaryRow(
                at.currency, at.opening, at.receivable, at.payable, at.net, at.instructed,
                at.closing,
            )  # fmt: skip


def _lines(result: Result, party: str) -> Iterator[tuple[_About | None, LineRow]]:
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
    return "taken back" if path.kind == CLAWBACK else GIVEN_BACK


def _path_line(line: PathLine, due: Obligation | None, party: str) -> LineRow:
    if due is None or party not in (due.debtor, due.creditor):
        quantity, amount, direction = line.quantity, 0, NOTHING_OWED
    else:
        quantity, amount = abs(line.quantity), due.amount
        direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return LineRow(
        _seen_as(line, party), line.kind, line.origin, line.redeemer, quantity, line.price, amount,
        line.currency, direction,
    )  # fmt: skip


def _rounding_line(left: Rounding) -> tuple[_About | None, LineRow]:
    """What rounding left with the house; negative where it cost the house something."""
    what = GIVEN_BACK if left.is_given_back else "late"
    about = None if left.about is None else (left.about, what)
    return about, LineRow(
        "rounding", left.kind, left.origin, left.redeemer, None, None, left.amount, left.currency,
        INCLUDED,
    )  # fmt: skip


def _through_line(due: Obligation, party: str) -> LineRow:
    indirect = due.reason.removeprefix(THROUGH)
    parent = due.creditor if due.debtor == indirect else due.debtor
    direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return LineRow(
        PASSED, "net", indirect, parent, None, None, due.amount, due.currency, direction,
    )  # fmt: skip


def _seen_as(path: PathLine, party: str) -> str:
    if not path.is_redeemed:
        return "as issuer"
    if path.is_own:
        return "own"
    if path.origin == party:
        return "cross as origin"
    return "cross as redeemer" if path.redeemer == party else "cross"


def _matrix(result: Result, party: str) -> list[MatrixRow]:
    """Quantities redeemed by pair, and what they come to for this party, in minor units.

    All three are after corrections: one makes its pair's cell smaller.
    """
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    paths = [line for line in result.paths if line.is_redeemed and party in (line.origin, HOUSE)]
    tills = [line for line in result.tills if party in (line.redeemer, HOUSE)]
    # Both sides are of the same points, and the house sees both.
    counted = paths if party == HOUSE else [*paths, *tills]
    currency_of: dict[tuple[str, str], str] = {}
    for line in sorted(counted, key=lambda line: not line.price):
        # What costs nothing is in no currency, so it stands with the pair's other points.
        first = currency_of.setdefault((line.origin, line.redeemer), line.currency)
        currency = line.currency if line.price else first
        cells[line.origin, line.redeemer, currency][0] += line.quantity
    sides = {line.path_no: line for line in (*paths, *tills)}
    for due in result.obligations:
        if due.path_no in sides and party in (due.debtor, due.creditor):
            line = sides[due.path_no]
            sign = 1 if line.quantity > 0 else -1
            pays = (due.debtor if sign > 0 else due.creditor) == party
            cell = cells[line.origin, line.redeemer, line.currency]
            cell[1 if pays else 2] += sign * due.amount
    return [
        MatrixRow._make((origin, redeemer, *counts, currency))
        for (origin, redeemer, currency), counts in sorted(cells.items())
    ]
