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
# What a line is for, where units were redeemed: by their origin's own till, or by another's, which
# the origin pays for (BURN, its side) and the redeemer is paid for (REDEEM, the other side).
OWN = "own"
BURN = "burn"
REDEEM = "redeem"


class PathLine(msgspec.Struct, frozen=True, gc=False):
    """What one side of one path (origin, redeemer) of one window came to, at one price and kind.

    reason says what is owed for it; it is REDEEM on the redeemer's side, else it is the origin's.
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
    reason: str = ""

    @property
    def is_redeemed(self) -> bool:
        """Whether the units ended at a till, and were not issued, lost or given away."""
        return self.reason in (OWN, BURN, REDEEM)

    @property
    def is_own(self) -> bool:
        return self.origin == self.redeemer

    @property
    def is_correction(self) -> bool:
        """Whether the line undoes what an earlier, closed window counted: a burn, or an issue."""
        return self.about is not None and (self.quantity < 0 or self.kind == CLAWBACK)


class Obligation(msgspec.Struct, frozen=True, gc=False):
    """One debt: debtor owes creditor amount minor units (always positive) for reason.

    path_no, quantity and unit_price say which line it comes from; all three are None for a net
    that is passed through to another party.
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
    """Everything that closing one window came to.

    paths are the origins' sides, and tills the redeemers': of every path that ends at another's
    till. A line's number is its own in both.
    """

    paths: tuple[PathLine, ...]
    obligations: tuple[Obligation, ...]
    positions: tuple[Position, ...]
    tills: tuple[PathLine, ...] = ()


class Lines:
    """Lines of a window and what they owe, numbered from 1 in the order in which they are added."""

    def __init__(self) -> None:
        self.paths: list[PathLine] = []
        self.tills: list[PathLine] = []
        self.obligations: list[Obligation] = []

    @property
    def next_no(self) -> int:
        return len(self.paths) + len(self.tills) + 1

    def add(self, line: PathLine, debtor: str | None, creditor: str | None) -> None:
        """Add a line, numbered next_no, and what debtor owes creditor for it.

        Both are None, or the same, where nobody owes anything. Units given back swap the two, so
        that every amount owed stays positive.
        """
        (self.tills if line.reason == REDEEM else self.paths).append(line)
        if not line.amount or debtor is None or creditor is None or debtor == creditor:
            return
        if line.quantity < 0:
            debtor, creditor = creditor, debtor
        # By place: by name it takes half as long again, a million times.
        self.obligations.append(
            Obligation(
                len(self.obligations) + 1, debtor, creditor, abs(line.amount), line.currency,
                line.reason, line.path_no, abs(line.quantity), line.price,
            )
        )  # fmt: skip
