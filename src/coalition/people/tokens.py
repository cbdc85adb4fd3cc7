"""Secrets that are handed out: a session's, its form's, a one-time one to set a password. Pure.

Of a session and of a one-time secret only SHA-256 is kept: they are random, and need no salt. What
a form sends beside the cookie is made of the cookie's secret, which no other site can read.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

_BYTES = 32
_NONCE_BYTES = 12
_MAC_BYTES = 16


def new_token() -> str:
    """256 random bits, spelt for a cookie or a link."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> bytes:
    """What is kept of a token, and what it is found by; 32 bytes."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def form_token(token: str) -> str:
    """What a request that changes something sends beside the cookie, so that no other site can."""
    return _spelt(hmac.digest(token.encode(), b"form", "sha256"))


def is_form_token(token: str, sent: str) -> bool:
    return hmac.compare_digest(form_token(token).encode(), sent.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Mark:
    """What a browser keeps that its person signed in with once; it proves nothing else.

    text is what the cookie holds: a nonce, whose it is, and an HMAC over both.
    """

    text: str
    nonce: str


def new_mark(pepper: bytes, email: str) -> Mark:
    """A mark for the browser of whoever has this e-mail."""
    nonce = _spelt(secrets.token_bytes(_NONCE_BYTES))
    whose = _whose(pepper, email)
    return Mark(f"{nonce}.{whose}.{_mac(pepper, nonce, whose)}", nonce)


def read_mark(pepper: bytes, text: str | None) -> Mark | None:
    """The mark that we gave, whoever's; None where it is none of ours."""
    parts = (text or "").split(".")
    if len(parts) != 3:
        return None
    nonce, whose, mac = parts
    right = _mac(pepper, nonce, whose).encode()
    if not hmac.compare_digest(right, mac.encode("utf-8", "surrogatepass")):
        return None
    return Mark(text or "", nonce)


def is_mark_of(pepper: bytes, mark: Mark, email: str) -> bool:
    """Whether it was given to the browser of whoever has this e-mail."""
    whose = mark.text.split(".")[1]
    return hmac.compare_digest(whose, _whose(pepper, email))


def _whose(pepper: bytes, email: str) -> str:
    return _spelt(hmac.digest(pepper, b"mark of\0" + email.encode(), "sha256")[:_MAC_BYTES])


def _mac(pepper: bytes, nonce: str, whose: str) -> str:
    said = f"mark\0{nonce}\0{whose}".encode("utf-8", "surrogatepass")
    return _spelt(hmac.digest(pepper, said, "sha256")[:_MAC_BYTES])


def _spelt(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
