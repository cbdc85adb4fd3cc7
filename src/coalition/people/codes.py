"""One-time codes by the clock: TOTP (RFC 6238) with SHA-1, six digits, thirty seconds. Pure.

As every authenticator app knows them. A code is taken a step early or late, for clocks that go
wrong, and only once: store.py keeps the last step that was taken.
"""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote

STEP_S = 30
_DIGITS = 6
_SECRET_BYTES = 20
_STEPS_OFF = (0, -1, 1)
_ISSUER = "Coalition"


def new_secret() -> str:
    """160 random bits in base32, as an app is told them."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def address_of(secret: str, email: str) -> str:
    """What a QR code for an app says."""
    label = quote(f"{_ISSUER}:{email}")
    return f"otpauth://totp/{label}?secret={secret}&issuer={_ISSUER}"


def step_at(now: datetime) -> int:
    return int(now.timestamp()) // STEP_S


def code_at(secret: str, step: int) -> str:
    """The code of a step of the clock (RFC 4226, section 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def step_of(secret: str, code: str, now: datetime, last_step: int | None) -> int | None:
    """The step whose code this is, after the last that was taken; None: it is no good code."""
    found = None
    for off in _STEPS_OFF:
        step = step_at(now) + off
        is_equal = hmac.compare_digest(code_at(secret, step).encode(), code.encode())
        if is_equal and (last_step is None or step > last_step):
            found = step
    return found
