"""API keys: how one is made, read and compared. Pure; where they are kept is store.py.

A key reads coal_live_<id>_<secret><crc> (or coal_test_). The id is public; the secret is 160 random
bits; the crc lets a mistyped key be refused without a look-up. Only an HMAC of the secret is kept.
"""

import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

SCOPES = ("earn", "burn", "transfer", "members", "statements", "house")

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_BYTES, _ID_LENGTH = 8, 12  # 62^12 > 2^64
_SECRET_BYTES, _SECRET_LENGTH = 20, 27  # 62^27 > 2^160
_CRC_LENGTH = 6  # 62^6 > 2^32
_KEY = re.compile(
    rf"coal_(live|test)_([0-9A-Za-z]{{{_ID_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CRC_LENGTH}}})"
)
_NO_HMAC = bytes(32)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key whose checksum holds. It is whole and secret: only its id may be shown or logged."""

    key_id: str
    is_live: bool
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The key as its owner writes it, secret included: to be shown once and never stored."""
        body = f"coal_{'live' if self.is_live else 'test'}_{self.key_id}_{self.secret}"
        return body + _checksum(body)


def mint(*, live: bool, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> ParsedKey:
    """A new key from 64 random bits of id and 160 of secret; random_bytes(n) gives n bytes."""
    return ParsedKey(
        key_id=_base62(int.from_bytes(random_bytes(_ID_BYTES)), _ID_LENGTH),
        is_live=live,
        secret=_base62(int.from_bytes(random_bytes(_SECRET_BYTES)), _SECRET_LENGTH),
    )


def parse(text: str) -> ParsedKey | None:
    """The key that text spells; None where it is not shaped like one or its checksum is wrong."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    mode, key_id, secret, checksum = found.groups()
    if not hmac.compare_digest(_checksum(text[:-_CRC_LENGTH]), checksum):
        return None
    return ParsedKey(key_id, mode == "live", secret)


def hmac_of(pepper: bytes, secret: str) -> bytes:
    """What is stored of a secret: HMAC-SHA-256 under the installation's pepper (RFC 2104)."""
    return hmac.digest(pepper, secret.encode("ascii"), "sha256")


def is_match(pepper: bytes, parsed: ParsedKey, stored_hmac: bytes | None) -> bool:
    """Whether the secret is the stored one, compared in constant time.

    stored_hmac None (no such key) takes as long as a wrong secret, so that time tells no ids.
    """
    expected = _NO_HMAC if stored_hmac is None else stored_hmac
    is_equal = hmac.compare_digest(hmac_of(pepper, parsed.secret), expected)
    return is_equal and stored_hmac is not None


def _checksum(body: str) -> str:
    """CRC-32 (ISO/IEC 13239) of everything before it. It finds every change of one character."""
    return _base62(zlib.crc32(body.encode("ascii")), _CRC_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    assert number == 0
    return "".join(reversed(digits))
