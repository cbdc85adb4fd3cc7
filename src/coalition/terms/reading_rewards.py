"""The catalogue in a merchant's file: [[rewards]], each mistake noted with its line.

Whether a mix names merchants that there are is known to the folder only: check_mixes.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import cast, get_args

from coalition.earning.purchase import POINTS_MAX
from coalition.earning.validity import Validity
from coalition.terms.rewards import (
    ANY,
    VOUCHERS_PER_BURN_MAX,
    Alternative,
    Limits,
    RedeemerPaid,
    Reward,
    RewardKind,
    VoucherBreakage,
    VoucherTerms,
)
from coalition.toml.document import (
    Section,
    check_keys,
    read_choice,
    read_count,
    read_date,
    read_flag,
    read_money,
    read_text,
    sections,
    subsection,
)

_KEYS = (
    *("code", "name", "kind", "price", "stock", "limits", "quantity_min", "from", "until"),
    *("voucher", "pays", "charity", "stores"),
)
_LIMITS = ("per_burn", "per_member", "per_member_per_day", "in_all")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VALID = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")
_STORE_CHARACTERS_MAX = 63
_MONEY = "money"
_UNLIMITED = "unlimited"
_MIX_EXAMPLE = "price = [{ telecom = 500, retail = 500 }, { any = 1200 }]"


def read_rewards(document: Section, currency: str | None) -> tuple[Reward, ...]:
    """The rewards in the file's order. What is wrong is noted and left out or at its default."""
    rewards: dict[str, Reward] = {}
    for section in sections(document, "rewards"):
        check_keys(section, _KEYS)
        code = read_text(section, "code", required=True) or ""
        if code and not _CODE.fullmatch(code):
            section.note("code", f'"{code}" is not a code; use at most 63 of a-z, 0-9 and -')
        elif code in rewards:
            section.note("code", f'"{code}" stands above already; give each reward its own')
        reward = _reward(section, code, currency)
        if code:
            rewards[code] = reward
    return tuple(rewards.values())


def check_mixes(
    document: Section, codes: set[str], unknown: Callable[[str, set[str]], str]
) -> None:
    """Note each merchant in a mix that there is none of. unknown(code, codes) says it in words."""
    if not _is_tables(document.values.get("rewards")):
        return
    for section in sections(document, "rewards"):
        for place in _alternatives(section):
            for code in place.values:
                if code not in (ANY, _MONEY) and code not in codes:
                    place.note(code, unknown(code, codes))


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _alternatives(section: Section) -> list[Section]:
    """Each alternative of a price; a price that is no list of tables has none."""
    return sections(section, "price") if _is_tables(section.values.get("price")) else []


def _reward(section: Section, code: str, currency: str | None) -> Reward:
    kind = cast(RewardKind, read_choice(section, "kind", get_args(RewardKind), "goods"))
    if "kind" not in section.values:
        section.note(None, f"kind is missing; write one of {', '.join(get_args(RewardKind))}")
    starts_on, ends_on = _day(section, "from"), _day(section, "until")
    if starts_on and ends_on and ends_on < starts_on:
        section.note("until", f"{ends_on} is before {starts_on}, from which on it is offered")
    stock = _stock(section)
    limits = _limits(section, stock)
    least = read_count(section, "quantity_min", 1, POINTS_MAX) or 1
    if limits.per_burn is not None and least > limits.per_burn:
        section.note("quantity_min", f"{least} at least and {limits.per_burn} at most is none")
    return Reward(
        code=code,
        name=read_text(section, "name", required=True) or code,
        kind=kind,
        price=_price(section, currency),
        stock=stock,
        limits=limits,
        quantity_min=least,
        starts_on=starts_on,
        ends_on=ends_on,
        voucher=_voucher(section, kind, least, currency),
        pays=_pays(section, kind, currency),
        charity=_charity(section, kind),
        stores=_stores(section),
    )


def _day(section: Section, key: str) -> date | None:
    return read_date(section, key) if key in section.values else None


def _stock(section: Section) -> int | None:
    if section.values.get("stock") == _UNLIMITED:
        return None
    return read_count(section, "stock", 0, POINTS_MAX)


def _limits(section: Section, stock: int | None) -> Limits:
    table = subsection(section, "limits")
    check_keys(table, _LIMITS)
    found = {name: read_count(table, name, 1, POINTS_MAX) for name in _LIMITS}
    a_day, a_member = found["per_member_per_day"], found["per_member"]
    if a_day is not None and a_member is not None and a_day > a_member:
        table.note(
            "per_member_per_day",
            f"{a_day} on one day can never be reached, since a member has {a_member} in all; "
            f"write at most {a_member}, or leave it out",
        )
    if stock is not None and found["in_all"] is not None:
        table.note("in_all", "there is a stock already, which says the same; leave out one")
    return Limits(**found)


def _price(section: Section, currency: str | None) -> tuple[Alternative, ...]:
    if not _is_tables(section.values.get("price")) or not section.values["price"]:
        section.note("price", f"not a list of mixes; write it such as {_MIX_EXAMPLE}")
        return ()
    price: list[Alternative] = []
    for place in _alternatives(section):
        one = _alternative(place, currency)
        if one is not None and any(_is_same(one, other) for other in price):
            place.note(None, "the same mix stands before it already; leave one of them")
        elif one is not None:
            price.append(one)
    return tuple(price)


