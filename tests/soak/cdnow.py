"""The purchases of CDNOW's first customers, 1997 and 1998, as a file of history for three shops.

Real: who bought, when, how many CDs, and for how much (69,659 purchases of 23,570 people). By rule:
which shop it was at, what is burned, what is brought back. It knows nothing of the program.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
# Of purchases, of burns; and how many days later they are undone.
RETURNED_EACH, RETURNED_AFTER = 23, timedelta(days=10)
CANCELLED_EACH, CANCELLED_AFTER = 25, timedelta(days=80)


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the file. number is the customer's, amount in cents, undoes another row's key."""

    at: datetime
    op: str
    shop: str
    key: str
    number: int
    amount: int = 0
    points: int = 0
    undoes: str = ""


def card(number: int) -> str:
    """A card of sixteen digits, the last by Luhn's rule."""
    body = f"7{number:014d}"
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{body}{-total % 10}"


def events() -> list[Event]:
    """Everything that happens, in the order of time.

    Each purchase earns, by the number of CDs at one of three shops. Whoever bought before burns a
    point for each whole dollar at the next till. Some who bought once bring it back; some burns
    are cancelled.
    """
    lines = list(_lines())
    bought = Counter(number for number, _, _, _ in lines)
    seen: Counter[int] = Counter()
    same_day: Counter[tuple[int, date]] = Counter()
    found: list[Event] = []
    burns = 0
    for place, (number, day, cds, cents) in enumerate(lines):
        shop = "music" if cds == 1 else "video" if cds < 4 else "books"
        seconds = same_day[number, day]
        same_day[number, day] += 1
        at = datetime.combine(day, time(12), ZONE) + timedelta(seconds=seconds)
        found.append(Event(at, "earn", shop, f"e{place}", number, amount=cents))
        if bought[number] == 1 and place % RETURNED_EACH == 0:
            back = at + RETURNED_AFTER
            found.append(Event(back, "reverse_earn", shop, f"r{place}", number, undoes=f"e{place}"))
        if seen[number] and cents >= 100:
            burns += 1
            at += timedelta(hours=6)
            points = cents // 100
            found.append(Event(at, "burn", shop, f"b{place}", number, points=points))
            if burns % CANCELLED_EACH == 0:
                back = at + CANCELLED_AFTER
                undone = f"b{place}"
                found.append(Event(back, "reverse_burn", shop, f"c{place}", number, undoes=undone))
        seen[number] += 1
    return sorted(found, key=lambda event: (event.at, int(event.key[1:]), event.op))


def write(path: Path, happened: list[Event]) -> None:
    """The file of history: every customer, then every event."""
    opened = datetime(1997, 1, 1, tzinfo=ZONE).isoformat()
    with path.open("w") as out:
        for number in sorted({event.number for event in happened}):
            row = {"op": "member", "merchant": "music", "card": card(number)}
            row |= {"enrolled_at": opened, "external_ref": f"customer {number}"}
            out.write(json.dumps(row) + "\n")
        for event in happened:
            out.write(json.dumps(_row(event)) + "\n")


def _row(event: Event) -> dict[str, object]:
    row: dict[str, object] = {"op": event.op, "merchant": event.shop, "key": event.key}
    row["occurred_at"] = event.at.isoformat()
    if event.op == "reverse_earn":
        return row | {"earn_key": event.undoes}
    if event.op == "reverse_burn":
        return row | {"burn_key": event.undoes}
    row |= {"card": card(event.number), "reference": event.key}
    return row | ({"amount": event.amount} if event.op == "earn" else {"points": event.points})


def _lines() -> Iterator[tuple[int, date, int, int]]:
    """(customer, day, CDs, cents) of each purchase, from the wheel of `lifetimes`.

    The package itself is not imported: its data is all that is of use.
    """
    spec = find_spec("lifetimes")
    assert spec is not None, "lifetimes is missing: `make soak` installs it"
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    with (folder / "datasets/CDNOW_master.txt").open() as lines:
        for line in lines:
            cells = line.split()
            if cells[0].isdigit():
                day = datetime.strptime(cells[1], "%Y%m%d").replace(tzinfo=ZONE).date()
                yield int(cells[0]), day, int(cells[2]), int(Decimal(cells[3]) * 100)
