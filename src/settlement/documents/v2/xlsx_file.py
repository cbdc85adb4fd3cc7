"""Format 2 of a statement's XLSX: a workbook that can be checked by hand.

Amounts are shown in major units with the currency's digits; the sums below the lines are formulas
over them, so that a changed cell shows. A heading stands over its column's numbers, and a column is
as wide as what is in it. Fixed dates in the file keep the bytes the same.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from settlement.documents.text import price_text
from settlement.money import format_amount, minor_digits
from settlement.statement import (
    OWED_TO_YOU,
    YOU_OWE,
    CorrectionRow,
    LineRow,
    MatrixRow,
    Statement,
    SummaryRow,
)

# A workbook keeps numbers as doubles; what needs more digits than those hold is written as text.
_EXACT_MAX = 10**15
# Such a cell says so itself, since a sum that somebody builds over it would leave it out.
_TOO_LONG = "(as text: more digits than a spreadsheet adds up)"

_LINE_HEADS = {
    "path": "Path", "kind": "Kind", "origin": "Points of",
    "redeemer": "Used at", "quantity": "Points", "price": "Price a point",
    "amount": "Amount", "currency": "Currency", "direction": "Direction",
}  # fmt: skip
_CORRECTION_HEADS = {"window": "Belongs to", "what": "What", **_LINE_HEADS}
_SUMMARY_HEADS = {
    "currency": "Currency", "opening": "Opening balance",
    "receivable": "Owed to you", "payable": "You owe", "net": "Net",
    "instructed": "Payment now", "closing": "Carried forward",
}  # fmt: skip
_MATRIX_HEADS = {
    "origin": "Points of", "redeemer": "Used at", "quantity": "Points",
    "you_owe": "You owe", "owed_to_you": "Owed to you", "currency": "Currency",
}  # fmt: skip
_AMOUNTS = frozenset(
    {"amount", "opening", "receivable", "payable", "net", "instructed", "closing", "you_owe",
     "owed_to_you"}
)  # fmt: skip
_NUMBERS = _AMOUNTS | {"quantity", "price"}
_NOTES = (
    "Balances: a positive one is owed to you, a negative one is owed by you.",
    "Net = owed to you - you owe. Carried forward = opening balance + net - payment now.",
    "Amount = points x price a point, rounded once to the smallest coin, a half to the even one.",
    "What is owed to you (or you owe) is the sum of the sheets Lines and Corrections.",
)

_POINTS_FORMAT = "#,##0"
_PRICE_FORMAT = "0.00####"
_RIGHT = {"align": "right"}
_BOLD = {"bold": True}
# So that a currency does not stick to the amount before it.
_APART = {"indent": 1}
# In characters. A longer cell is cut off in print, and can be read by widening its column.
_WIDTH_MIN, _WIDTH_MAX = 10, 72
# The first column holds what the sums below are of, too.
_FIRST_WIDTH_MIN = 18
# Beside a column's longest text: padding, an indent, and bold heads are wider.
_WIDTH_AROUND = 3

Heads = dict[str, str]
Row = SummaryRow | LineRow | CorrectionRow | MatrixRow


@dataclass(frozen=True, slots=True)
class _Pen:
    """A sheet to write on, and the cell formats made for its workbook so far."""

    workbook: Any
    sheet: Any
    formats: dict[tuple[tuple[str, Any], ...], Any]

    def format(self, **properties: Any) -> Any:
        key = tuple(properties.items())
        if key not in self.formats:
            self.formats[key] = self.workbook.add_format(properties)
        return self.formats[key]


def render(statement: Statement) -> bytes:
    """The workbook's bytes; the same statement gives the same bytes."""
    # Imported here: only whoever prints a statement needs it in memory.
    import xlsxwriter

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as workbook:
        # The day the window ended stands in for the day the file was made: bytes do not drift.
        made_at = statement.window.closes_at.replace(tzinfo=None)
        workbook.set_properties({"title": _title(statement), "created": made_at})
        formats = dict[tuple[tuple[str, Any], ...], Any]()
        sheets = [
            _Pen(workbook, workbook.add_worksheet(name), formats)
            for name in ("Summary", "Lines", "Corrections", "Matrix")
        ]
        _summary(sheets[0], statement)
        lines: tuple[tuple[_Pen, Heads, Sequence[LineRow | CorrectionRow]], ...] = (
            (sheets[1], _LINE_HEADS, statement.lines),
            (sheets[2], _CORRECTION_HEADS, statement.corrections),
        )
        for pen, heads, table in lines:
            _table(pen, 0, heads, table)
            _sums(pen, heads, table)
        _table(sheets[3], 0, _MATRIX_HEADS, statement.matrix)
        for pen in sheets:
            _print_setup(pen, statement)
    return out.getvalue()


def _title(statement: Statement) -> str:
    return f"Statement {statement.window.label}, {statement.party}"


def _summary(pen: _Pen, statement: Statement) -> None:
    opens_at, closes_at = (
        at.isoformat(sep=" ", timespec="minutes") for at in statement.window.local_span
    )
    head = (
        _title(statement),
        statement.name,
        f"From {opens_at} to {closes_at}",
    )
    for row, line in enumerate(head):
        pen.sheet.write_string(row, 0, line, pen.format(**_BOLD) if row == 0 else None)
    rows = statement.summary
    _table(pen, len(head) + 1, _SUMMARY_HEADS, rows)
    for row, note in enumerate(_NOTES, start=len(head) + len(rows) + 3):
        pen.sheet.write_string(row, 0, note)


