"""One merchant's file, or the house's, read into its terms. How files fit together is folder.py.

Each part of a file is one function here. The rules of earning, [[earn]], are read by
earning/rules/reading.py.
"""

import difflib
import zoneinfo
from datetime import date
from decimal import Decimal
from typing import cast, get_args

from coalition.earning.purchase import POINTS_MAX
from coalition.earning.rates import Rate
from coalition.earning.rules.reading import read_rules
from coalition.terms.currencies import ISO_4217, MEANT
from coalition.terms.prices import Price
from coalition.terms.reading_rewards import read_rewards
from coalition.terms.rules import read_rule
from coalition.terms.terms import LATENESS_DAYS_DEFAULT, Breakage, HouseTerms, Terms
from coalition.terms.validity import read_validity
from coalition.toml.document import (
    Section,
    check_keys,
    read_choice,
    read_count,
    read_date,
    read_decimal,
    read_flag,
    read_money,
    read_number,
    read_text,
    sections,
    subsection,
)
from settlement.money import PRICE_DIGITS_MAX

# Before this year a coalition's calendar is a slip of the pen, and the database's year gets short.
_FIRST_WINDOW_YEAR_MIN = 1900

_TERMS_KEYS = (
    *("name", "currency", "time_zone", "joined_on", "suspended", "lateness_days_max"),
    *("earn", "earning", "validity", "burning", "rewards", "prices", "pair_prices"),
    *("settlement", "calendar"),
)
# What the house may say of all merchants, and a merchant of itself.
_BURNING_KEYS = ("points_per_member_per_day_max", "pin_above_points")
_HOLD_SECONDS_DEFAULT = 604_800
_HOLD_SECONDS_MAX = 366 * 86_400
_LATENESS_DAYS_MAX = 366


def read_terms(code: str, document: Section, filed_for: date | None = None) -> Terms:
    """A merchant's terms; filed_for is the day in the file's name, if there is one.

    What is missing or wrong is noted and left at a default.
    """
    check_keys(document, _TERMS_KEYS)
    currency = _currency(document)
    joined_on = read_date(document, "joined_on")
    earning = subsection(document, "earning")
    check_keys(earning, ["rates", "outright", "points_per_earn_max"])
    burning = subsection(document, "burning")
    check_keys(burning, [*_BURNING_KEYS, "points_per_burn_max", "hold_seconds_max"])
    settlement = subsection(document, "settlement")
    check_keys(settlement, ["breakage", "settles_through", "minimum_payout"])
    calendar = subsection(document, "calendar")
    check_keys(calendar, ["payments"])
    breakage = read_choice(settlement, "breakage", get_args(Breakage), "issuer")
    rates = _rates(earning, currency)
    return Terms(
        code=code,
        name=read_text(document, "name", required=True) or code,
        currency=currency or "",
        time_zone=_time_zone(document),
        joined_on=joined_on or date.min,
        rates=rates,
        validity=read_validity(subsection(document, "validity")),
        # Prices have days of their own: they all stand in the file without a date.
        prices=() if filed_for else _prices(code, document, joined_on),
        pair_prices=_pair_prices(code, document),
        suspended=read_flag(document, "suspended"),
        points_outright=read_flag(earning, "outright"),
        points_per_earn_max=read_count(earning, "points_per_earn_max", 1, POINTS_MAX),
        points_per_burn_max=read_count(burning, "points_per_burn_max", 1, POINTS_MAX),
        hold_seconds_max=read_count(burning, "hold_seconds_max", 1, _HOLD_SECONDS_MAX)
        or _HOLD_SECONDS_DEFAULT,
        lateness_days_max=read_count(document, "lateness_days_max", 1, _LATENESS_DAYS_MAX)
        or LATENESS_DAYS_DEFAULT,
        breakage=cast(Breakage, breakage),
        settles_through=read_text(settlement, "settles_through"),
        minimum_payout=read_money(settlement, "minimum_payout", currency) or 0,
        payment_rule=read_rule(calendar, "payments"),
        filed_for=filed_for,
        points_per_member_per_day_max=_points_a_day(burning),
        pin_above_points=read_count(burning, "pin_above_points", 0, POINTS_MAX),
        rules=read_rules(
            document, currency, has_rates=bool(rates), begin=filed_for or joined_on or date.min
        ),
        rewards=read_rewards(document, currency),
    )


def read_house(document: Section) -> HouseTerms:
    """The house's terms, under the same rules as read_terms."""
    check_keys(document, ["name", "currency", "time_zone", "calendar", "burning", "settlement"])
    calendar = subsection(document, "calendar")
    check_keys(calendar, ["windows", "first_window_on", "payments"])
    settlement = subsection(document, "settlement")
    check_keys(settlement, ["minimum_payout"])
    burning = subsection(document, "burning")
    check_keys(burning, _BURNING_KEYS)
    currency = _currency(document)
    first_window_on = _first_window_on(calendar)
    return HouseTerms(
        name=read_text(document, "name", required=True) or "",
        currency=currency or "",
        time_zone=_time_zone(document),
        first_window_on=first_window_on or date.min,
        window_rule=read_rule(calendar, "windows", first_window_on, required=True) or "",
        minimum_payout=read_money(settlement, "minimum_payout", currency) or 0,
        payment_rule=read_rule(calendar, "payments"),
        points_per_member_per_day_max=_points_a_day(burning),
        pin_above_points=read_count(burning, "pin_above_points", 0, POINTS_MAX),
    )


