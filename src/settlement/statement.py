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
from settlement.obligation import CLAWBACK, HOUSE, Obligation, PathLine, Position, Result
from settlement.window import Window

YOU_OWE = "you owe"
OWED_TO_YOU = "owed to you"
NOTHING_OWED = "nothing owed"

# The kinds of path that end at a till: what the matrix of origins and redeemers counts.
REDEMPTIONS = frozenset({"redemption", "cash_out", "donation"})


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

    quantity and price are None for a net that is passed through; price also where it is another's
    business.
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
    owed: dict[int, list[Obligation]] = defaultdict(list)
    through: list[Obligation] = []
    for due in result.obligations:
        if party not in (due.debtor, due.creditor):
            continue
        if due.path_no is None:
            through.append(due)
        else:
            owed[due.path_no].append(due)
    for path in result.paths:
        if not _concerns(path, party, owed):
            continue
        about = None
        if path.about is not None:
            about = (path.about, _about_word(path))
        for due in owed.get(path.path_no, ()):
            yield about, _owed_line(path, due, party)
        if path.path_no not in owed:
            yield about, _free_line(path, party)
    for due in through:
        yield None, _through_line(due, party)


def _about_word(path: PathLine) -> str:
    if not path.is_correction:
        return "late"
    return "taken back" if path.kind == CLAWBACK else "given back"


def _concerns(path: PathLine, party: str, owed: Mapping[int, list[Obligation]]) -> bool:
    if party in (path.origin, HOUSE) or path.path_no in owed:
        return True
    return party == path.redeemer and path.kind in REDEMPTIONS


def _owed_line(path: PathLine, due: Obligation, party: str) -> LineRow:
    direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return LineRow(
        _seen_as(path, party), path.kind, path.origin, path.redeemer, due.quantity, due.unit_price,
        due.amount, due.currency, direction,
    )  # fmt: skip


def _free_line(path: PathLine, party: str) -> LineRow:
    # The path's price is what the origin pays, which is no business of a redeemer's.
    price = path.price if party in (path.origin, HOUSE) else None
    return LineRow(
        _seen_as(path, party), path.kind, path.origin, path.redeemer, path.quantity, price, 0,
        path.currency, NOTHING_OWED,
    )  # fmt: skip


def _through_line(due: Obligation, party: str) -> LineRow:
    indirect = due.reason.removeprefix(THROUGH)
    parent = due.creditor if due.debtor == indirect else due.debtor
    direction = YOU_OWE if due.debtor == party else OWED_TO_YOU
    return LineRow(
        "passed through", "net", indirect, parent, None, None, due.amount, due.currency, direction,
    )  # fmt: skip


def _seen_as(path: PathLine, party: str) -> str:
    if path.kind not in REDEMPTIONS:
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
    paths = {
        path.path_no: path
        for path in result.paths
        if path.kind in REDEMPTIONS and party in (path.origin, path.redeemer, HOUSE)
    }
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    currency_of = {number: path.currency for number, path in paths.items()}
    for due in result.obligations:
        if due.path_no not in paths or party not in (due.debtor, due.creditor):
            continue
        path = paths[due.path_no]
        if party == path.redeemer:
            # Two merchants' currencies may differ: the redeemer reads its own.
            currency_of[path.path_no] = due.currency
        sign = 1 if path.quantity > 0 else -1
        pays = (due.debtor if sign > 0 else due.creditor) == party
        cells[path.origin, path.redeemer, due.currency][1 if pays else 2] += sign * due.amount
    for number, path in paths.items():
        cells[path.origin, path.redeemer, currency_of[number]][0] += path.quantity
    return [
        MatrixRow._make((origin, redeemer, *counts, currency))
        for (origin, redeemer, currency), counts in sorted(cells.items())
    ]
