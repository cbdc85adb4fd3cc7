"""What pricing and netting need to know of the parties: from the book, or as it was at a close.

A window keeps the terms that it was netted by. One that was netted before windows did so has only
its stored lines to tell what its terms decided: policy_then. Prices are not here. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from coalition.clearing.kinds import EXPIRY
from coalition.clearing.price import Party, PriceTable, Tally, price
from coalition.terms.book import HOUSE_ID, POOL_ID, Book, DatedTerms
from coalition.terms.terms import Breakage
from settlement.netting import THROUGH, MinimumDue
from settlement.obligation import Obligation, Result
from settlement.window import Window, payment_due


@dataclass(frozen=True, slots=True)
class Policy:
    """Currency and breakage of each party, who settles through whom, and who is paid at a close."""

    parties: Mapping[str, Party]
    through: Mapping[str, str]
    minimum_due: MinimumDue


def terms_at_end(book: Book, window: Window) -> dict[int, DatedTerms]:
    """Each merchant's terms in force on the last day of `window`, the house's date, by id."""
    last_day = book.today(window.closes_at - timedelta(microseconds=1))
    return {key: merchant.in_force(last_day) for key, merchant in book.merchants.items()}


def policy_of(book: Book, window: Window, dated: Mapping[int, DatedTerms]) -> Policy:
    """What these terms, by merchant's id, say of the close of `window`."""
    parties = {
        book.codes[HOUSE_ID]: Party(book.house.currency, "house"),
        book.codes[POOL_ID]: Party(book.house.currency, "pool"),
    }
    through: dict[str, str] = {}
    minimums: dict[str, int] = {}
    for terms in (one.terms for one in dated.values()):
        parties[terms.code] = Party(terms.currency, terms.breakage)
        if terms.settles_through is not None:
            through[terms.code] = terms.settles_through
        if payment_due(
            terms.payment_rule, ZoneInfo(terms.time_zone), window.opens_at, window.closes_at
        ):
            minimums[terms.code] = terms.minimum_payout

    def minimum_due(party: str, currency: str) -> int | None:
        minimum = minimums.get(party)
        # The minimum is an amount of the merchant's own currency; others are paid out whole.
        return minimum if minimum is None or currency == parties[party].currency else 0

    return Policy(parties, through, minimum_due)


def policy_then(now: Policy, stored: Result, tallies: Sequence[Tally], table: PriceTable) -> Policy:
    """The policy that a stored result was netted by, as far as its lines show it."""
    paid = {(line.party, line.currency) for line in stored.positions if line.instructed}
    through = {}
    for line in stored.obligations:
        if line.reason.startswith(THROUGH):
            party = line.reason.removeprefix(THROUGH)
            through[party] = line.creditor if line.debtor == party else line.debtor
    expired: dict[str, list[Tally]] = {}
    for tally in tallies:
        if tally.kind == EXPIRY:
            expired.setdefault(tally.origin, []).append(tally)
    lines = _breakage_lines(stored)
    parties = dict(now.parties)
    for origin, its_tallies in expired.items():
        parties[origin] = _breakage_then(
            parties[origin], its_tallies, table, lines.get(origin, Counter())
        )
    return Policy(
        parties, through, lambda party, currency: 0 if (party, currency) in paid else None
    )


def _breakage_lines(result: Result) -> dict[str, Counter[tuple[object, ...]]]:
    """For each origin what its expired points came to, in a form that can be compared."""
    owed: dict[int | None, Obligation] = {line.path_no: line for line in result.obligations}
    lines: dict[str, Counter[tuple[object, ...]]] = {}
    for path in result.paths:
        if path.kind == EXPIRY:
            due = owed.get(path.path_no)
            side = (due.debtor, due.creditor) if due else None
            seen = (path.redeemer, path.about, path.quantity, path.price, path.amount, side)
            lines.setdefault(path.origin, Counter())[seen] += 1
    return lines


def _breakage_then(
    party: Party,
    tallies: Sequence[Tally],
    table: PriceTable,
    stored: Counter[tuple[object, ...]],
) -> Party:
    """The party with the breakage rule that gives the stored lines; today's where none does."""
    origin = tallies[0].origin
    candidates = [party, *(replace(party, breakage=rule) for rule in get_args(Breakage))]
    parties = {tally.redeemer: party for tally in tallies}
    for candidate in candidates:
        lines = price(tallies, table, {**parties, origin: candidate})
        found = Result(tuple(lines.paths), tuple(lines.obligations), ())
        if _breakage_lines(found).get(origin, Counter()) == stored:
            return candidate
    return party
