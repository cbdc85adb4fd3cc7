"""What a window of the model comes to: lines and positions, from the contract's prices alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from tests.coalition.ledger.model import Model

from coalition.terms.prices import Price
from coalition.terms.terms import Terms

Balances = dict[str, int]
# origin, redeemer, kind, the earlier window it is about, points, price, minor units
Row = tuple[str, str, str, int | None, int, Decimal, int]
# debtor, creditor, price
Debt = tuple[str, str, Decimal]


def lines(model: Model, window: int) -> tuple[Counter[Row], dict[str, int]]:
    """The path lines of a window, and the net of each party in minor units."""
    points: dict[tuple[str, str, str, int | None, bool, tuple[Debt, ...]], int] = defaultdict(int)
    for member in model.members.values():
        for lot in member.lots:
            if lot.window == window and lot.kind != "transfer":
                dues = _owing(_issue(model.terms[lot.origin], lot.earned_on))
                points[lot.origin, lot.origin, "issue", lot.about, False, dues] += lot.points
        for burn, leg in member.legs:
            if leg.window != window:
                continue
            origin = leg.lot.origin
            redeemer = burn.redeemer or origin
            dues = _owing(_dues(model.terms, origin, redeemer, burn.kind, leg.on))
            back = leg.about is not None and leg.points < 0
            points[origin, redeemer, burn.kind, leg.about, back, dues] += leg.points
    rows: Counter[Row] = Counter()
    nets: dict[str, int] = defaultdict(int)
    for (origin, redeemer, kind, about, _, dues), count in points.items():
        if not count:
            continue
        price = dues[0][2] if dues else Decimal(0)
        rows[origin, redeemer, kind, about, count, price, minor(count, price)] += 1
        for debtor, creditor, due in dues:
            nets[debtor] -= minor(count, due)
            nets[creditor] += minor(count, due)
    return rows, {party: net for party, net in nets.items() if net}


def settle(
    terms: dict[str, Terms], openings: Balances, nets: dict[str, int]
) -> tuple[dict[str, tuple[int, int, int, int]], Balances]:
    """Opening, net, paid and closing of each party; balances are paid where large enough."""
    paid: dict[str, int] = defaultdict(int)
    for party in openings.keys() | nets.keys():
        balance = openings.get(party, 0) + nets.get(party, 0)
        if party in terms and abs(balance) >= terms[party].minimum_payout:
            paid[party] += balance
            paid["house"] -= balance
    positions, closings = {}, {}
    for party in openings.keys() | nets.keys():
        opening, net = openings.get(party, 0), nets.get(party, 0)
        closings[party] = opening + net - paid[party]
        positions[party] = (opening, net, paid[party], closings[party])
    if "house" not in positions and paid["house"]:
        closings["house"] = -paid["house"]
    return positions, {party: closing for party, closing in closings.items() if closing}


def minor(points: int, price: Decimal) -> int:
    return int((points * price * 100).to_integral_value(ROUND_HALF_EVEN))


def _owing(dues: tuple[Debt, ...]) -> tuple[Debt, ...]:
    """A price of 0 and none agreed on yet are the same: nobody owes anybody anything."""
    return dues if any(price for _, _, price in dues) else ()


def _issue(terms: Terms, on: date) -> tuple[Debt, ...]:
    price = _on(terms.prices, on)
    return ((terms.code, "house", price.issue_price),) if price else ()


def _dues(
    terms: dict[str, Terms], origin: str, redeemer: str, kind: str, on: date
) -> tuple[Debt, ...]:
    """Who owes whom for one point, on that day."""
    own = _on(terms[origin].prices, on)
    if own is None or kind == "transfer":
        return ()
    if kind == "clawback":
        return (("house", origin, own.issue_price),)
    if kind == "expiry":
        holder, value = ("house", own.issue_price) if own.issue_price else (origin, own.burn_price)
        owner = {"issuer": origin, "house": "house", "pool": "pool"}[terms[origin].breakage]
        return ((holder, owner, value),) if holder != owner else ()
    if origin == redeemer:
        return ()
    pair = _on([p for p in terms[origin].pair_prices if p.redeemer == redeemer], on)
    at_till = pair or _on(terms[redeemer].prices, on)
    pays = (pair or own).burn_price
    gets = at_till.redeem_price if at_till else None
    return ((origin, "house", pays), ("house", redeemer, pays if gets is None else gets))


def _on(prices: Iterable[Price], on: date) -> Price | None:
    """The price in force: the last one that began by then."""
    begun = [price for price in prices if price.effective_from <= on]
    return max(begun, key=lambda price: price.effective_from, default=None)
