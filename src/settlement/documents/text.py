"""How a price and a text cell are written, the same in every format."""

from decimal import Decimal

# A spreadsheet takes a cell that starts with one of these for a formula, whoever wrote it.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def price_text(price: Decimal) -> str:
    """A price in major units with the digits it needs, two at least: 0.010000 -> 0.01."""
    exponent = price.normalize().as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0
    return f"{price:.{max(2, digits)}f}"


def harmless(cell: str) -> str:
    """A text cell that no spreadsheet reads as a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_STARTS_A_FORMULA) else cell
