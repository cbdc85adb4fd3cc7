"""Obligations become positions: what each party is owed or owes after everything is set off.

Pure. The house stands between all parties, so every obligation debits one party and credits another
the same amount; any sum of positions is therefore zero, whatever was rounded before. What an
obligation is for, and storing any of this, is not known here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from settlement.obligation import HOUSE, POOL, Obligation, PathLine, Position

Balances = Mapping[tuple[str, str], int]
# The minimum payout (minor units) of a party in a currency; None: no payment is due at this close.
MinimumDue = Callable[[str, str], int | None]

# An obligation that hands an indirect participant's net to another party: the reason says whose.
THROUGH = "through:"


def net(
    obligations: Iterable[Obligation],
    openings: Balances,
    *,
    seen: Iterable[tuple[str, str]],
    through: Mapping[str, str],
    minimum_due: MinimumDue,
) -> tuple[tuple[Obligation, ...], tuple[Position, ...]]:
    """All obligations, those that pass a net through included, and the positions they leave.

    openings are the closing balances of the window before (minor units, by party and currency);
    they add up to zero, and so do nets, instructions and closings. seen names parties that get a
    position even where nothing is owed. ValueError where `through` leads round in a circle.
    """
    owed = list(obligations)
    receivable, payable = _totals(owed)
    last_no = max((line.obligation_no for line in owed), default=0)
    for line in _pass_through(receivable, payable, openings, through, after=last_no):
        receivable[line.creditor, line.currency] += line.amount
        payable[line.debtor, line.currency] += line.amount
        owed.append(line)
    keys = {*receivable, *payable, *seen, *(key for key, balance in openings.items() if balance)}
    keys |= {(HOUSE, currency) for _, currency in keys}
    instructed = _instructions(keys, receivable, payable, openings, minimum_due)
    positions = tuple(
        Position(
            party=party,
            currency=currency,
            receivable=receivable.get((party, currency), 0),
            payable=payable.get((party, currency), 0),
            opening=openings.get((party, currency), 0),
            instructed=instructed[party, currency],
        )
        for party, currency in sorted(keys)
    )
    return tuple(owed), positions


def _totals(
    obligations: Iterable[Obligation],
) -> tuple[defaultdict[tuple[str, str], int], defaultdict[tuple[str, str], int]]:
    receivable: defaultdict[tuple[str, str], int] = defaultdict(int)
    payable: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in obligations:
        receivable[line.creditor, line.currency] += line.amount
        payable[line.debtor, line.currency] += line.amount
    return receivable, payable


def _instructions(
    keys: Iterable[tuple[str, str]],
    receivable: Balances,
    payable: Balances,
    openings: Balances,
    minimum_due: MinimumDue,
) -> dict[tuple[str, str], int]:
    """What each party is paid (positive) or asked for; the house pays and gets the other side."""
    instructed: dict[tuple[str, str], int] = dict.fromkeys(keys, 0)
    for key in sorted(instructed):
        party, currency = key
        # The pool is the house's own money box. An indirect participant has no balance left.
        if party in (HOUSE, POOL):
            continue
        balance = openings.get(key, 0) + receivable.get(key, 0) - payable.get(key, 0)
        minimum = minimum_due(party, currency)
        if balance and minimum is not None and abs(balance) >= minimum:
            instructed[key] = balance
            instructed[HOUSE, currency] -= balance
    return instructed


def _pass_through(
    receivable: Balances,
    payable: Balances,
    openings: Balances,
    through: Mapping[str, str],
    *,
    after: int,
) -> list[Obligation]:
    """One obligation for each indirect participant and currency: its net goes to its parent.

    Leaf first, so that a store's net reaches headquarters by way of its dealer. A balance brought
    along from a window in which it still settled for itself goes with it, or nobody would ever pay
    it. Numbered from after + 1 by party and currency, whoever settles through whom, so that the
    lines alone tell the numbers. ValueError where `through` leads round in a circle.
    """
    balance: dict[tuple[str, str], int] = defaultdict(int)
    for sign, amounts in ((1, openings), (1, receivable), (-1, payable)):
        for key, amount in amounts.items():
            balance[key] += sign * amount
    passed: list[tuple[str, str, int]] = []
    for party in _leaf_first(through):
        for currency in sorted({cur for key, cur in balance if key == party}):
            if amount := balance[party, currency]:
                passed.append((party, currency, amount))
                balance[party, currency] -= amount
                balance[through[party], currency] += amount
    lines: list[Obligation] = []
    for number, (party, currency, amount) in enumerate(sorted(passed), start=after + 1):
        parent = through[party]
        debtor, creditor = (party, parent) if amount > 0 else (parent, party)
        reason = f"{THROUGH}{party}"
        lines.append(Obligation(number, debtor, creditor, abs(amount), currency, reason))
    return lines


def _leaf_first(through: Mapping[str, str]) -> list[str]:
    """Indirect participants, the one furthest from a direct one first."""

    def steps_to_direct(party: str) -> int:
        steps, at = 0, party
        while at in through:
            steps, at = steps + 1, through[at]
            if steps > len(through):
                raise ValueError(
                    f"{party} settles through a circle of parties; one of them must settle directly"
                )
        return steps

    return sorted(through, key=steps_to_direct, reverse=True)


def bilateral(paths: Iterable[PathLine]) -> dict[tuple[str, str, str], int]:
    """The pair matrix, for information and proof: (origin, redeemer, currency) to minor units.

    What each origin's points burned at each redeemer cost the origin, before anything is set off.
    """
    matrix: dict[tuple[str, str, str], int] = defaultdict(int)
    for line in paths:
        if not line.is_own:
            matrix[line.origin, line.redeemer, line.currency] += line.amount
    return dict(matrix)
