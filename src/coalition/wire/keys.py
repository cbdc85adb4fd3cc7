"""Idempotency keys: which are keys, the id each becomes, and how one body is told from another.

Pure, and the same for a request over HTTP and for a row of a file, so that each replays the other.
"""

import re
from hashlib import blake2b, sha256
from uuid import UUID

import msgspec

# The driver's own UUID is a uuid.UUID made in a tenth of the time; a file makes a million of them.
from asyncpg.pgproto import pgproto
from msgspec.structs import replace

from coalition.wire.bodies import Body

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_canonical = msgspec.json.Encoder(order="sorted")


def is_key(text: str) -> bool:
    """Whether `text` is 1 to 255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


def request_id(merchant_id: int, operation: str, key: str) -> UUID:
    """The 128-bit name of an idempotency key: its scope is the merchant and the operation."""
    # No part holds a NUL, so that no two triples run together.
    found: UUID = pgproto.UUID(sha256(f"{merchant_id}\0{operation}\0{key}".encode()).digest()[:16])
    return found


def canonical(body: Body, target: str = "") -> bytes:
    """The body and its target, whatever its white space and key order.

    Fields left at their default count as absent, so a field added later changes no canonical form
    made before it. A PIN is left out: its hash would be among few, and a replay does not need it.
    """
    if getattr(body, "pin", None) is not None:
        body = replace(body, pin=None)
    return _canonical.encode((target, body))


def digest(canonical_body: bytes) -> int:
    """63 bits and a sign of a canonical body."""
    return int.from_bytes(blake2b(canonical_body, digest_size=8).digest(), "big", signed=True)


def body_hash(body: Body, target: str = "") -> int:
    """What tells one body from another under the same key.

    `target` is the id in the path: the same key on another burn's capture is another body.
    """
    return digest(canonical(body, target))
