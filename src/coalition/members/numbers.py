"""A member's number in the ledger: random, so that no id tells another or how many there are.

Numbers were counted up before; those stay. The new ones lie above all of them, and are so many
that two alike are no more than a theory: whoever stores one draws again where it is taken.
"""

import secrets

# A positive bigint with its second bit set: every new number is as long as the next.
_LEAST = 2**61


def draw_member_id() -> int:
    """A number that is hardly anybody's: one in 2 * 10^18."""
    return _LEAST + secrets.randbelow(_LEAST)
