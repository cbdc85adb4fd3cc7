"""Do every fault and print what came of each.

`make faults`, or `python -m tests.faults "disk full" "kill -9 of the app"`.
"""

import asyncio
import itertools
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tests.faults.fault import Fault, Place, Seen
from tests.faults.table import FAULTS

from coalition import database
from coalition.postgres import server as embedded
from coalition.postgres.server import EmbeddedServer

HEADS = ("Fault", "What was done", "Times", "What tills saw", "Lost", "Doubled", "verify", "s")
_numbers = itertools.count(1)


def main(names: list[str]) -> int:
    """0 where every fault was survived."""
    if unknown := [name for name in names if name not in FAULTS]:
        print(f"no such fault: {', '.join(unknown)}; there are: {', '.join(FAULTS)}")  # noqa: T201
        return 2
    # What the program logs of its faults is not what is asked here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    table, is_sound = Table(*HEADS), True
    console = Console(width=max(150, Console().width))
    chosen = {name: FAULTS[name] for name in names or FAULTS}
    if sys.platform != "linux":
        left = [name for name, fault in chosen.items() if fault.on_linux_only]
        console.print(f"Not on this system: {', '.join(left) or 'none'}.")
        chosen = {name: fault for name, fault in chosen.items() if name not in left}
    with embedded.scratch() as server, Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        for name, fault in chosen.items():
            progress.update(task, description=name)
            started = time.monotonic()
            seen = asyncio.run(_do(fault, server))
            table.add_row(name, fault.says, *_cells(seen), f"{time.monotonic() - started:.0f}")
            for words in (*seen.wrong, *(seen.breaches if not fault.names_a_breach else ())):
                console.print(f"[red]{name}[/red]: {words}")
            is_sound = is_sound and survived(fault, seen)
            progress.advance(task)
    console.print(table)
    console.print("Every fault was survived." if is_sound else "Not every fault was survived.")
    return 0 if is_sound else 1


def survived(fault: Fault, seen: Seen) -> bool:
    """Whether nothing was lost or doubled, and verify found what there was to be found."""
    is_right = not (seen.lost or seen.doubled or seen.wrong) and seen.times > 0
    return is_right and bool(seen.breaches) == fault.names_a_breach


async def _do(fault: Fault, server: EmbeddedServer) -> Seen:
    name = f"fault_{next(_numbers)}"
    url = await database.set_up(server, name)
    await database.migrate(embedded.url(server, name, database.OWNER))
    folder = Path(tempfile.mkdtemp(prefix="coalition-faults-"))
    try:
        return await fault.do(Place(url, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cells(seen: Seen) -> tuple[str, ...]:
    saw = ", ".join(f"{what} {count:,}" for what, count in sorted(Counter(seen.saw).items()))
    named = f"{len(seen.breaches)} named" if seen.breaches else "all rules hold"
    return f"{seen.times:,}", saw, f"{seen.lost}", f"{seen.doubled}", named


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
