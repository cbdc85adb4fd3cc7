"""Money as integer minor units with a currency, and the one place where money is rounded."""

from decimal import Decimal
from functools import lru_cache

# ISO 4217, currencies whose minor unit is not a hundredth. Every other currency has two digits.
_MINOR_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip

PRICE_DIGITS_MAX = 6
# What the amount columns hold. 10^20 units at the highest price are far below it.
AMOUNT_MAX = 10**38 - 1


def minor_digits(currency: str) -> int:
    """Digits after the decimal point of the currency's minor unit (ISO 4217)."""
    return _MINOR_DIGITS.get(currency, 2)


def amount_at_price(quantity: int, price: Decimal, currency: str) -> int:
    """`quantity` units at `price` major units each, in minor units, rounded once, half-even.

    Raises OverflowError where the amount has more than 38 digits.
    """
    minor_units, per = _minor_ratio(price, currency)
    amount, rest = divmod(quantity * minor_units, per)
    # The rest counts upwards from the amount below, whatever the sign.
    if 2 * rest > per or (2 * rest == per and amount % 2):
        amount += 1
    if abs(amount) > AMOUNT_MAX:
        raise OverflowError(f"{quantity} x {price} {currency} has more than 38 digits")
    return amount


@lru_cache(maxsize=4096)
def _minor_ratio(price: Decimal, currency: str) -> tuple[int, int]:
    """The price of a unit in minor units, as a fraction: whole numbers are exact, and fast."""
    numerator, denominator = price.as_integer_ratio()
    return numerator * 10 ** minor_digits(currency), denominator


def format_amount(amount: int, currency: str) -> str:
    """Minor units as a decimal string in major units: (-960, "CNY") -> "-9.60"."""
    digits = minor_digits(currency)
    whole, fraction = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{fraction:0{digits}d}" if digits else f"{sign}{whole}"
