"""A closed window computed once more from the ledger, and how that differs from what is stored."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing import lines, store
from coalition.clearing.policy import Policy, policy_of, policy_then, terms_at_end
from coalition.clearing.price import RULE_VERSION, PriceTable, Tally, price
from coalition.errors import CoalitionError, Code, shown
from coalition.terms.book import Book
from coalition.terms.store import load_book
from settlement import results
from settlement import store as windows
from settlement.netting import Balances, net
from settlement.obligation import Result
from settlement.window import Window


async def compute(
    connection: AsyncConnection, book: Book, window: Window, table: PriceTable
) -> Result:
    """What a window comes to by the terms of its last day, from its rows. Writes nothing."""
    rows = await store.tallies(connection, window.window_id, table, book.codes)
    policy = policy_of(book, window, terms_at_end(book, window))
    return await _net(connection, window, rows, table, policy)


async def rebuild(connection: AsyncConnection, label: str) -> Result:
    """A netted window computed again from legs, lots, and the prices and terms of its netting.

    CoalitionError not_found where there is no such window, or it has no result yet.
    """
    window = await netted_window(connection, label)
    return await _rebuild(connection, window, await lines.result_of(connection, window.window_id))


async def _rebuild(connection: AsyncConnection, window: Window, stored: Result) -> Result:
    book = await load_book(connection)
    table = await store.read_prices(connection, _known_at(window))
    rows = await store.tallies(connection, window.window_id, table, book.codes)
    kept = await store.read_terms(connection, window.window_id)
    # A merchant without kept terms joined after the close, and has no row in the window.
    then = policy_of(book, window, terms_at_end(book, window) | kept)
    if not kept:
        then = policy_then(then, stored, rows, table)
    # By the rule of its own time: a later one must not change what is closed.
    version = window.rule_version or RULE_VERSION
    return await _net(connection, window, rows, table, then, version)


async def _net(
    connection: AsyncConnection,
    window: Window,
    rows: list[Tally],
    table: PriceTable,
    policy: Policy,
    rule_version: int = RULE_VERSION,
) -> Result:
    # The window before left this one its opening balances: closing(n) = opening(n + 1).
    openings = await results.closings(connection, window.window_id - 1)
    # In a thread: a large window takes seconds, and a server that closes it goes on answering.
    return await asyncio.to_thread(_price_and_net, rows, table, policy, openings, rule_version)


def _price_and_net(
    rows: list[Tally], table: PriceTable, policy: Policy, openings: Balances, rule_version: int
) -> Result:
    priced = price(rows, table, policy.parties, rule_version)
    obligations, positions = net(
        priced.obligations,
        openings,
        seen={(line.origin, line.currency) for line in priced.paths},
        through=policy.through,
        minimum_due=policy.minimum_due,
    )
    return Result(tuple(priced.paths), obligations, positions, tuple(priced.tills))


async def netted_window(connection: AsyncConnection, label: str) -> Window:
    """The window called so, with a stored result; CoalitionError not_found otherwise."""
    window = await named_window(connection, label)
    if window.netted_at is None:
        raise CoalitionError(
            Code.NOT_FOUND,
            f"window {label} has no result yet: it is {window.status} and ends at "
            f"{window.closes_at.isoformat()}; ask again after its close",
        )
    return window


async def named_window(connection: AsyncConnection, label: str) -> Window:
    """The window called so; CoalitionError not_found, with the open one's label, otherwise."""
    window = await windows.window_called(connection, label)
    if window is None:
        labels = [one.label for one in await windows.list_windows(connection) if one.is_open]
        example = f"the open one is {labels[0]}" if labels else "none is open yet"
        raise CoalitionError(Code.NOT_FOUND, f"there is no window {shown(label)!r}; {example}")
    return window


async def differs(connection: AsyncConnection, label: str) -> list[str]:
    """Each line in which the stored result and the one rebuilt from the ledger are not the same."""
    window = await netted_window(connection, label)
    stored = await lines.result_of(connection, window.window_id)
    rebuilt = await _rebuild(connection, window, stored)
    return [
        *_differences(label, "path", stored.paths, rebuilt.paths),
        *_differences(label, "till's line", stored.tills, rebuilt.tills),
        *_differences(label, "obligation", stored.obligations, rebuilt.obligations),
        *_differences(label, "position", stored.positions, rebuilt.positions),
    ]


def _differences(
    label: str, what: str, stored: Iterable[object], rebuilt: Iterable[object]
) -> list[str]:
    is_stored, is_rebuilt = Counter(stored), Counter(rebuilt)
    return [
        *(
            f"window {label}: {what} is stored, but the ledger does not give it: {line}"
            for line in (is_stored - is_rebuilt)
        ),
        *(
            f"window {label}: {what} follows from the ledger, but is not stored: {line}"
            for line in (is_rebuilt - is_stored)
        ),
    ]


def _known_at(window: Window) -> datetime:
    # A price recorded after the netting may still name a day on which a posting fell that came
    # between the window's end and its close.
    assert window.netted_at is not None, f"window {window.label} is not netted"
    return window.netted_at
