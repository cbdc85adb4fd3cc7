"""What was bought, as a till says it, and the most points that one purchase may come to."""

import msgspec

POINTS_MAX = 1_000_000_000_000


class Item(msgspec.Struct, frozen=True, gc=False):
    """A line of a purchase. amount is the whole line's, in minor units: quantity may only be 1."""

    amount: int
    category: str | None = None
    sku: str | None = None
    quantity: int = 1
