"""A person of the house or of a merchant: how e-mail, name and role are read. Pure.

E-mail and name are personal data: they are sealed wherever they are kept (store.py), and in the
audit and in logs a person is its id.
"""

import re
import secrets
import string
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from coalition.errors import CoalitionError, Code, shown
from coalition.people.rights import roles_of

Status = Literal["invited", "active", "disabled"]

_EMAIL_CHARACTERS_MAX = 254
_NAME_CHARACTERS_MAX = 100
_EMAIL = re.compile(r"[^\s@<>\"(),;:\\\[\]]+@[^\s@<>\"(),;:\\\[\]]+\.[^\s@<>\"(),;:\\\[\]]+")
# Control characters, marks that turn the direction of what follows, halves of characters.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_DIGITS = string.digits + string.ascii_letters
_ID_LENGTH = 12  # 62^12 > 2^64


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is. merchant is the code of the party; status invited: no password yet."""

    person_id: str
    person_no: int
    merchant_id: int
    merchant: str
    role: str
    email: str
    name: str
    status: Status
    created_at: datetime
    setup_until: datetime | None


def new_id(prefix: str) -> str:
    """A random id, such as per_0Ab3dEf6hIj9, that tells nothing."""
    return f"{prefix}_" + "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))


def read_email(text: str) -> str:
    """The address in its one form, by which it is found. Raises CoalitionError, invalid."""
    email = unicodedata.normalize("NFKC", text).strip().lower()
    is_hidden = any(unicodedata.category(one) in _HIDDEN for one in email)
    if len(email) > _EMAIL_CHARACTERS_MAX or is_hidden or _EMAIL.fullmatch(email) is None:
        raise CoalitionError(Code.INVALID, "email: an address such as ann@example.com")
    return email


def read_name(text: str) -> str:
    """The name as it is shown. Raises CoalitionError, invalid."""
    name = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(one) in _HIDDEN for one in name):
        raise CoalitionError(
            Code.INVALID, "name: without control characters and marks of direction"
        )
    if not 1 <= len(name) <= _NAME_CHARACTERS_MAX:
        raise CoalitionError(Code.INVALID, f"name: 1 to {_NAME_CHARACTERS_MAX} characters")
    return name


def check_role(role: str, *, is_house: bool) -> None:
    """Raise CoalitionError, invalid, for a role that this party does not have."""
    roles = roles_of(is_house=is_house)
    if role not in roles:
        party = "the house" if is_house else "a merchant"
        right = ", ".join(roles)
        raise CoalitionError(
            Code.INVALID, f"role: {shown(role)!r} is no role of {party}; right is one of {right}"
        )