def _table(pen: _Pen, top: int, heads: Heads, rows: Sequence[Row]) -> None:
    """Heads in row `top`, frozen, and the rows under them."""
    for column, (name, head) in enumerate(heads.items()):
        width_min = _WIDTH_MIN if column else _FIRST_WIDTH_MIN
        pen.sheet.set_column(column, column, max(width_min, _width(name, head, rows)))
        pen.sheet.write_string(top, column, head, pen.format(**_BOLD, **_place(name, column)))
    pen.sheet.freeze_panes(top + 1, 0)
    for number, row in enumerate(rows, start=top + 1):
        for column, name in enumerate(heads):
            if getattr(row, name) is not None:
                _cell(pen, number, column, name, row)


def _place(name: str, column: int) -> dict[str, Any]:
    """Where in its cell a text stands: over numbers, a little apart from them, or at the left."""
    if name in _NUMBERS:
        return _RIGHT
    return _APART if name == "currency" and column else {}


def _width(name: str, head: str, rows: Sequence[Row]) -> int:
    """As many characters as the longest cell of a column has, a sum below it included."""
    texts = [_text(name, row) for row in rows]
    if name == "amount":
        lines = [row for row in rows if isinstance(row, LineRow | CorrectionRow)]
        total = sum(line.amount for line in lines)
        texts += [_amount_text(total, line.currency) for line in lines[:1]]
    longest = max(map(len, [head, *texts]))
    return min(longest + _WIDTH_AROUND, _WIDTH_MAX)


def _text(name: str, row: Row) -> str:
    """A cell as it is shown."""
    value = getattr(row, name)
    if value is None:
        return ""
    if name in _AMOUNTS:
        return _amount_text(value, row.currency)
    if name == "price":
        return price_text(value)
    if name == "quantity":
        return f"{value:,}" if abs(value) < _EXACT_MAX else _as_text(str(value))
    return str(value)


def _amount_text(amount: int, currency: str) -> str:
    if abs(amount) >= _EXACT_MAX:
        return _as_text(format_amount(amount, currency))
    return f"{Decimal(format_amount(amount, currency)):,}"


def _cell(pen: _Pen, row: int, column: int, name: str, values: Row) -> None:
    value = getattr(values, name)
    if name in _AMOUNTS:
        _amount(pen, row, column, value, values.currency)
    elif name == "quantity" and abs(value) < _EXACT_MAX:
        pen.sheet.write_number(row, column, value, pen.format(num_format=_POINTS_FORMAT))
    elif name == "price":
        number = Decimal(price_text(value))
        pen.sheet.write_number(row, column, number, pen.format(num_format=_PRICE_FORMAT))
    else:
        place = _place(name, column)
        pen.sheet.write_string(row, column, _text(name, values), pen.format(**place))


def _amount(pen: _Pen, row: int, column: int, amount: int, currency: str) -> None:
    if abs(amount) >= _EXACT_MAX:
        text = _amount_text(amount, currency)
        pen.sheet.write_string(row, column, text, pen.format(**_RIGHT))
        return
    in_major_units = Decimal(amount).scaleb(-minor_digits(currency))
    number_format = pen.format(num_format=_amount_format(currency))
    pen.sheet.write_number(row, column, in_major_units, number_format)


def _as_text(number: str) -> str:
    return f"{number} {_TOO_LONG}"


def _amount_format(currency: str) -> str:
    digits = minor_digits(currency)
    return "#,##0." + "0" * digits if digits else "#,##0"


def _sums(pen: _Pen, heads: Heads, rows: Sequence[LineRow | CorrectionRow]) -> None:
    """Under the lines, for each currency, what is owed to the party and what it owes.

    A formula over the lines; where one of them, or the sum, is too long for a number, the sum is
    text as they are, since a formula would leave them out.
    """
    names = list(heads)
    letters = {name: chr(ord("A") + column) for column, name in enumerate(names)}
    last = max(len(rows) + 1, 2)
    spans = {name: f"{letter}2:{letter}{last}" for name, letter in letters.items()}
    at = len(rows) + 2
    for currency in sorted({row.currency for row in rows}):
        for direction in (OWED_TO_YOU, YOU_OWE):
            amounts = [
                row.amount for row in rows if (row.currency, row.direction) == (currency, direction)
            ]
            total = sum(amounts)
            formula = (
                f'=SUMIFS({spans["amount"]},{spans["currency"]},"{currency}",'
                f'{spans["direction"]},"{direction}")'
            )
            pen.sheet.write_string(at, 0, f"Sum, {direction}", pen.format(**_BOLD))
            column = names.index("amount")
            if max((total, *amounts)) >= _EXACT_MAX:
                text = _as_text(format_amount(total, currency))
                pen.sheet.write_string(at, column, text, pen.format(**_RIGHT))
            else:
                number_format = pen.format(num_format=_amount_format(currency))
                value = Decimal(format_amount(total, currency))
                pen.sheet.write_formula(at, column, formula, number_format, value)
            pen.sheet.write_string(at, names.index("currency"), currency, pen.format(**_APART))
            at += 1


def _print_setup(pen: _Pen, statement: Statement) -> None:
    pen.sheet.set_landscape()
    pen.sheet.set_paper(9)  # A4
    pen.sheet.fit_to_pages(1, 0)
    pen.sheet.set_footer(f"&L{_title(statement)}&R&P / &N")
    if pen.sheet.get_name() != "Summary":
        pen.sheet.repeat_rows(0)
