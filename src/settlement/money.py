"""Money as integer minor units with a currency, and the one place where money is rounded."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

# ISO 4217, currencies whose minor unit is not a hundredth. Every other currency has two digits.
_MINOR_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip

# Wide enough for 10^18 points at a price of 12 digits: nothing is rounded before the last step.
_EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)

PRICE_DIGITS_MAX = 6
AMOUNT_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units (cents, fen) of an ISO 4217 currency."""

    currency: str
    amount: int

    def __str__(self) -> str:
        return f"{format_amount(self.amount, self.currency)} {self.currency}"


def minor_digits(currency: str) -> int:
    """Digits after the decimal point of the currency's minor unit (ISO 4217)."""
    return _MINOR_DIGITS.get(currency, 2)


def amount_at_price(quantity: int, price: Decimal, currency: str) -> int:
    """`quantity` units at `price` major units each, in minor units, rounded once, half-even.

    Raises OverflowError where the amount does not fit 63 bits.
    """
    with localcontext(_EXACT):
        exact = (Decimal(quantity) * price).scaleb(minor_digits(currency))
        amount = int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))
    if abs(amount) > AMOUNT_MAX:
        raise OverflowError(f"{quantity} x {price} {currency} does not fit 63 bits of minor units")
    return amount


def format_amount(amount: int, currency: str) -> str:
    """Minor units as a decimal string in major units: (-960, "CNY") -> "-9.60"."""
    digits = minor_digits(currency)
    return f"{Decimal(amount).scaleb(-digits):.{digits}f}"
