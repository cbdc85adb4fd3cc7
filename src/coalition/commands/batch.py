"""coalition batch: a file of rows posted from the command line, by the same door as over HTTP."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import click
import msgspec
from rich.progress import Progress
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.audit.actor import of_command
from coalition.batches import store
from coalition.batches.names import read_batch_id, spelt
from coalition.batches.results import unpack
from coalition.batches.service import BatchService
from coalition.batches.spool import Intake
from coalition.batches.store import Batch, Format
from coalition.commands.shared import (
    console,
    example,
    in_a_folder,
    opened,
    progress_bar,
    runs,
    typed,
    writing,
)
from coalition.errors import CoalitionError, Code
from coalition.ledger.post import Ledger
from coalition.terms.book import HOUSE_ID, POOL_ID, Book

_FORMATS: dict[str, Format] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_COPY_BYTES = 1 << 20


@click.command(
    "batch",
    epilog=example(
        "coalition batch night.ndjson --merchant telecom",
        "coalition batch night.csv --merchant telecom --results night.results.ndjson",
        "coalition batch --cancel bat_5f0c9e1b7d3a4c2f8e6d1a2b3c4d5e6f",
    ),
)
@click.argument(
    "path",
    metavar="[FILE]",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=False,
)
@click.option("--merchant", "code", help="Whose rows they are: a merchant's code.")
@click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="Where to write what became of each row, as NDJSON.",
)
@click.option("--cancel", "cancelled", metavar="ID", help="Stop this file instead, for good.")
@runs
async def post_file(
    path: Path | None, code: str | None, results_path: Path | None, cancelled: str | None
) -> None:
    """Post FILE, a row a line: .csv with a header, or .ndjson.

    Sent again it replays what is posted already. Leaves with 1 where a row was refused, or the file
    was cancelled meanwhile.
    """
    if cancelled is not None:
        if path is not None or code is not None or results_path is not None:
            raise click.UsageError("--cancel ID stands alone: it stops a file that was sent before")
        await _cancel(cancelled)
    elif path is None or code is None:
        raise click.UsageError("FILE and --merchant are needed, or --cancel ID alone")
    else:
        await _post_file(path, code, results_path)


async def _cancel(text: str) -> None:
    batch_id = read_batch_id(text)
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            found = None if batch_id is None else await store.find(connection, batch_id)
        if found is None:
            raise CoalitionError(Code.NOT_FOUND, f"there is no batch {text[:50]!r}")
        ledger = Ledger(engine)
        service = BatchService(ledger, settings.data_folder, lambda: datetime.now(UTC))
        batch = await service.cancel(found.batch_id, typed("batch"))
    console.print(f"{text} is {batch.reason or batch.status}, {_counted(batch)}")


def _counted(batch: Batch) -> str:
    return (
        f"{batch.row_count:,} rows: {batch.posted:,} posted, {batch.replayed:,} replayed, "
        f"{batch.refused:,} refused."
    )


async def _post_file(path: Path, code: str, results_path: Path | None) -> None:
    format_ = _FORMATS.get(path.suffix.lower())
    if format_ is None:
        raise click.UsageError(f"{path.name} must end in {', '.join(_FORMATS)}")
    async with opened() as (engine, settings):
        ledger = Ledger(engine)
        await ledger.start()
        merchant_id = _merchant(code, ledger.book)
        service = BatchService(ledger, settings.data_folder, lambda: datetime.now(UTC))
        batch = await _post(service, path, format_, merchant_id)
        if results_path is not None:
            await _write_results(engine, batch.batch_id, results_path)
    console.print(_counted(batch))
    if batch.reason is not None:
        click.echo(f"The rest of the file is not posted: {batch.reason}.", err=True)
    if batch.refused or batch.reason is not None:
        if results_path is None and batch.refused:
            click.echo("Which rows, and why: run it again with --results FILE.", err=True)
        sys.exit(1)


def _merchant(code: str, book: Book) -> int:
    merchant_id = book.ids.get(code)
    if merchant_id is None or merchant_id == POOL_ID:
        raise CoalitionError(Code.INVALID, f"no merchant is called {code!r}")
    return merchant_id


async def _post(service: BatchService, path: Path, format_: Format, merchant_id: int) -> Batch:
    batch_id = uuid4()
    click.echo(f"The file is {spelt(batch_id)}.", err=True)
    scopes = frozenset({"house"} if merchant_id == HOUSE_ID else {"earn", "burn"})
    with progress_bar() as bar, service.create(batch_id) as file:
        try:
            intake = Intake(file)
            _copy(path, intake, bar)
            actor = of_command("batch")
            await service.admit(batch_id, file, intake, format_, merchant_id, scopes, actor)
        except BaseException:
            service.drop(batch_id)
            raise
        posting = bar.add_task("Posting", total=intake.size_bytes, says="")

        def on_progress(rows: int, read_to_bytes: int) -> None:
            bar.update(posting, completed=read_to_bytes, says=f"{rows:,} rows")

        return await service.post_now(batch_id, file, on_progress)


def _copy(path: Path, intake: Intake, bar: Progress) -> None:
    copying = bar.add_task("Reading", total=path.stat().st_size, says="")
    with path.open("rb") as source:
        while part := source.read(_COPY_BYTES):
            intake.write(part)
            bar.advance(copying, len(part))


async def _write_results(engine: AsyncEngine, batch_id: UUID, path: Path) -> None:
    encoder = msgspec.json.Encoder()
    with writing(path), path.open("wb") as out:
        async for first_row, packed in store.chunks(engine, batch_id):
            out.writelines(encoder.encode(one) + b"\n" for one in unpack(first_row, packed))
