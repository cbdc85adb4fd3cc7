"""Keyed digests: of a movement, a window, an anchor. Pure; the key is handed in.

Whoever owns the database can write any row, and cannot make the digest that belongs to it, because
the key comes from the pepper, which the database does not know. Each digest is made over the one
before it, so that none can be left out.

A movement's is keyed BLAKE2b (RFC 7693), which is a message authentication code by itself and takes
half the time of HMAC-SHA-256 on so short a message; the few others are HMAC-SHA-256 (RFC 2104).
"""

import hmac
from hashlib import blake2b

# The version in the labels: a digest of another make needs another.
_KEY_LABEL = b"coalition: digests, version 1"
_MOVEMENT = b"movement 1"
# 128 bits: nobody can try 2^127 of them on whoever has the key.
MOVEMENT_BYTES = 16
_NONE_BEFORE = bytes(MOVEMENT_BYTES)

# The first 64 bits of a digest as a signed number, which the database adds up in one aggregate. As
# part() below; {} is the column.
PART_SQL = "cast(cast('x' || encode(substr({}, 1, 8), 'hex') as bit(64)) as bigint)"
_SUM_MODULUS = 1 << 64


def seal_key(pepper: bytes) -> bytes:
    """The key of all digests, 32 bytes: of the installation's pepper, and for nothing else."""
    return hmac.digest(pepper, _KEY_LABEL, "sha256")


def movement_digest(key: bytes, before: bytes | None, content: bytes) -> bytes:
    """The digest of one movement, after the digest of its member's movement before (None: none)."""
    return blake2b(
        (before or _NONE_BEFORE) + content, key=key, digest_size=MOVEMENT_BYTES, person=_MOVEMENT
    ).digest()


def digest(key: bytes, what: str, before: bytes | None, content: bytes) -> bytes:
    """The digest of anything else, 32 bytes. what: a word and a version, so that none passes for
    another; before: the digest that it follows."""
    head = f"{what}\n{before.hex() if before else '-'}\n".encode()
    return hmac.digest(key, head + content, "sha256")


def part(of: bytes) -> int:
    """The first 64 bits of a digest as a signed number."""
    return int.from_bytes(of[:8], signed=True)


def added(*parts: int) -> int:
    """A sum of parts, or of sums of them, modulo 2^64."""
    return sum(parts) % _SUM_MODULUS
