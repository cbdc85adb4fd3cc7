"""A statement as an XLSX workbook that can be checked by hand: points x price = amount, and sums.

Amounts are shown in major units with the currency's digits; the sums below the lines are formulas
over them, so that a changed cell shows. Fixed dates in the file keep the bytes the same.
"""

import io
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from settlement.documents.text import price_text
from settlement.money import format_amount, minor_digits
from settlement.statement import OWED_TO_YOU, YOU_OWE, Statement

# A workbook keeps numbers as doubles; what needs more digits than those hold is written as text.
_EXACT_MAX = 10**15

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

Heads = dict[str, tuple[str, int]]


@dataclass(slots=True)
class _Book:
    """An open workbook and the formats made for it so far."""

    workbook: Any
    formats: dict[tuple[tuple[str, Any], ...], Any] = field(default_factory=dict)

    def format(self, **properties: Any) -> Any:
        raise NotImplementedError
