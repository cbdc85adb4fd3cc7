"""A person's password: which will not do, how it is kept, and how one is compared with it. Pure.

Only argon2id's hash is kept, over an HMAC under the installation's pepper, as of a PIN. A hash
takes a tenth of a second: never compute it where others wait.
"""

import hmac
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from coalition.errors import CoalitionError, Code

CHARACTERS_MIN, CHARACTERS_MAX = 12, 200
_FEWEST_DIFFERENT = 6
# What so many take where twelve characters are asked for.
_FIRST_TRIED = ("password", "passw0rd", "qwertyuiop", "123456789", "iloveyou", "letmein")
# OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
_argon2id = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Compared with where there is nothing to compare with, so that this takes as long.
_NOBODY = "per_000000000000"
_NOTHING = _argon2id.hash(b"nothing")


def check_password(password: str, email: str) -> None:
    """Raise CoalitionError, invalid, which says nothing of the password, for one soon guessed."""
    plain = _plain(password)
    if not CHARACTERS_MIN <= len(plain) <= CHARACTERS_MAX:
        raise _unfit(f"{CHARACTERS_MIN} to {CHARACTERS_MAX} characters")
    low = plain.lower()
    if len(set(low)) < _FEWEST_DIFFERENT or any(one in low for one in _FIRST_TRIED):
        raise _unfit("it is among the first that anybody tries; take some words of your own")
    if email.partition("@")[0] in low:
        raise _unfit("it may not hold the name in the e-mail address")


def hash_password(pepper: bytes, person_id: str, password: str) -> str:
    """What is kept of a person's password."""
    return _argon2id.hash(_peppered(pepper, person_id, password))


def is_password(pepper: bytes, person_id: str | None, password: str, kept: str | None) -> bool:
    """Whether this is the password of which that was kept; None takes as long, and is False."""
    try:
        peppered = _peppered(pepper, person_id or _NOBODY, password)
        return _argon2id.verify(kept or _NOTHING, peppered) and kept is not None
    except VerifyMismatchError:
        return False


def _plain(password: str) -> str:
    # One password, however a keyboard composes its letters (RFC 8265).
    return unicodedata.normalize("NFC", password)


def _peppered(pepper: bytes, person_id: str, password: str) -> bytes:
    # The person's id, so that one row's hash is worth nothing in another's place.
    said = f"password\0{person_id}\0{_plain(password)}".encode("utf-8", "surrogatepass")
    return hmac.digest(pepper, said, "sha256")


def _unfit(detail: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, f"password: {detail}")
