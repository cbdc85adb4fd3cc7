"""What settlement makes of each kind of movement: the one table of which burns are what. Pure."""

from collections.abc import Iterable

ISSUE = "issue"
EXPIRY = "expiry"
# Points that bought something at a redeemer: what the origin pays for, unless they are its own.
REDEMPTIONS = frozenset({"redemption", "cash_out", "donation"})
# Points taken back from circulation unspent: the issue price goes back with them. An adjustment
# that takes points out undoes one that put them in, and that one was counted as an issue.
GIVEN_BACK = frozenset({"clawback", "adjustment"})


def listed(kinds: Iterable[str]) -> str:
    """The kinds as the list that SQL's `in` wants."""
    return "(" + ", ".join(f"'{kind}'" for kind in sorted(kinds)) + ")"