def _points_a_day(burning: Section) -> int | None:
    return read_count(burning, "points_per_member_per_day_max", 1, POINTS_MAX)


def _currency(document: Section) -> str | None:
    currency = read_text(document, "currency", required=True)
    if currency is None or currency in ISO_4217:
        return currency
    meant = MEANT.get(currency.strip().upper())
    near = [meant] if meant else difflib.get_close_matches(currency.upper(), ISO_4217, n=1)
    right = f'did you mean "{near[0]}"?' if near else 'write its three letters, such as "USD"'
    document.note("currency", f'"{currency}" is not a currency of ISO 4217; {right}')
    return None


def _time_zone(document: Section) -> str:
    zone = read_text(document, "time_zone", required=True)
    if zone is None:
        return ""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(zone, zoneinfo.available_timezones(), n=1)
        right = f'did you mean "{near[0]}"?' if near else 'write it such as "America/New_York"'
        document.note("time_zone", f'"{zone}" is not a time zone of the IANA database; {right}')
    return zone


def _rates(earning: Section, currency: str | None) -> tuple[Rate, ...]:
    rates: dict[str, Rate] = {}
    for section in sections(earning, "rates"):
        check_keys(section, ["category", "points", "per"])
        category = read_text(section, "category", required=True)
        per = read_money(section, "per", currency, required=True)
        if per == 0:
            section.note("per", 'nothing can be earned per "0"; write it such as "1.00"')
        if category in rates:
            section.note("category", f'"{category}" has a rate above already; leave one of them')
        elif category:
            rates[category] = Rate(category, read_number(section, "points") or Decimal(0), per or 1)
    return tuple(rates.values())


def _prices(code: str, document: Section, joined_on: date | None) -> tuple[Price, ...]:
    by_day: dict[date, Price] = {}
    is_whole = True
    for section in sections(document, "prices"):
        check_keys(section, ["effective_from", "issue_price", "burn_price", "redeem_price"])
        day = read_date(section, "effective_from")
        price = Price(
            origin=code,
            redeemer=None,
            effective_from=day or date.min,
            issue_price=_price(section, "issue_price") or Decimal(0),
            burn_price=_price(section, "burn_price") or Decimal(0),
            redeem_price=_price(section, "redeem_price"),
        )
        if day is None:
            is_whole = False
        elif day in by_day:
            section.note("effective_from", f"prices from {day} stand above already; leave one")
        else:
            by_day[day] = price
    if document.values.get("prices", []) == []:
        document.note(None, "no prices; write [[prices]] with effective_from and burn_price")
    elif by_day and is_whole and joined_on is not None and min(by_day) > joined_on:
        document.note(
            "joined_on",
            f"{joined_on} is before the first prices, from {min(by_day)}; "
            f"start them on {joined_on} or earlier, so that no point is without a price",
        )
    return tuple(by_day[day] for day in sorted(by_day))


def _pair_prices(code: str, document: Section) -> tuple[Price, ...]:
    pairs: dict[tuple[str, date], Price] = {}
    for section in sections(document, "pair_prices"):
        check_keys(section, ["redeemer", "effective_from", "burn_price", "redeem_price"])
        redeemer = read_text(section, "redeemer", required=True)
        day = read_date(section, "effective_from")
        burn_price = _price(section, "burn_price", required=True)
        redeem_price = _price(section, "redeem_price")
        if redeemer is None or day is None:
            continue
        if (redeemer, day) in pairs:
            section.note(
                "effective_from", f"a price at {redeemer} from {day} stands above; leave one"
            )
        pairs[redeemer, day] = Price(
            code, redeemer, day, burn_price=burn_price or Decimal(0), redeem_price=redeem_price
        )
    return tuple(pairs[key] for key in sorted(pairs))


def _price(section: Section, key: str, *, required: bool = False) -> Decimal | None:
    """A price a point, as numeric(12, 6) holds it."""
    return read_decimal(
        section,
        key,
        digits_max=PRICE_DIGITS_MAX,
        below=1_000_000,
        example="0.010",
        required=required,
    )


def _first_window_on(calendar: Section) -> date | None:
    day = read_date(calendar, "first_window_on")
    if day is not None and day.year < _FIRST_WINDOW_YEAR_MIN:
        calendar.note(
            "first_window_on",
            f"{day} is too early; write a day from {_FIRST_WINDOW_YEAR_MIN}-01-01 on",
        )
        return None
    return day
