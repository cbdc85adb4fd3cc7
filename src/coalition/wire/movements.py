"""From a parsed body to a command of the ledger: what one field alone cannot tell (422 invalid).

Pure: the book and the clock are arguments. What depends on balances, cards and lots, or on terms
that may change, is decided by the ledger: a replay must answer as it did before they changed.
"""

from datetime import UTC, datetime

from coalition.earning.purchase import Item
from coalition.errors import CoalitionError, Code, shown
from coalition.ledger.commands import CLOCK_DRIFT, Burn, Earn, Take, Transfer, Wanted
from coalition.members.card import parse_card
from coalition.members.phone import e164
from coalition.terms.book import Book, Merchant
from coalition.wire.bodies import BurnBody, EarnBody, ItemBody, TakeBody, TransferBody

# A year 1 has no local day everywhere; before which day a merchant earned nothing is the ledger's.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def invalid(detail: str) -> CoalitionError:
    return CoalitionError(Code.INVALID, detail)


def read_phone(text: str | None) -> str | None:
    """A phone number in E.164. Raises CoalitionError, invalid."""
    try:
        return None if text is None else e164(text)
    except ValueError as error:
        raise CoalitionError(Code.INVALID, f"phone: {error}") from None


def read_card(text: str, field: str = "card") -> int:
    """The card number in `field`; a wrong Luhn digit is invalid without a look-up."""
    try:
        return parse_card(text)
    except ValueError as error:
        raise invalid(f"{field}: {error}") from None


def read_earn(body: EarnBody, book: Book, merchant_id: int, now: datetime) -> Earn:
    """The earn that a merchant asks for at `now`. Raises invalid."""
    card = read_card(body.card)
    merchant = _merchant(book, merchant_id, "earns")
    if body.code is not None:
        raise invalid(f"code: {merchant.terms.code}'s terms define no codes yet")
    _check_what_is_earned(body, merchant)
    return Earn(
        card=card,
        occurred_at=read_time(body.occurred_at, now),
        amount=body.amount,
        items=tuple(map(_item, body.items)),
        points=body.points,
        reference=body.reference,
        action=body.action,
        channel=body.channel,
        region=body.region,
        store=body.store,
        tax=body.tax,
        delivery=body.delivery,
        paid_with_points=body.paid_with_points,
    )


def _check_what_is_earned(body: EarnBody, merchant: Merchant) -> None:
    terms = merchant.terms
    is_purchase = body.amount is not None or bool(body.items)
    is_worth_something = is_purchase or body.action is not None
    if not is_worth_something and body.points is None:
        raise invalid("one of amount, items, action and points is needed: none was sent")
    if is_worth_something and body.points is not None:
        raise invalid("points: sent beside amount, items or action; send those or the points")
    # A merchant's currency never changes, so this may be told before a replay is looked for.
    if body.currency is not None and body.currency != terms.currency:
        raise invalid(f"currency: {terms.code} earns in {terms.currency}, not in {body.currency}")


def _item(item: ItemBody) -> Item:
    return Item(item.amount, item.category, item.sku, item.quantity)


def read_burn(body: BurnBody, book: Book, merchant_id: int, now: datetime) -> Burn:
    """The burn that a merchant asks for at `now`. Raises invalid."""
    card = read_card(body.card)
    _merchant(book, merchant_id, "burns")
    wants, points = _wanted(body), body.points or 0
    if wants is None and body.points is None:
        raise invalid("points: how many to burn is missing")
    return Burn(
        card=card,
        points=points,
        occurred_at=read_time(body.occurred_at, now),
        take=Take() if wants else read_take(body.take, points, book),
        hold_seconds=_hold_seconds(body),
        reference=body.reference,
        wants=wants,
    )


def _wanted(body: BurnBody) -> Wanted | None:
    if body.reward is None:
        if body.quantity != 1 or body.price is not None or body.collect is not None:
            raise invalid("quantity, price and collect are a reward's; send reward as well")
        return None
    if body.points is not None or body.take != "oldest":
        raise invalid("points and take: the reward's price says both; leave them out")
    store = body.collect.store if body.collect else None
    return Wanted(body.reward, body.quantity, body.price, store=store)


def _hold_seconds(body: BurnBody) -> int | None:
    """None: no hold; 0: as long as the terms allow, which the ledger knows."""
    if not body.hold:
        if body.hold_seconds is not None:
            raise invalid('hold_seconds: sent without "hold": true')
        return None
    return body.hold_seconds or 0


def read_transfer(body: TransferBody, book: Book) -> Transfer:
    """The gift asked for. Two cards of one member are the ledger's to refuse. Raises invalid."""
    giver, taker = read_card(body.from_card, "from_card"), read_card(body.to_card, "to_card")
    if giver == taker:
        raise invalid("to_card: the same as from_card; a transfer is to another member")
    return Transfer(giver, taker, body.points, read_take(body.take, body.points, book))


def read_take(take: str | TakeBody, points: int, book: Book) -> Take:
    """Which lots to take. A mix must add up to `points` and name merchants only. Raises invalid."""
    if isinstance(take, str):
        return Take("own_first") if take == "own_first" else Take()
    if (take.only is None) == (take.mix is None):
        raise invalid('take: {"only": ...} or {"mix": {...}}, exactly one of the two')
    if take.only is not None:
        return Take("only", only=_origin(take.only, "take.only", book))
    assert take.mix is not None
    mix = tuple((_origin(code, "take.mix", book), part) for code, part in take.mix.items())
    if (total := sum(part for _, part in mix)) != points:
        raise invalid(f"take.mix: adds up to {total}, and points is {points}")
    return Take("mix", mix=mix)


def read_time(at: datetime | None, now: datetime) -> datetime:
    """When it happened, in UTC; absent: now. Raises invalid: in the future, before 1970."""
    if at is None:
        return now
    if at > now + CLOCK_DRIFT:
        raise invalid(f"occurred_at: {at.isoformat()} is in the future")
    if at < EARLIEST:
        raise invalid(f"occurred_at: {at.isoformat()} is before 1970")
    return at.astimezone(UTC)


def _origin(code: str, field: str, book: Book) -> int:
    merchant_id = book.ids.get(code)
    if merchant_id not in book.merchants:
        raise invalid(f"{field}: no merchant is called {shown(code)!r}")
    return merchant_id


def _merchant(book: Book, merchant_id: int, what: str) -> Merchant:
    merchant = book.merchants.get(merchant_id)
    if merchant is None:
        raise invalid(f"the house itself makes no {what}: use a merchant's key")
    return merchant
