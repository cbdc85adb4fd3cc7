"""coalition import: a file of history, before the coalition begins."""

import hashlib
import os
import sys
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.commands.shared import (
    check_synced,
    example,
    in_a_folder,
    opened,
    progress_bar,
    ring_of,
    runs,
    typed,
)
from coalition.importing import store
from coalition.importing.importer import importing
from coalition.importing.play import Play
from coalition.importing.results import ResultFile
from coalition.sealing.encryption import Keyring

_FORMATS = {".csv": True, ".ndjson": False, ".jsonl": False}


@click.command(
    "import",
    epilog=example(
        "coalition import history.ndjson",
        "coalition import members.csv --results members.results.ndjson",
    ),
)
@click.argument(
    "path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="Where to write what became of each row, as NDJSON.  [default: FILE.results.ndjson]",
)
@runs
async def import_history(path: Path, results_path: Path | None) -> None:
    """Import the history of a programme that runs already, before the first live posting.

    FILE has a row a line, .csv with a header or .ndjson: members with their cards, and movements
    in the order of their time. Broken off, it goes on where it was when it is run again. Leaves
    with 1 where a row was refused.
    """
    if path.suffix.lower() not in _FORMATS:
        raise click.UsageError(f"{path.name} must end in {', '.join(_FORMATS)}")
    results_path = results_path or path.with_name(f"{path.name}.results.ndjson")
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            await check_synced(connection)
        with path.open("rb") as file:
            ring = ring_of(settings)
            progress = await _import(engine, ring, path, file, results_path)
    click.echo(
        f"{progress.posted + progress.replayed + progress.refused:,} rows: {progress.posted:,} "
        f"posted, {progress.replayed:,} replayed, {progress.refused:,} refused. "
        f"What became of each: {results_path}"
    )
    if progress.refused:
        sys.exit(1)


async def _import(
    engine: AsyncEngine, ring: Keyring, path: Path, file: BufferedReader, results_path: Path
) -> store.Progress:
    now = datetime.now(UTC)
    digest = hashlib.file_digest(file, "sha256").digest()
    async with importing(engine, ring) as importer:
        async with engine.begin() as connection:
            progress = await store.start(connection, digest, path.name, now, typed("import"))
        if progress.finished_at is not None:
            click.echo(f"{path.name} was imported before, at {progress.finished_at.isoformat()}.")
            return progress
        results = _results(results_path, progress.results_bytes)
        try:
            with progress_bar() as bar:
                task = bar.add_task("Importing", total=file.seek(0, os.SEEK_END), says="")

                def on_progress(progress: store.Progress) -> None:
                    day = f"{progress.clock_at:%Y-%m-%d}" if progress.clock_at else ""
                    says = f"{progress.line_count:,} lines, {day}"
                    bar.update(task, completed=progress.read_to_bytes, says=says)

                is_csv = _FORMATS[path.suffix.lower()]
                return await Play(importer, file, results, progress, now, is_csv, on_progress).run()
        finally:
            results.close()


def _results(path: Path, length_bytes: int) -> ResultFile:
    try:
        return ResultFile(path, length_bytes)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
