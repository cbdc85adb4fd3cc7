"""Format 1 of a statement's XLSX workbook: points x price = amount, and sums.

Amounts are shown in major units with the currency's digits; the sums below the lines are formulas
over them, so that a changed cell shows. Fixed dates in the file keep the bytes the same.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
    "path": ("Path", 18), "kind": ("Kind", 12), "origin": ("Points of", 18),
    "redeemer": ("Used at", 18), "quantity": ("Points", 14), "price": ("Price a point", 14),
    "amount": ("Amount", 16), "currency": ("Currency", 9), "direction": ("Direction", 14),
}  # fmt: skip
_CORRECTION_HEADS = {"window": ("Belongs to", 12), "what": ("What", 11), **_LINE_HEADS}
_SUMMARY_HEADS = {
    "currency": ("Currency", 28), "opening": ("Opening balance", 17),
    "receivable": ("Owed to you", 17), "payable": ("You owe", 17), "net": ("Net", 17),
    "instructed": ("Payment now", 17), "closing": ("Carried forward", 17),
}  # fmt: skip
_MATRIX_HEADS = {
    "origin": ("Points of", 18), "redeemer": ("Used at", 18), "quantity": ("Points", 14),
    "you_owe": ("You owe", 16), "owed_to_you": ("Owed to you", 16), "currency": ("Currency", 9),
}  # fmt: skip
_AMOUNTS = frozenset(
    {"amount", "opening", "receivable", "payable", "net", "instructed", "closing", "you_owe",
     "owed_to_you"}
)  # fmt: skip
_NOTES = (
    "Balances: a positive one is owed to you, a negative one is owed by you.",
    "Net = owed to you - you owe. Carried forward = opening balance + net - payment now.",
    "Amount = points x price a point, rounded once to the smallest coin, a half to the even one.",
    "What is owed to you (or you owe) is the sum of the sheets Lines and Corrections.",
)

_POINTS_FORMAT = "#,##0"
_PRICE_FORMAT = "0.00####"

Heads = dict[str, tuple[str, int]]
Row = SummaryRow | LineRow | CorrectionRow | MatrixRow


@dataclass(frozen=True, slots=True)
class _Pen:
    """A sheet to write on, and the number formats made for its workbook so far."""

    workbook: Any
    sheet: Any
    bold: Any
    formats: dict[str, Any]

    def format(self, number_format: str) -> Any:
        if number_format not in self.formats:
            self.formats[number_format] = self.workbook.add_format({"num_format": number_format})
        return self.formats[number_format]


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
        bold, formats = workbook.add_format({"bold": True}), dict[str, Any]()
        sheets = [
            _Pen(workbook, workbook.add_worksheet(name), bold, formats)
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
    window = statement.window
    head = (
        _title(statement),
        statement.name,
        f"From {_time(window.opens_at)} to {_time(window.closes_at)}",
    )
    for row, line in enumerate(head):
        pen.sheet.write_string(row, 0, line, pen.bold if row == 0 else None)
    rows = statement.summary
    _table(pen, len(head) + 1, _SUMMARY_HEADS, rows)
    for row, note in enumerate(_NOTES, start=len(head) + len(rows) + 3):
        pen.sheet.write_string(row, 0, note)


def _time(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="minutes")


def _table(pen: _Pen, top: int, heads: Heads, rows: Sequence[Row]) -> None:
    """Heads in row `top`, frozen, and the rows under them."""
    for column, (head, width) in enumerate(heads.values()):
        pen.sheet.set_column(column, column, width)
        pen.sheet.write_string(top, column, head, pen.bold)
    pen.sheet.freeze_panes(top + 1, 0)
    for number, row in enumerate(rows, start=top + 1):
        for column, name in enumerate(heads):
            if getattr(row, name) is not None:
                _cell(pen, number, column, name, row)


def _cell(pen: _Pen, row: int, column: int, name: str, values: Row) -> None:
    value = getattr(values, name)
    if name in _AMOUNTS:
        _amount(pen, row, column, value, values.currency)
    elif name == "quantity" and abs(value) < _EXACT_MAX:
        pen.sheet.write_number(row, column, value, pen.format(_POINTS_FORMAT))
    elif name == "quantity":
        pen.sheet.write_string(row, column, _as_text(str(value)))
    elif name == "price":
        pen.sheet.write_number(row, column, Decimal(price_text(value)), pen.format(_PRICE_FORMAT))
    else:
        pen.sheet.write_string(row, column, str(value))


def _amount(pen: _Pen, row: int, column: int, amount: int, currency: str) -> None:
    if abs(amount) >= _EXACT_MAX:
        pen.sheet.write_string(row, column, _as_text(format_amount(amount, currency)))
        return
    in_major_units = Decimal(amount).scaleb(-minor_digits(currency))
    pen.sheet.write_number(row, column, in_major_units, pen.format(_amount_format(currency)))


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
            pen.sheet.write_string(at, 0, f"Sum, {direction}", pen.bold)
            column = names.index("amount")
            if max((total, *amounts)) >= _EXACT_MAX:
                text = _as_text(format_amount(total, currency))
                pen.sheet.write_string(at, column, text)
            else:
                number_format = pen.format(_amount_format(currency))
                value = Decimal(format_amount(total, currency))
                pen.sheet.write_formula(at, column, formula, number_format, value)
            pen.sheet.write_string(at, names.index("currency"), currency)
            at += 1


def _print_setup(pen: _Pen, statement: Statement) -> None:
    pen.sheet.set_landscape()
    pen.sheet.set_paper(9)  # A4
    pen.sheet.fit_to_pages(1, 0)
    pen.sheet.set_footer(f"&L{_title(statement)}&R&P / &N")
    if pen.sheet.get_name() != "Summary":
        pen.sheet.repeat_rows(0)