def _is_same(one: Alternative, other: Alternative) -> bool:
    return dict(one.mix) == dict(other.mix)


def _alternative(place: Section, currency: str | None) -> Alternative | None:
    mix: list[tuple[str, int]] = []
    for code, value in place.values.items():
        if code == _MONEY:
            continue
        is_points = isinstance(value, int) and not isinstance(value, bool)
        if not is_points or not 1 <= value <= POINTS_MAX:
            place.note(code, f"{value} is not a whole number of points from 1 to {POINTS_MAX}")
        else:
            mix.append((code, value))
    money = read_money(place, _MONEY, currency) or 0
    if not mix:
        if not any(code != _MONEY for code in place.values):
            place.note(None, f"no points; write it such as {_MIX_EXAMPLE}")
        return None
    if len(mix) > 1 and ANY in dict(mix):
        place.note(ANY, "any is of whatever origin and stands alone; leave out the others")
    if sum(points for _, points in mix) > POINTS_MAX:
        place.note(None, f"together more than {POINTS_MAX} points; write less")
        return None
    return Alternative(tuple(mix), money)


def _voucher(
    section: Section, kind: RewardKind, least: int, currency: str | None
) -> VoucherTerms | None:
    if "voucher" not in section.values:
        if kind == "voucher":
            section.note("kind", 'what is the voucher? write voucher = { valid = "3 months" }')
        return None
    table = subsection(section, "voucher")
    check_keys(table, ["valid", "part_use", "value", "codes", "low", "redeemer_paid", "breakage"])
    if kind in ("cash_out", "donation"):
        section.note("voucher", f"a {kind} is over when it is made; leave the voucher out")
    if least > VOUCHERS_PER_BURN_MAX:
        section.note("quantity_min", f"at most {VOUCHERS_PER_BURN_MAX} vouchers come at once")
    part_use = read_flag(table, "part_use")
    value = read_money(table, "value", currency)
    if part_use and not value:
        table.note("part_use", 'of what is a part used? write value = "50.00" as well')
    paid = cast(RedeemerPaid, read_choice(table, "redeemer_paid", get_args(RedeemerPaid), "issue"))
    breakage = read_choice(table, "breakage", get_args(VoucherBreakage), "redeemer")
    if paid == "use":
        _check_paid_at_use(table, least, part_use=part_use)
    elif breakage == "issuer":
        table.note("breakage", 'who is paid at issue keeps it; write redeemer_paid = "use" as well')
    codes = read_choice(table, "codes", ("made", "loaded"), "made")
    low = read_count(table, "low", 0, POINTS_MAX) or 0
    if low and codes == "made":
        table.note("low", 'made codes never run low; write codes = "loaded", or leave it out')
    return VoucherTerms(
        _valid(table),
        part_use,
        value,
        external=codes == "loaded",
        low=low,
        redeemer_paid=paid,
        breakage=cast(VoucherBreakage, breakage),
    )


def _check_paid_at_use(table: Section, least: int, *, part_use: bool) -> None:
    """Its burn is held until the use: a hold is captured whole, and ends."""
    if part_use:
        table.note("part_use", "a voucher that is paid for at its use is used whole; leave it out")
    if "valid" not in table.values:
        table.note("redeemer_paid", 'until when is its use waited for? write valid = "3 months"')
    if least > 1:
        table.note("redeemer_paid", "such vouchers are taken one by one; leave quantity_min out")


def _valid(table: Section) -> Validity:
    text = read_text(table, "valid")
    if text is None:
        return Validity()
    found = _VALID.fullmatch(text)
    if found is None:
        table.note("valid", f'"{text}" is not a time; write it such as "3 months" or "90 days"')
        return Validity()
    count, unit = int(found[1]), found[2]
    if unit == "day":
        return Validity(days=count)
    return Validity(months=count * 12 if unit == "year" else count)


def _pays(section: Section, kind: RewardKind, currency: str | None) -> int:
    pays = read_money(section, "pays", currency)
    if kind == "cash_out" and not pays:
        section.note("pays", 'what does the member get a piece? write pays = "1.00"')
    elif kind != "cash_out" and "pays" in section.values:
        section.note("pays", f"a {kind} pays no money; leave it out, or make it a cash_out")
    return pays or 0


def _stores(section: Section) -> tuple[str, ...]:
    """The stores' own names, which a till sends again."""
    value = section.values.get("stores", [])
    if not isinstance(value, list) or not all(
        isinstance(one, str) and 0 < len(one) <= _STORE_CHARACTERS_MAX for one in value
    ):
        section.note("stores", 'not a list of names; write it such as stores = ["north", "south"]')
        return ()
    if len(set(value)) < len(value):
        section.note("stores", "a store stands there twice; leave one of them")
    return tuple(value)


def _charity(section: Section, kind: RewardKind) -> str | None:
    charity = read_text(section, "charity")
    if kind == "donation" and charity is None:
        section.note("charity", 'whom is the donation for? write charity = "Red Cross"')
    elif kind != "donation" and charity is not None:
        section.note("charity", f"a {kind} is given to nobody; leave it out")
    return charity
