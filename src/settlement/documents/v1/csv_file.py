"""Format 1 of a statement's CSV (RFC 4180, UTF-8): the column section says which table it is.

Amounts are in major units with all digits of the currency. Text cells are made harmless to
spreadsheets; numbers are not touched.
"""

import csv
import io
from collections.abc import Iterator

from settlement.documents.text import harmless, price_text
from settlement.money import format_amount
from settlement.statement import CorrectionRow, LineRow, MatrixRow, Statement

HEAD = [
    "section", "window", "what", "path", "kind", "origin", "redeemer", "points", "price", "amount",
    "currency", "direction", "you_owe", "owed_to_you",
]  # fmt: skip
_TEXTS = ("window", "what", "path", "kind", "origin", "redeemer", "currency", "direction")
_AMOUNTS = ("amount", "you_owe", "owed_to_you")
_BALANCES = ("opening", "receivable", "payable", "net", "instructed", "closing")


def render(statement: Statement) -> bytes:
    """The whole statement as one CSV file; the same statement gives the same bytes."""
    out = io.StringIO(newline="")
    rows = csv.DictWriter(out, HEAD, restval="", lineterminator="\r\n")
    rows.writeheader()
    label = harmless(statement.window.label)
    for what in _about(statement):
        rows.writerow({"section": "statement", "window": label, "what": harmless(what)})
    rows.writerows(_summary(statement, label))
    for section, table in (
        ("line", statement.lines),
        ("correction", statement.corrections),
        ("matrix", statement.matrix),
    ):
        for row in table:
            # A correction names its own, earlier window; everything else belongs to this one.
            rows.writerow({"section": section, "window": label} | _cells(row))
    return out.getvalue().encode()


def _about(statement: Statement) -> list[str]:
    return [
        statement.party,
        statement.name,
        f"from {statement.window.opens_at.isoformat()}",
        f"to {statement.window.closes_at.isoformat()}",
    ]


def _summary(statement: Statement, label: str) -> Iterator[dict[str, str]]:
    for row in statement.summary:
        for balance in _BALANCES:
            yield {
                "section": "summary",
                "window": label,
                "what": balance,
                "amount": format_amount(getattr(row, balance), row.currency),
                "currency": row.currency,
            }


def _cells(row: LineRow | CorrectionRow | MatrixRow) -> dict[str, str]:
    values = row._asdict()
    cells = {field: harmless(values[field]) for field in _TEXTS if field in values}
    for field in _AMOUNTS:
        if field in values:
            cells[field] = format_amount(values[field], row.currency)
    if row.quantity is not None:
        cells["points"] = str(row.quantity)
    if values.get("price") is not None:
        cells["price"] = price_text(values["price"])
    return cells
