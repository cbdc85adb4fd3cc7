"""A voucher's code: how one is made and read. Pure.

160 random bits as 32 digits of Crockford's base32, in groups of four. Whoever has it may use the
voucher, so that only a keyed hash of it is looked up and what is shown again is kept sealed.
"""

import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

from coalition.sealing.encryption import Keyring

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BYTES, _LENGTH, _GROUP = 20, 32, 4
# What people read instead of a digit, and what they write between them.
_MEANT = str.maketrans("OIL", "011", "- ")
_OURS = re.compile(rf"[{_DIGITS}]{{{_LENGTH}}}")
CODE_CHARACTERS_MAX = 200
_ABOUT = "voucher code"


class SealedCode(NamedTuple):
    """A code as the database has it. digest: its keyed hash (32 bytes); sealed: to show it again,
    which opens with its digest alone.
    """

    digest: bytes
    sealed: bytes


def mint(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new code, such as 7Z3K-...; random_bytes(n) gives n bytes."""
    number = int.from_bytes(random_bytes(_BYTES))
    digits = "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
    return "-".join(digits[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def told(text: str) -> str:
    """The code that a text spells: one of ours in any case and grouping, else as it stands."""
    plain = text.strip()
    ours = plain.upper().translate(_MEANT)
    return ours if _OURS.fullmatch(ours) else plain


def seal_code(code: str, ring: Keyring) -> SealedCode:
    digest = ring.digest(told(code), _ABOUT)
    return SealedCode(digest, ring.seal(code, _about(digest)))


def open_code(code: SealedCode, ring: Keyring) -> str:
    """The code as it was made or loaded. Raises SealError."""
    return ring.open(code.sealed, _about(code.digest))


def digests_of(text: str, ring: Keyring) -> list[bytes]:
    """What the code may be found by, whichever key it was hashed with."""
    return ring.digests(told(text), _ABOUT)


def _about(digest: bytes) -> str:
    return f"{_ABOUT} {digest.hex()}"
