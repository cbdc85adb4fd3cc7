"""A member's PIN: which will not do, how it is kept, and how one is compared with it. Pure.

Only argon2id's hash of it is kept, over an HMAC under the installation's pepper: ten thousand PINs
are soon tried by whoever has the hashes, but not without the pepper. Attempts are counted in the
database (pin_store.py). A hash takes a tenth of a second: never compute it where others wait.
"""

import hmac

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_FEWEST_DIFFERENT = 3
# Down the middle of the keys, and up.
_COLUMNS = ("2580", "0852")
_RUN = "01234567890123456789"
# OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
_argon2id = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def check_pin(pin: str) -> None:
    """Raise ValueError, which says nothing of the PIN itself, for one that is tried first."""
    is_run = pin in _RUN or pin in _RUN[::-1]
    if is_run or pin in _COLUMNS or len(set(pin)) < _FEWEST_DIFFERENT:
        raise ValueError(
            "it is among the first that anybody tries; take three different digits at least, "
            "and not one after another"
        )


def hash_pin(pepper: bytes, member_id: int, pin: str) -> str:
    """What is kept of a member's PIN."""
    return _argon2id.hash(_peppered(pepper, member_id, pin))


def is_pin(pepper: bytes, member_id: int, pin: str, kept: str) -> bool:
    """Whether this is the PIN of which that was kept."""
    try:
        return _argon2id.verify(kept, _peppered(pepper, member_id, pin))
    except VerifyMismatchError:
        return False


def _peppered(pepper: bytes, member_id: int, pin: str) -> bytes:
    # The member's number, so that one row's hash is worth nothing in another's place.
    return hmac.digest(pepper, f"pin\0{member_id}\0{pin}".encode("ascii"), "sha256")
