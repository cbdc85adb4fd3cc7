"""What a purchase earns at a merchant's rates, pure and exact.

Limits on an earn are the ledger's to check, not this module's.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import lcm

import msgspec

from coalition.earning.purchase import Item

ANY_CATEGORY = "*"


class Rate(msgspec.Struct, frozen=True):
    """`points` for every `per` minor units spent in `category` ("*": all that no rate names)."""

    category: str
    points: Decimal
    per: int


def check_purchase(
    amount: int | None, items: Sequence[Item], *, counts_pieces: bool = False
) -> None:
    """Raise ValueError, with a message for the caller, where items are not what they seem.

    A quantity would leave open whether amount is a piece's price, but for terms that count pieces;
    or they come to more than amount.
    """
    for place, item in enumerate(items):
        if item.quantity != 1 and not counts_pieces:
            raise ValueError(
                f"items[{place}].quantity: {item.quantity} multiplies nothing, since an item's "
                "amount is the line's total; state that, and leave quantity out"
            )
    if amount is None:
        return
    itemised = sum(item.amount for item in items)
    if itemised > amount:
        raise ValueError(
            f"items add up to {itemised} minor units, more than the amount {amount}: "
            "state the whole purchase in amount, or leave amount out"
        )


def points_for(
    rates: Iterable[Rate],
    amount: int | None,
    items: Sequence[Item],
    *,
    counts_pieces: bool = False,
) -> int:
    """Points that one purchase earns: exact over all its parts, floored once at the end.

    amount is the whole purchase in minor units of the merchant's currency; what it exceeds the
    items' sum by earns at the "*" rate. None: the items' sum. An item whose category has no rate
    earns at "*"; without a "*" rate that earns nothing.

    Raises ValueError as check_purchase() does.
    """
    check_purchase(amount, items, counts_pieces=counts_pieces)
    by_category = {rate.category: rate for rate in rates}
    whatever_else = by_category.get(ANY_CATEGORY)
    itemised = 0
    points, per = 0, 1
    for item in items:
        itemised += item.amount
        rate = by_category.get(item.category, whatever_else) if item.category else whatever_else
        points, per = _add(points, per, rate, item.amount)
    if amount is not None:
        points, per = _add(points, per, whatever_else, amount - itemised)
    return points // per


def _add(points: int, per: int, rate: Rate | None, spent: int) -> tuple[int, int]:
    """points/per + what `spent` minor units earn at `rate`, as an integer numerator and divisor."""
    if rate is None or spent == 0:
        return points, per
    numerator, divisor = rate.points.as_integer_ratio()
    divisor *= rate.per
    if divisor == per:
        return points + spent * numerator, per
    common = lcm(per, divisor)
    return points * (common // per) + spent * numerator * (common // divisor), common
