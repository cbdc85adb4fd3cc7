"""A batch's id as the API spells it. Pure."""

from uuid import UUID

_PREFIX = "bat_"
_DIGITS = 32


def spelt(batch_id: UUID) -> str:
    return _PREFIX + batch_id.hex


def read_batch_id(text: str) -> UUID | None:
    """The batch that spelt() spells so; None for any other text."""
    digits = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX) or len(digits) != _DIGITS or not digits.isalnum():
        return None
    try:
        batch_id = UUID(hex=digits)
    except ValueError:
        return None
    # One id, one spelling.
    return batch_id if batch_id.hex == digits else None
