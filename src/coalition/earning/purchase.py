"""What was bought or done, as a till says it, and the most points that one earn may come to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

POINTS_MAX = 1_000_000_000_000

Channel = Literal["web", "sms", "phone", "store"]
# What a purchase's amount may hold beside the goods, as a rule's net_of names it.
Part = Literal["tax", "delivery", "points"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
PARTS: tuple[Part, ...] = get_args(Part)


class Item(msgspec.Struct, frozen=True, gc=False):
    """A line of a purchase. amount is the whole line's, in minor units, for all its pieces."""

    amount: int
    category: str | None = None
    sku: str | None = None
    quantity: int = 1


def whole_of(amount: int | None, items: Sequence[Item]) -> int:
    """The whole purchase in minor units: its amount, or else its items' sum."""
    return amount if amount is not None else sum(item.amount for item in items)


def check_parts(parts: int, whole: int) -> None:
    """Raise ValueError, with a message for the caller, where a purchase's parts exceed it."""
    if parts > whole:
        raise ValueError(
            f"tax, delivery and paid_with_points come to {parts} minor units, more than the amount "
            f"that they are parts of, {whole}"
        )


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """A purchase, an action, or both. at is the merchant's own date and time.

    amount (None: the items' sum) and its parts tax, delivery and with_points (what was paid with
    points) are in minor units of the merchant's currency.
    """

    at: datetime
    amount: int | None = None
    items: tuple[Item, ...] = ()
    action: str | None = None
    channel: Channel | None = None
    region: str | None = None
    store: str | None = None
    tax: int = 0
    delivery: int = 0
    with_points: int = 0

    @property
    def whole(self) -> int:
        """The whole purchase in minor units."""
        return whole_of(self.amount, self.items)

    def part(self, name: Part) -> int:
        """What the amount holds of tax, of delivery, or was paid with points."""
        return {"tax": self.tax, "delivery": self.delivery, "points": self.with_points}[name]
