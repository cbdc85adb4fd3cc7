"""What a purchase comes to under a merchant's terms, in lines for people."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from coalition.earning.facts import Facts
from coalition.earning.purchase import Item
from coalition.earning.reckoning import Granted, reckon
from coalition.earning.rules.together import PURCHASE
from coalition.errors import CoalitionError, Code
from coalition.ledger.commands import Earn, Request
from coalition.ledger.earns import against_terms, purchase_of, rules_of
from coalition.terms.book import Book, Merchant
from coalition.terms.terms import Terms
from coalition.toml.document import near
from settlement.money import format_amount, minor_digits

_ITEM = re.compile(
    r"(?P<category>[^/*:]*)(/(?P<sku>[^*:]+))?(\*(?P<pieces>[1-9][0-9]{0,5}))?:(?P<amount>[^:]+)"
)


def explained(
    code: str, said: Mapping[str, Any], at: datetime | None, now: datetime, book: Book
) -> Iterator[str]:
    """The reckoning, a line a rule. said: the command's options; at: the merchant's own time.

    Raises CoalitionError, invalid, for what no till could ask.
    """
    merchant = _merchant(code, book)
    command = _earn(said, _moment(at, merchant, now), merchant.terms.currency)
    on = book.business_date(merchant.merchant_id, command.occurred_at)
    terms = merchant.on(on)
    # A day to come is as good as another here, and a day long ago.
    request = Request(command, merchant.merchant_id, command.occurred_at)
    refusal = against_terms(request, command, book)
    if refusal is not None:
        raise CoalitionError(refusal.code, refusal.detail)
    found = reckon(rules_of(terms, on, book), purchase_of(command, merchant), Facts())
    words = _in_words(terms)
    width = max(len(name) for name in (PURCHASE, *words))
    for one in found.granted:
        yield f"{one.rule:<{width}}  {one.points:>9}  {_said(one, words)}"
    for passed in found.passed:
        yield f"{passed.rule:<{width}}  {'-':>9}  {passed.why}"
    most = terms.points_per_earn_max
    more = "" if most is None or found.points <= most else f"; refused, for at most {most} an earn"
    yield f"{'in all':<{width}}  {found.points:>9}  points on {on}{more}"


def _said(one: Granted, words: Mapping[str, str]) -> str:
    paid = ", ".join(f"{code} pays {points}" for code, points in one.paid_by)
    return "; ".join(filter(None, (words[one.rule], one.note, paid)))


def _in_words(terms: Terms) -> dict[str, str]:
    words = {rule.name: rule.in_words(terms.currency) for rule in terms.rules}
    return {PURCHASE: "by the rates"} | words


def _merchant(code: str, book: Book) -> Merchant:
    merchant = book.merchants.get(book.ids.get(code, -1))
    if merchant is None:
        known = [one.terms.code for one in book.merchants.values()]
        raise _invalid(f'no merchant is called "{code}"; {near(code, known)}')
    return merchant


def _moment(at: datetime | None, merchant: Merchant, now: datetime) -> datetime:
    if at is None:
        return now
    if at.hour == at.minute == 0:
        at = at.replace(hour=12)
    return at.replace(tzinfo=merchant.zone).astimezone(UTC)


def _earn(said: Mapping[str, Any], at: datetime, currency: str) -> Earn:
    amount = said["amount"]
    earn = Earn(
        card=0,
        occurred_at=at,
        amount=None if amount is None else _money(amount, currency, "--amount"),
        items=tuple(_item(item, currency) for item in said["items"]),
        action=said["action"],
        channel=said["channel"],
        region=said["region"],
        store=said["store"],
        tax=_money(said["tax"], currency, "--tax"),
        delivery=_money(said["delivery"], currency, "--delivery"),
        paid_with_points=_money(said["paid_with_points"], currency, "--paid-with-points"),
    )
    if amount is None and not earn.items and earn.action is None:
        raise _invalid("say --amount, --item or --action: there is nothing to reckon")
    return earn


def _item(text: str, currency: str) -> Item:
    found = _ITEM.fullmatch(text)
    if found is None:
        raise _invalid(f'--item: "{text}" is not CATEGORY[/SKU][*PIECES]:MONEY, such as data:80.00')
    return Item(
        _money(found["amount"], currency, "--item"),
        found["category"] or None,
        found["sku"],
        int(found["pieces"] or 1),
    )


def _money(text: str | None, currency: str, option: str) -> int:
    """Minor units; None is 0."""
    if text is None:
        return 0
    try:
        minor = Decimal(text).scaleb(minor_digits(currency))
        if minor == minor.to_integral_value() and 0 <= minor < 10**15:
            return int(minor)
    except InvalidOperation:
        pass
    right = format_amount(12000, currency)
    raise _invalid(f'{option}: "{text}" is no amount; write it such as {right}')


def _invalid(detail: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, detail)
