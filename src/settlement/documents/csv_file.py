"""A statement as one flat CSV file (RFC 4180, UTF-8) that can be filtered and summed as it stands.

Every column has one meaning, in whichever row, and is empty where a row has no such thing. Every
sign has one meaning: money is positive where it is owed to the party and negative where the party
owes it, and points are negative where they were given back. Amounts are in major units with all
digits of the currency, so that the sum of any column over the rows of one currency is right: no
figure stands twice in a column. Text cells are made harmless to spreadsheets. docs/statements.md
says what each column is.
"""

import csv
import io
from collections.abc import Iterator

from settlement.documents.text import harmless, price_text
from settlement.money import format_amount
from settlement.statement import (
    GIVEN_BACK,
    INCLUDED,
    PASSED,
    YOU_OWE,
    CorrectionRow,
    LineRow,
    MatrixRow,
    Statement,
    SummaryRow,
)

_EVERY_ROW = ("section", "window", "opens_at", "closes_at", "party", "party_name", "currency")
_BALANCE = ("opening_balance", "owed_to_you", "you_owe", "net", "payment_now", "carried_forward")
_LINE = (
    "belongs_to", "correction", "path", "kind", "origin", "redeemer", "points", "price", "amount",
    "rounding", "indirect_party", "settles_through",
)  # fmt: skip
_PAIR = ("origin", "redeemer", "pair_points", "pair_owed_to_you", "pair_you_owe")
# At the end, so that what reads columns by their place finds the others where they were.
HEAD = (*_EVERY_ROW, *_BALANCE, *_LINE, *_PAIR[2:], "window_digest")

Cells = dict[str, str]


def render(statement: Statement) -> bytes:
    """The whole statement as one CSV file; the same statement gives the same bytes."""
    out = io.StringIO(newline="")
    rows = csv.DictWriter(out, HEAD, restval="", lineterminator="\r\n")
    rows.writeheader()
    opens_at, closes_at = statement.window.local_span
    every_row = {
        "window": harmless(statement.window.label),
        "opens_at": opens_at.isoformat(),
        "closes_at": closes_at.isoformat(),
        "party": harmless(statement.party),
        "party_name": harmless(statement.name),
    }
    rows.writerows(every_row | cells for cells in _sections(statement))
    return out.getvalue().encode()


def _sections(statement: Statement) -> Iterator[Cells]:
    label = harmless(statement.window.label)
    # So that the file of a party without any movement says whose it is.
    yield {"section": "statement", "window_digest": statement.window.digest_text}
    for balance in statement.summary:
        yield {"section": "balance"} | _balance(balance)
    for line in statement.lines:
        yield {"section": "line", "belongs_to": label} | _line(line)
    for one in statement.corrections:
        about = {"belongs_to": harmless(one.window), "correction": harmless(one.what)}
        yield {"section": "correction"} | about | _line(one)
    for pair in statement.matrix:
        yield {"section": "pair"} | _pair(pair)


def _balance(row: SummaryRow) -> Cells:
    amounts = (row.opening, row.receivable, -row.payable, row.net, row.instructed, row.closing)
    texts = (format_amount(amount, row.currency) for amount in amounts)
    return {"currency": row.currency, **dict(zip(_BALANCE, texts, strict=True))}


def _line(row: LineRow | CorrectionRow) -> Cells:
    cells = {"currency": row.currency, "path": harmless(row.path)}
    if row.path == PASSED:
        # Nobody's points: who settles for whom.
        cells |= {"indirect_party": harmless(row.origin)}
        cells |= {"settles_through": harmless(row.redeemer)}
    else:
        cells |= {name: harmless(getattr(row, name)) for name in ("kind", "origin", "redeemer")}
    if row.direction == INCLUDED:
        # It is in the amounts of other lines, and would count twice in their column.
        return cells | {"rounding": format_amount(row.amount, row.currency)}
    amount = -row.amount if row.direction == YOU_OWE else row.amount
    cells["amount"] = format_amount(amount, row.currency)
    if row.quantity is not None:
        cells["points"] = str(_signed(row, row.quantity))
    if row.price is not None:
        cells["price"] = price_text(row.price)
    return cells


def _signed(row: LineRow | CorrectionRow, quantity: int) -> int:
    """The points of a line, negative where they were given back, whoever owes whom for them."""
    is_given_back = isinstance(row, CorrectionRow) and row.what == GIVEN_BACK
    return -abs(quantity) if is_given_back else quantity


def _pair(row: MatrixRow) -> Cells:
    texts = (
        harmless(row.origin),
        harmless(row.redeemer),
        str(row.quantity),
        format_amount(row.owed_to_you, row.currency),
        format_amount(-row.you_owe, row.currency),
    )
    return {"currency": row.currency, **dict(zip(_PAIR, texts, strict=True))}
