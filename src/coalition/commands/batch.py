"""coalition batch: a file of rows posted from the command line, by the same door as over HTTP."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import click
import msgspec
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.audit.actor import of_command
from coalition.batches import store
from coalition.batches.results import unpack
from coalition.batches.service import BatchService
from coalition.batches.spool import Intake
from coalition.batches.store import Batch, Format
from coalition.commands.shared import console, example, in_a_folder, opened, runs, writing
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
    ),
)
@click.argument(
    "path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--merchant", "code", required=True, help="Whose rows they are: a merchant's code.")
@click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=in_a_folder,
    help="Where to write what became of each row, as NDJSON.",
)
@runs
async def post_file(path: Path, code: str, results_path: Path | None) -> None:
    """Post FILE, a row a line: .csv with a header, or .ndjson.

    Sent again it replays what is posted already. Leaves with 1 where a row was refused.
    """
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
    console.print(
        f"{batch.row_count:,} rows: {batch.posted:,} posted, {batch.replayed:,} replayed, "
        f"{batch.refused:,} refused."
    )
    if batch.refused:
        if results_path is None:
            click.echo("Which rows, and why: run it again with --results FILE.", err=True)
        sys.exit(1)


def _merchant(code: str, book: Book) -> int:
    merchant_id = book.ids.get(code)
    if merchant_id is None or merchant_id == POOL_ID:
        raise CoalitionError(Code.INVALID, f"no merchant is called {code!r}")
    return merchant_id


async def _post(service: BatchService, path: Path, format_: Format, merchant_id: int) -> Batch:
    batch_id = uuid4()
    scopes = frozenset({"house"} if merchant_id == HOUSE_ID else {"earn", "burn"})
    with _bar() as bar, service.create(batch_id) as file:
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


def _bar() -> Progress:
    parts = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[says]}"),
        TimeRemainingColumn(),
    )
    return Progress(*parts, console=console, transient=True)


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
