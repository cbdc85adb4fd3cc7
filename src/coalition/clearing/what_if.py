"""Prices that nobody agreed to yet, laid over the real ones for a dry run. Pure."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal

from msgspec.structs import replace

from coalition.clearing.price import PriceTable
from coalition.errors import CoalitionError, Code, shown
from coalition.terms.prices import Price
from settlement.money import PRICE_DIGITS_MAX

# {"telecom": {"burn_price": "0.012"}, "telecom->retail": {"burn_price": "0.010"}}
WhatIf = Mapping[str, Mapping[str, str]]

_OWN_FIELDS = frozenset({"issue_price", "burn_price", "redeem_price"})
_PAIR_FIELDS = frozenset({"burn_price", "redeem_price"})
# What the price column holds: six digits before the point and PRICE_DIGITS_MAX after it.
_PRICE_TEXT = re.compile(rf"[0-9]{{1,6}}(\.[0-9]{{1,{PRICE_DIGITS_MAX}}})?", re.ASCII)


def lay_over(table: PriceTable, prices: WhatIf, codes: Collection[str]) -> PriceTable:
    """The price table as if `prices` had held all along; a field not named stays as it is.

    CoalitionError invalid names the entry that cannot be read, and says what would be right.
    """
    changed = dict(table)
    # A merchant's own prices before those of its pairs, which start from them.
    for name, fields in sorted(prices.items(), key=lambda entry: ("->" in entry[0], entry[0])):
        key = _whose(name, codes)
        allowed = _PAIR_FIELDS if key[1] else _OWN_FIELDS
        if unknown := sorted(set(fields) - allowed):
            where = f"prices.{shown(name)}.{shown(unknown[0])}"
            raise _invalid(where, f"one of {', '.join(sorted(allowed))}")
        values = {field: _price(f"prices.{shown(name)}.{field}", fields[field]) for field in fields}
        # Without a price so far the what-if price holds from the first day on. A pair's own price
        # takes the place of the merchant's, so a new one starts from what the merchant's was.
        rows = changed.get(key) or tuple(
            replace(row, redeemer=key[1], issue_price=Decimal(0), redeem_price=None)
            for row in changed.get((key[0], None), ())
        )
        rows = rows or (Price(key[0], key[1], date.min),)
        changed[key] = tuple(replace(row, **values) for row in rows)
    return changed


def _whose(name: str, codes: Collection[str]) -> tuple[str, str | None]:
    origin, arrow, redeemer = name.partition("->")
    for code in (origin, redeemer) if arrow else (origin,):
        if code not in codes:
            right = f"a merchant or a pair like a->b; {shown(code)!r} is unknown"
            raise _invalid(f"prices.{shown(name)}", right)
    return origin, redeemer if arrow else None


def _price(where: str, value: str) -> Decimal:
    if not isinstance(value, str) or not _PRICE_TEXT.fullmatch(value):
        raise _invalid(where, 'a decimal string from "0" to "999999.999999", such as "0.012"')
    return Decimal(value)


def _invalid(where: str, right: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, f"{where} must be {right}")
