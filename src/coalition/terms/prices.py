"""What a merchant's point costs from a day on: the one noun that files, syncs and closes share.

Pure. Reading prices from a file is reading.py, whether one may be added is changes.py, and which of
them a leg is priced at is clearing/price.py.
"""

from datetime import date
from decimal import Decimal

import msgspec

# Whose points, burned where ("": wherever no pair's price says), from which day on. It sorts.
PriceKey = tuple[str, str, date]


class Price(msgspec.Struct, frozen=True):
    """What origin's points cost from effective_from on, in major units a point.

    redeemer None: whoever redeems them; a pair's price, with one, is instead of that. issue_price
    is paid to the house when a point is issued, burn_price when it is burned elsewhere, both in the
    origin's currency; a pair's issue_price is 0. redeem_price is received from the house for a
    point burned at the till of the redeemer, or at origin's own where redeemer is None, in the
    currency of that till's merchant. redeem_price None: whatever the origin pays for that point.
    """

    origin: str
    redeemer: str | None
    effective_from: date
    issue_price: Decimal = Decimal(0)
    burn_price: Decimal = Decimal(0)
    redeem_price: Decimal | None = None

    @property
    def key(self) -> PriceKey:
        """What there is one price for; of two with one key the later recorded counts."""
        return (self.origin, self.redeemer or "", self.effective_from)

    @property
    def title(self) -> str:
        """Which of its origin's prices it is, in words."""
        at = f" at {self.redeemer}" if self.redeemer else ""
        return f"the price{at} from {self.effective_from}"

    def __str__(self) -> str:
        redeem = "not stated" if self.redeem_price is None else f"{self.redeem_price.normalize():f}"
        issue, burn = self.issue_price.normalize(), self.burn_price.normalize()
        return f"issue {issue:f}, burn {burn:f}, redeem {redeem}"
