"""The nouns of settlement: who owes whom how much for what, and where that leaves each party.

Parties are named by their codes. What the owed things are (points, say) is not known here: a line
carries a quantity and a unit price, and the words of whoever made it. Lines and obligations are
msgspec structs, because a large window has millions and dataclasses take ten times as long to make.
"""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

HOUSE = "house"
POOL = "pool"
# Units that were issued and are taken back unspent: it undoes an issue.
CLAWBACK = "clawback"


class PathLine(msgspec.Struct, frozen=True, gc=False):
    """What one path (origin, redeemer) of one window came to, at one price, in one kind.

    quantity is signed: negative gives back what an earlier window counted. price is in major units
    a unit; amount is in minor units, has quantity's sign, and is 0 for an own redemption. about is
    the label of the earlier window that a late item or a correction belongs to.
    """

    path_no: int
    origin: str
    redeemer: str
    kind: str
    quantity: int
    price: Decimal
    amount: int
    currency: str
    about: str | None = None

    @property
    def is_own(self) -> bool:
        return self.origin == self.redeemer

    @property
    def is_correction(self) -> bool:
        """Whether the line undoes what an earlier, closed window counted: a burn, or an issue."""
        return self.about is not None and (self.quantity < 0 or self.kind == CLAWBACK)


class Obligation(msgspec.Struct, frozen=True, gc=False):
    """One debt: debtor owes creditor amount minor units (always positive) for reason.

    path_no, quantity and unit_price say which path line it comes from; all three are None for a
    net that is passed through to another party.
    """

    obligation_no: int
    debtor: str
    creditor: str
    amount: int
    currency: str
    reason: str
    path_no: int | None = None
    quantity: int | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a window leaves one party in one currency, in minor units.

    net = receivable - payable; closing = opening + net - instructed. A positive net, opening,
    instructed or closing is owed to the party, a negative one by it.
    """

    party: str
    currency: str
    receivable: int
    payable: int
    opening: int
    instructed: int

    @property
    def net(self) -> int:
        return self.receivable - self.payable

    @property
    def closing(self) -> int:
        return self.opening + self.net - self.instructed


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that closing one window came to."""

    paths: tuple[PathLine, ...]
    obligations: tuple[Obligation, ...]
    positions: tuple[Position, ...]
