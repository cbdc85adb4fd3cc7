"""A phone number in its one form, E.164: +, the country, the number, at most 15 digits. Pure.

One number has one form, or a look-up by it would miss. Which country a number without one belongs
to is not guessed.
"""

import re

_SEPARATORS = re.compile(r"[ ()./-]")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def e164(text: str) -> str:
    """The number without its separators; a leading 00 is read as +. Raises ValueError."""
    digits = _SEPARATORS.sub("", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if not _E164.fullmatch(digits):
        raise ValueError(
            "write it with its country, such as +86 138 0013 8000: a + and 7 to 15 digits (E.164)"
        )
    return digits
