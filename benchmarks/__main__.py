"""The command line of the benchmark: what to run, and where the figures go."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from benchmarks.measure import measure
from benchmarks.place import open_place
from benchmarks.report import machine_of, show, write_json
from benchmarks.rows import rows_of
from benchmarks.sizes import COMPLETE, LARGE, QUICK, sized

WIDTH_IN_A_FILE = 150


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run of two minutes; its figures mean little.")
@click.option("--large", is_flag=True, help="Also 2,000,000 members, 10,000,000 legs: an hour.")
@click.option("--members", type=click.IntRange(1_000), help="Members of the coalition.")
@click.option("--rows", type=click.IntRange(1_000), help="Rows of each night file.")
@click.option("--legs", type=click.IntRange(1_000), help="Legs of the window that is closed.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each short measurement.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("out/bench.json"),
    show_default=True,
    help="Where the figures go.",
)
def main(
    quick: bool,
    large: bool,
    members: int | None,
    rows: int | None,
    legs: int | None,
    rounds: int | None,
    out: Path,
) -> None:
    """Measure the ledger beside the same PostgreSQL's own figures, all in one run."""
    if quick and large:
        raise click.UsageError("--quick or --large, not both.")
    sizes = sized(
        QUICK if quick else LARGE if large else COMPLETE,
        members=members, rows=rows, legs=legs, rounds=rounds,
    )  # fmt: skip
    # Ended by a signal, everything that was started still ends with us.
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_IN_A_FILE)
    started = time.monotonic()
    with open_place(console) as place:
        machine = machine_of(place)
        measured = measure(place, sizes)
    found = rows_of(measured, sizes)
    show(console, found, machine)
    write_json(out, found, machine, sizes)
    console.print(f"Wrote {out} after {(time.monotonic() - started) / 60:.1f} minutes.")
    if measured.breaches:
        console.print(f"THE LEDGER IS BROKEN: {len(measured.breaches)} rows.", *measured.breaches)
        sys.exit(1)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # A second one must not interrupt the cleaning up, which takes seconds.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
