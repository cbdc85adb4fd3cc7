"""What names a person, as the database holds it: encrypted, and found again by a keyed hash.

Pure. The keys lie beside the pepper and not in the database, and each has a version, so that they
can be changed while old rows are still read. Version 0 is made of the pepper, so that a coalition
that sets no keys of its own is encrypted as well.

A sealed value is its key's version (1 byte), a nonce (12) and AES-256-GCM's ciphertext with its tag
(NIST SP 800-38D). What it is about, a column of one member, is authenticated with it: a value that
was copied to another row or column does not open.
"""

import hmac
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_FROM_PEPPER = 0


class SealError(Exception):
    """A sealed value that does not open: its key is not there, or it was changed or moved."""


class Keyring:
    """The live keys by version; what is sealed now is sealed with the highest."""

    def __init__(self, pepper: bytes, keys: Mapping[int, bytes] | None = None) -> None:
        """keys: secrets of 32 characters or more by version, 1 to 255, beside the pepper's own."""
        peppers = {_FROM_PEPPER: hmac.digest(pepper, b"coalition personal data", "sha256")}
        live = {**peppers, **(keys or {})}
        self.newest = max(live)
        self._ciphers = {v: AESGCM(_derived(key, b"encrypt")) for v, key in live.items()}
        self._hash_keys = {v: _derived(key, b"look up") for v, key in live.items()}

    def seal(self, text: str, about: str) -> bytes:
        """text, encrypted with the newest key; about says whose and which it is."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.newest].encrypt(nonce, text.encode(), about.encode())
        return bytes([self.newest]) + nonce + sealed

    def open(self, sealed: bytes, about: str) -> str:
        """The text that was sealed. Raises SealError."""
        version, nonce = sealed[0], sealed[1 : 1 + _NONCE_BYTES]
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise SealError(
                f"{about} is sealed with key {version}, which is not there: put it back into "
                "COALITION_PERSONAL_KEYS"
            )
        try:
            return cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], about.encode()).decode()
        except InvalidTag:
            raise SealError(
                f"{about} does not open with key {version}: the key is another, or the value was "
                "changed"
            ) from None

    def digest(self, text: str, about: str) -> bytes:
        """What the text is found by: an HMAC-SHA-256 under the newest key; 32 bytes."""
        return self._digest(self.newest, text, about)

    def digests(self, text: str, about: str) -> list[bytes]:
        """What the text may be found by, whichever live key it was hashed with; newest first."""
        return [self._digest(v, text, about) for v in sorted(self._hash_keys, reverse=True)]

    def _digest(self, version: int, text: str, about: str) -> bytes:
        said = about.encode() + b"\0" + text.encode()
        return hmac.digest(self._hash_keys[version], said, "sha256")


def version_of(sealed: bytes) -> int:
    """Which key a value is sealed with."""
    return sealed[0]


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"coalition " + purpose, "sha256")
