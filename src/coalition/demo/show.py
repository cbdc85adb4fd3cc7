"""The demo from end to end: a year of shopping through a coalition of its own, and what to look at.

It runs on a database that is made for it and gone afterwards; what stays is the folder it writes.
Each step is a room of its own: data, people, replay, statements, figures, report, picture.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coalition.clearing.service import ensure_first_window, list_windows, read_result
from coalition.database import DATABASE, OWNER, create_engine, migrate, set_up
from coalition.demo.data import GROCER, YEAR_ENDS_AT, load, year
from coalition.demo.events import Year
from coalition.demo.figures import figures_of
from coalition.demo.people import enrol
from coalition.demo.picture import matrix_svg
from coalition.demo.replay import Tally, replay
from coalition.demo.report import print_end, print_tally, print_verdict, print_windows, print_year
from coalition.demo.statements import write_statements
from coalition.importing.importer import importing
from coalition.postgres import server as embedded
from coalition.sealing.digests import seal_key
from coalition.sealing.encryption import Keyring
from coalition.terms.folder import read_folder
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms
from coalition.verify import SAID, verify
from settlement.documents import FORMATS
from settlement.obligation import Result
from settlement.window import midnight


@dataclass(frozen=True, slots=True)
class Coalition:
    """Whose year it is: the house and its merchants, as their files say."""

    house: HouseTerms
    merchants: list[Terms]


async def run(folder_out: Path, merchants_folder: Path, *, console: Console) -> int:
    """Run the whole demo and write what it shows to folder_out; 1 where verify found a breach.

    Raises MerchantFilesError for the merchants' files, EmbeddedError where no database can be
    started.
    """
    coalition = Coalition(*read_folder(merchants_folder))
    started_s = time.monotonic()
    with console.status("Reading a year of shopping"):
        made = year(load())
    with embedded.scratch() as server:
        url = await set_up(server, DATABASE)
        await migrate(embedded.url(server, DATABASE, OWNER))
        # Of a database that nobody keeps.
        engine = create_engine(url, seal_key(secrets.token_bytes(32)))
        try:
            breaches = await show(engine, coalition, made, folder_out, console=console)
        finally:
            await engine.dispose()
    console.print(f"All of it took {time.monotonic() - started_s:.0f} seconds.")
    return 1 if breaches else 0


async def show(
    engine: AsyncEngine, coalition: Coalition, made: Year, folder_out: Path, *, console: Console
) -> int:
    """Replay this year on a fresh, migrated database, write and print; how many breaches."""
    print_year(console, made)
    print_tally(console, await _replay(engine, coalition, made, console))
    async with engine.connect() as connection:
        windows = {window.label: window for window in await list_windows(connection)}
        results = {
            label: await read_result(connection, label)
            for label, window in windows.items()
            if window.netted_at is not None
        }
        figures = {label: figures_of(result) for label, result in results.items()}
        print_windows(console, figures, coalition.house.currency)
        await _write(connection, coalition, results, folder_out, console)
        with _step(console, "Checking every rule of the ledger", len(SAID) + len(results)) as tell:
            breaches = await verify(connection, on_rule=lambda rule: tell("", 1))
    print_verdict(console, breaches)
    print_end(console, folder_out, list(results)[-1], GROCER)
    return len(breaches)


async def _replay(engine: AsyncEngine, coalition: Coalition, made: Year, console: Console) -> Tally:
    house = coalition.house
    begins_at = midnight(house.first_window_on, ZoneInfo(house.time_zone))
    async with engine.begin() as connection:
        await sync(connection, house, coalition.merchants, begins_at)
        await ensure_first_window(connection, house)
    # The demo's database is gone at its end, and with it whatever only these keys open.
    async with importing(engine, Keyring(secrets.token_bytes(32))) as importer:
        people = await enrol(importer, made.households, begins_at)
        with _step(console, "Replaying the year", len(made.events)) as advance:
            return await replay(
                importer, made.events, people, ends_at=YEAR_ENDS_AT, advance=advance
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
                task, advance=done, description=f"{words}: {place}" if place else words
            )
        return
    places: list[str] = []

    def line(place: str, done: int) -> None:
        if place not in places:
            places.append(place)
            console.print(f"{words}: {place}" if place else words)

    yield line


async def _write(
    connection: AsyncConnection,
    coalition: Coalition,
    results: Mapping[str, Result],
    folder_out: Path,
    console: Console,
) -> None:
    house = coalition.house
    names = {terms.code: terms.name for terms in coalition.merchants}
    parties = (*names, house.code)
    with _step(console, "Writing statements", len(results)) as advance:
        count = await write_statements(connection, folder_out, results, parties, advance)
    title = f"{house.name}: whose points were burned where, 2017"
    drawn = matrix_svg(results.values(), names, title=title, currency=house.currency)
    (folder_out / "matrix.svg").write_bytes(drawn.encode())
    kinds = ", ".join(kind.upper() for kind in FORMATS)
    console.print(
        f"Wrote {count // len(FORMATS):,} statements, one a party and month, each as {kinds}."
    )
