"""A statement as JSON: amounts in minor units beside the same as a decimal string, prices exact."""

import json
from collections.abc import Iterable
from typing import Any

from settlement.documents.text import price_text
from settlement.money import format_amount
from settlement.statement import CorrectionRow, LineRow, MatrixRow, Statement, SummaryRow

_SUMMARY_AMOUNTS = ("opening", "receivable", "payable", "net", "instructed", "closing")
_MATRIX_AMOUNTS = ("you_owe", "owed_to_you")


def render(statement: Statement) -> bytes:
    """UTF-8, fields in a fixed order: the same statement gives the same bytes."""
    return as_bytes(as_dict(statement))


def as_bytes(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, ensure_ascii=False, indent=2) + "\n").encode()


def as_dict(statement: Statement) -> dict[str, Any]:
    """The statement in plain JSON values. amount is in minor units, amount_text in major ones.

    Times are local, with their offset from UTC.
    """
    opens_at, closes_at = statement.window.local_span
    return {
        "window": statement.window.label,
        "opens_at": opens_at.isoformat(),
        "closes_at": closes_at.isoformat(),
        "window_digest": statement.window.digest_text,
        "party": statement.party,
        "name": statement.name,
        "summary": [_with_texts(row, _SUMMARY_AMOUNTS) for row in _rows(statement.summary)],
        "lines": [_line(row) for row in _rows(statement.lines)],
        "corrections": [_line(row) for row in _rows(statement.corrections)],
        "matrix": [
            _with_texts(_points_for_quantity(row), _MATRIX_AMOUNTS)
            for row in _rows(statement.matrix)
        ],
    }


def _rows(
    table: Iterable[SummaryRow | LineRow | CorrectionRow | MatrixRow],
) -> list[dict[str, Any]]:
    return [row._asdict() for row in table]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    line = _with_texts(_points_for_quantity(row), ("amount",))
    return line | {"price": None if row["price"] is None else price_text(row["price"])}


def _points_for_quantity(row: dict[str, Any]) -> dict[str, Any]:
    return {"points" if field == "quantity" else field: value for field, value in row.items()}


def _with_texts(row: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return row | {f"{field}_text": format_amount(row[field], row["currency"]) for field in fields}
