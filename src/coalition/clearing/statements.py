"""One party's statement of a closed window, read from what the close stored."""

from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.rebuild import netted_window
from coalition.errors import CoalitionError, Code
from coalition.merchants.book import Book
from coalition.merchants.store import load_book
from settlement import store as windows
from settlement.obligation import HOUSE, POOL
from settlement.statement import Statement, build


async def read_statement(connection: AsyncConnection, label: str, party: str) -> Statement:
    """The statement of `party` (a code; house and pool too) for the closed window `label`.

    Raises CoalitionError not_found: an unknown window or party, or a window that is still open.
    """
    book = await load_book(connection)
    if party not in book.ids:
        raise CoalitionError(Code.NOT_FOUND, f"there is no merchant called {party!r}")
    window = await netted_window(connection, label)
    result = await windows.result_of(connection, window.window_id)
    return build(result, window, party, name_of(book, party))


def name_of(book: Book, party: str) -> str:
    """What a party is called on paper."""
    if party == HOUSE:
        return book.house.name
    if party == POOL:
        return "Breakage pool"
    return book.merchants[book.ids[party]].terms.name
