"""Card numbers: 16 digits by ISO/IEC 7812-1, the last one a Luhn check digit. Pure.

Which cards exist, and whose they are, is members/store.py.
"""

# Major industry identifier 9: for assignment by national standards bodies, so that no number of
# ours is ever a payment card's.
ISSUER = "9"
_DIGITS = 16
# What a digit in a doubled place adds: twice the digit, its two digits added together.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# The same for digits in ASCII: those of a whole number are doubled in one call.
_DOUBLED_ASCII = bytes.maketrans(b"0123456789", b"0246813579")
# Sixteen bytes of ASCII digits add up to this more than their digits.
_ZEROS = _DIGITS * ord("0")


def luhn_digit(payload: str) -> int:
    """The check digit that belongs behind `payload` (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(payload)):
        total += _DOUBLED[int(digit)] if place % 2 == 0 else int(digit)
    return -total % 10


def make_card(account: int) -> int:
    """The card number of a 14-digit account number: issuer digit, account, check digit."""
    assert 0 <= account < 10 ** (_DIGITS - 2), "an account number has at most 14 digits"
    payload = f"{ISSUER}{account:0{_DIGITS - 2}d}"
    return int(f"{payload}{luhn_digit(payload)}")


def parse_card(text: str) -> int:
    """The number of a card as it was sent. Raises ValueError that says what is wrong with it."""
    if len(text) != _DIGITS or not (text.isascii() and text.isdigit()):
        raise ValueError(f"a card number is {_DIGITS} digits and nothing else")
    if text[0] == "0":
        raise ValueError("no card number of this coalition starts with 0")
    # Luhn again, without a loop, as it is read for each row of a file: of sixteen digits the first
    # and every second after it are doubled, and all of them add up to a multiple of ten.
    digits = text.encode("ascii")
    if (sum(digits[::2].translate(_DOUBLED_ASCII)) + sum(digits[1::2]) - _ZEROS) % 10:
        raise ValueError("the card number's check digit (Luhn) is wrong: a digit was mistyped")
    return int(text)
