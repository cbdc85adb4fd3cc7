"""What is known of a person, as it is sealed into a member's row and opened from it. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from coalition.sealing.encryption import Keyring

REF, PHONE, BIRTHDAY = "external_ref", "phone", "birthday"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is known of a member; all of it may be missing. phone is in E.164."""

    external_ref: str | None = None
    phone: str | None = None
    birthday: date | None = None
    locale: str | None = None

    @property
    def names_nobody(self) -> bool:
        return self.external_ref is None and self.phone is None and self.birthday is None


@dataclass(frozen=True, slots=True)
class SealedEnrolment:
    """The columns of a member's row. birth_month (1 to 12) stays open, for the rules of earning."""

    external_ref_sealed: bytes | None = None
    external_ref_digest: bytes | None = None
    phone_sealed: bytes | None = None
    phone_digest: bytes | None = None
    birthday_sealed: bytes | None = None
    birth_month: int | None = None
    locale: str | None = None


def sealed(known: Enrolment, member_id: int, ring: Keyring | None) -> SealedEnrolment:
    """What is written for this member. Whoever enrols nobody by name needs no keys."""
    if known.names_nobody:
        return SealedEnrolment(locale=known.locale)
    assert ring is not None, "what names a person is sealed, which needs the keys"
    birthday = known.birthday.isoformat() if known.birthday else None
    return SealedEnrolment(
        _seal(ring, known.external_ref, REF, member_id),
        None if known.external_ref is None else ring.digest(known.external_ref, REF),
        _seal(ring, known.phone, PHONE, member_id),
        None if known.phone is None else ring.digest(known.phone, PHONE),
        _seal(ring, birthday, BIRTHDAY, member_id),
        known.birthday.month if known.birthday else None,
        known.locale,
    )


def opened(row: Any, member_id: int, ring: Keyring) -> Enrolment:
    """What a row with the columns of SealedEnrolment says. Raises SealError."""
    birthday = _open(ring, row.birthday_sealed, BIRTHDAY, member_id)
    return Enrolment(
        _open(ring, row.external_ref_sealed, REF, member_id),
        _open(ring, row.phone_sealed, PHONE, member_id),
        None if birthday is None else date.fromisoformat(birthday),
        row.locale,
    )


def _about(column: str, member_id: int) -> str:
    return f"{column} of member {member_id}"


def _seal(ring: Keyring, text: str | None, column: str, member_id: int) -> bytes | None:
    return None if text is None else ring.seal(text, _about(column, member_id))


def _open(ring: Keyring, value: bytes | None, column: str, member_id: int) -> str | None:
    return None if value is None else ring.open(value, _about(column, member_id))
