"""Opaque ids: what the API calls an earn, a burn, a lot, a member. Pure.

An id is a prefix that says what it names, and Crockford base32 of (member, number) with a check, so
that a mistyped id is refused without a look-up. A member's number is random (members/numbers.py),
so no id tells another member's. Clients may rely on nothing but equality.
"""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two and three digits at once, since every answer spells several ids.
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_TRIPLES = tuple(high + low for high in _ALPHABET for low in _PAIRS)
_VALUES = {digit: value for value, digit in enumerate(_ALPHABET)}
# A number is a PostgreSQL int, a member a bigint: 31 and 63 bits.
_NUMBER_BITS = 31
_MEMBER_BITS = 63
_CHECK_DIGITS = 3
# The largest prime of 15 bits: a remainder by it finds every changed digit and every swapped pair.
_CHECK_PRIME = 32_749
_LENGTH_MAX = 24

EARN = "ern"
BURN = "brn"
LOT = "lot"
REVERSAL = "rev"
TRANSFER = "trf"
MEMBER = "mem"
VOUCHER = "vch"


def encode(prefix: str, member_id: int, number: int = 0) -> str:
    """The id of a member's earn, burn, lot, reversal or transfer, or of the member (number 0)."""
    value = member_id << _NUMBER_BITS | number
    return f"{prefix}_{_base32(value)}{_check(prefix, value)}"


def decode(prefix: str, text: str) -> tuple[int, int] | None:
    """(member_id, number) of an id that encode() made with this prefix, else None."""
    head, _, digits = text.partition("_")
    if head != prefix or not _CHECK_DIGITS < len(digits) <= _LENGTH_MAX:
        return None
    value = 0
    for digit in digits[:-_CHECK_DIGITS]:
        if digit not in _VALUES:
            return None
        value = value << 5 | _VALUES[digit]
    member_id, number = value >> _NUMBER_BITS, value & (1 << _NUMBER_BITS) - 1
    # Comparing with the one right spelling also refuses leading zeros: one id, one spelling.
    if member_id >> _MEMBER_BITS or encode(prefix, member_id, number) != text:
        return None
    return member_id, number


def _base32(value: int) -> str:
    digits = ""
    while value > 32_767:
        digits = _TRIPLES[value & 32_767] + digits
        value >>= 15
    return (_TRIPLES[value].lstrip("0") or "0") + digits


def _check(prefix: str, value: int) -> str:
    check = (value + int.from_bytes(prefix.encode())) % _CHECK_PRIME
    return _PAIRS[check >> 5] + _ALPHABET[check & 31]
