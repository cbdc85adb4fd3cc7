"""The demo from end to end: a year of shopping through a coalition of its own, and what to look at.

It runs on a database that is made for it and gone afterwards; what stays is the folder it writes.
Each step is a room of its own: data, people, replay, statements, figures, report, picture.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition import embedded
from coalition.clearing.service import ensure_first_window, list_windows, read_result
from coalition.database import create_engine, migrate
from coalition.demo.data import GROCER, YEAR_ENDS_AT, Frames, load, year
from coalition.demo.events import Year
from coalition.demo.figures import figures_of
from coalition.demo.people import enrol
from coalition.demo.picture import matrix_svg
from coalition.demo.replay import Tally, replay
from coalition.demo.report import print_end, print_tally, print_windows, print_year
from coalition.demo.statements import write_statements
from coalition.earning.terms import HouseTerms, Terms
from coalition.ledger.post import Ledger
from coalition.merchants.files import read_folder
from coalition.merchants.store import sync
from coalition.verify import Breach, verify
from settlement.obligation import Result
from settlement.window import midnight

# The database is thrown away at the end, so nothing has to survive a power cut.
SERVER_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
BREACHES_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Coalition:
    """Whose year it is: the house and its merchants, as their files say."""

    house: HouseTerms
    merchants: list[Terms]


async def run(folder_out: Path, merchants_folder: Path, *, console: Console) -> int:
    """Run the whole demo and write what it shows to folder_out; 1 where verify found a breach.

    Raises MerchantFilesError for the merchants' files, ModuleNotFoundError without the extra
    `demo`, EmbeddedError where no database can be started.
    """
    house, merchants = read_folder(merchants_folder)
    started_s = time.monotonic()
    with embedded.scratch(options=SERVER_OPTIONS) as server:
        url = embedded.url(server, "postgres")
        await migrate(url)
        engine = create_engine(url)
        try:
            breaches = await show(
                engine, Coalition(house, merchants), load(), folder_out, console=console
            )
        finally:
            await engine.dispose()
    console.print(f"All of it took {time.monotonic() - started_s:.0f} seconds.")
    return 1 if breaches else 0


async def show(
    engine: AsyncEngine, coalition: Coalition, frames: Frames, folder_out: Path, *, console: Console
) -> int:
    """Replay these frames on a fresh, migrated database, write and print; how many breaches."""
    made = year(frames)
    print_year(console, made)
    tally = await _replay(engine, coalition, made, console)
    print_tally(console, tally)
    currency = coalition.house.currency
    async with engine.connect() as connection:
        results = await _results(connection)
        print_windows(
            console, {label: figures_of(result) for label, result in results.items()}, currency
        )
        with _step(console, "Writing every statement", len(results)) as advance:
            count = await write_statements(connection, folder_out, list(results), advance)
        _draw(coalition, results, folder_out / "matrix.svg")
        breaches = await verify(connection)
    console.print(f"Wrote {count:,} statement files, and the year's matrix, to {folder_out}.")
    _print_verdict(console, breaches)
    print_end(console, folder_out, list(results)[-1], GROCER)
    return len(breaches)


async def _replay(engine: AsyncEngine, coalition: Coalition, made: Year, console: Console) -> Tally:
    house = coalition.house
    begins_at = midnight(house.first_window_on, ZoneInfo(house.time_zone))
    async with engine.begin() as connection:
        await sync(connection, house, coalition.merchants, begins_at)
        await ensure_first_window(connection, house)
        people = await enrol(connection, made.households, begins_at)
    ledger = Ledger(engine)
    await ledger.start()
    with _step(console, "Replaying the year", len(made.events)) as advance:
        return await replay(
            engine, ledger, made.events, people, ends_at=YEAR_ENDS_AT, advance=advance
        )


@contextmanager
def _step(console: Console, words: str, steps: int) -> Iterator[Callable[[str, int], None]]:
    """What to tell how far a step is: where it stands, and how many steps were done there.

    A progress bar on a terminal; elsewhere a line for each new place, so that a log shows it too.
    """
    if console.is_terminal:
        bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*bar, TimeRemainingColumn(), console=console) as progress:
            task = progress.add_task(words, total=steps)
            yield lambda place, done: progress.update(
                task, advance=done, description=f"{words}: {place}"
            )
        return
    places: list[str] = []

    def line(place: str, done: int) -> None:
        if place not in places:
            places.append(place)
            console.print(f"{words}: {place}")

    yield line


async def _results(connection: AsyncConnection) -> dict[str, Result]:
    """What every closed window came to, the oldest first, by its label."""
    windows = await list_windows(connection)
    return {
        window.label: await read_result(connection, window.label)
        for window in windows
        if window.netted_at is not None
    }


def _draw(coalition: Coalition, results: Mapping[str, Result], path: Path) -> None:
    names = {terms.code: terms.name for terms in coalition.merchants}
    paths = [line for result in results.values() for line in result.paths]
    title = f"{coalition.house.name}: whose points were burned where, 2017"
    drawn = matrix_svg(paths, names, title=title, currency=coalition.house.currency)
    path.write_text(drawn, encoding="utf-8", newline="\n")


def _print_verdict(console: Console, breaches: Sequence[Breach]) -> None:
    if not breaches:
        console.print(
            "Verified: every rule of the ledger holds, every month's positions add up to zero, and "
            "every closed month comes out of the ledger again as it was closed."
        )
        return
    console.print(f"NOT in order: {len(breaches):,} rows break a rule of the ledger:")
    for breach in breaches[:BREACHES_SHOWN_MAX]:
        console.print(f"  {breach.rule}: {breach.row}", markup=False)
