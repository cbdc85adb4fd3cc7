"""The stable codes of what can go wrong, and the one tree of errors that carries them."""

from enum import StrEnum


class Code(StrEnum):
    """In the order of precedence: where several apply, the first is answered."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    SCOPE_MISSING = "scope_missing"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    INVALID = "invalid"
    UNKNOWN_CARD = "unknown_card"
    NOT_FOUND = "not_found"
    OUT_OF_STOCK = "out_of_stock"
    NOT_USABLE = "not_usable"
    APPROVAL_NEEDED = "approval_needed"
    OWN_APPROVAL = "own_approval"
    CARD_NOT_ACTIVE = "card_not_active"
    PIN_REQUIRED = "pin_required"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight"
    ALREADY_REVERSED = "already_reversed"
    NOT_HELD = "not_held"
    NOTHING_EARNED = "nothing_earned"
    LIMIT_REACHED = "limit_reached"
    MERCHANT_SUSPENDED = "merchant_suspended"
    INSUFFICIENT_POINTS = "insufficient_points"
    TOO_MANY_REQUESTS = "too_many_requests"
    BUSY = "busy"
    INTERNAL = "internal"


# What an error says again of what a caller sent: enough to find it by.
_SHOWN_CHARACTERS_MAX = 100


def shown(sent: str) -> str:
    """What a caller sent, cut to what an error may say of it again."""
    if len(sent) <= _SHOWN_CHARACTERS_MAX:
        return sent
    return f"{sent[:_SHOWN_CHARACTERS_MAX]}..."


class CoalitionError(Exception):
    """Something a caller can put right; detail says what is wrong, where, and what would do."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
