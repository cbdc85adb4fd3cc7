"""One party's statement of a closed window, read from what the close stored.

Nothing of it is looked up among the terms of today: a closed statement's bytes never change.
"""

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing import lines
from coalition.clearing.rebuild import netted_window
from coalition.errors import CoalitionError, Code, shown
from coalition.terms.book import Book
from settlement import results
from settlement.obligation import HOUSE, POOL
from settlement.statement import Statement, build


async def read_statement(connection: AsyncConnection, label: str, party: str) -> Statement:
    """The statement of `party` (a code; house and pool too) for the closed window `label`.

    Raises CoalitionError not_found: an unknown window or party, or a window that is still open.
    """
    window = await netted_window(connection, label)
    name = await results.name_at_netting(connection, window.window_id, party)
    if name is None:
        raise CoalitionError(Code.NOT_FOUND, f"there is no merchant called {shown(party)!r}")
    result = await lines.result_of(connection, window.window_id)
    # Off the loop: a large statement takes a second, and tills do not wait for it.
    return await asyncio.to_thread(build, result, window, party, name)


def names_of(book: Book) -> dict[str, str]:
    """What each party is called on paper by the terms as they are now, by its code."""
    names = {merchant.terms.code: merchant.terms.name for merchant in book.merchants.values()}
    return names | {HOUSE: book.house.name, POOL: "Breakage pool"}
