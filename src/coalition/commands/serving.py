"""coalition serve, jobs, migrate, verify and demo: what runs, and what looks at all of it."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import Progress
from sqlalchemy import text

from coalition.clearing.service import ensure_first_window
from coalition.commands.shared import KNOWN_MISTAKES, console, example, fail, opened, runs
from coalition.database import create_engine, migrate, open_database
from coalition.jobs import run_jobs
from coalition.ledger.post import Ledger
from coalition.merchants.files import read_folder
from coalition.merchants.store import sync
from coalition.settings import Settings, read_settings
from coalition.verify import RULES, verify


@click.command("migrate", epilog=example("DATABASE_URL=postgresql://... coalition migrate"))
@runs
async def migrate_database() -> None:
    """Bring the database's schema to the newest version. Safe to run twice, or twice at once."""
    async with open_database(read_settings(os.environ)) as url:
        await migrate(url)
    console.print("The schema is at the newest version.")


@click.command(epilog=example("coalition serve", "coalition serve --port 9000 --processes 2"))
@click.option("--host", help="Default: COALITION_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: COALITION_PORT, else 8000.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--jobs/--no-jobs", default=None, help="Run the jobs too. Default: when embedded.")
def serve(host: str | None, port: int | None, processes: int, jobs: bool | None) -> None:
    """Serve the HTTP API.

    Without DATABASE_URL it starts the embedded PostgreSQL, migrates it, syncs the merchants in
    COALITION_MERCHANTS and runs the jobs beside the API; with it, it does none of that unasked.
    """
    try:
        settings = read_settings(os.environ)
    except KNOWN_MISTAKES as mistake:
        raise click.ClickException(str(mistake)) from mistake
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            url = runner.run(stack.enter_async_context(open_database(settings)))
            if settings.database_url is None:
                runner.run(_prepare(url, settings))
        except KNOWN_MISTAKES as mistake:
            raise click.ClickException(str(mistake)) from mistake
        # The serving processes read the same environment; they join the database that is open.
        os.environ["DATABASE_URL"] = url
        os.environ["COALITION_PEPPER"] = settings.pepper.decode()
        with_jobs = settings.database_url is None if jobs is None else jobs
        beside = _start_jobs() if with_jobs else None
        try:
            _serve(host or settings.host, port or settings.port, processes)
        finally:
            if beside is not None:
                beside.terminate()
                beside.wait()
            runner.run(stack.aclose())


async def _prepare(url: str, settings: Settings) -> None:
    await migrate(url)
    engine = create_engine(url, pool_size=2)
    house, terms = read_folder(settings.merchants_folder)
    async with engine.begin() as connection:
        await sync(connection, house, terms, datetime.now(UTC))
        await ensure_first_window(connection, house)
    await engine.dispose()


def _start_jobs() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "coalition.cli", "jobs"])


def _serve(host: str, port: int, processes: int) -> None:
    # Imported here: the other commands need no web server.
    from granian import Granian
    from granian.constants import Interfaces, Loops

    console.print(
        f"The API is at http://{host}:{port}; its description at /schema. Ctrl-C ends it."
    )
    Granian(
        target="coalition.api.app:from_environment",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=processes,
        loop=Loops.uvloop if sys.platform != "win32" else Loops.asyncio,
        websockets=False,
        log_access=False,
    ).serve()


@click.command("jobs", epilog=example("DATABASE_URL=postgresql://... coalition jobs"))
@runs
async def jobs_forever() -> None:
    """Close due windows, expire lots and void stale holds, until stopped.

    Any number may run at once: what is due is decided in the database.
    """
    async with opened() as (engine, _):
        ledger = Ledger(engine)
        await ledger.start()
        await run_jobs(ledger)


@click.command("verify", epilog=example("coalition verify"))
@runs
async def verify_ledger() -> None:
    """Check every invariant of the ledger; name each row that breaks one and leave with 1."""
    async with opened() as (engine, _), engine.connect() as connection:
        # One snapshot for all rules: what is posted meanwhile belongs to the next run.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        closed = await connection.scalar(
            text("select count(*) from settlement_window where netted_at is not null")
        )
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("Checking", total=len(RULES) + (closed or 0))

            def tell(says: str) -> None:
                progress.update(task, advance=1, description=says[:60])

            breaches = await verify(connection, on_rule=tell)
    for breach in breaches:
        click.echo(f"{breach.row}\n    breaks the rule: {breach.rule}")
    if breaches:
        fail(f"{len(breaches)} rows break a rule.")
    console.print(f"All {len(RULES)} rules hold, and {closed} closed windows are unchanged.")


@click.command("demo", epilog=example("coalition demo", "coalition demo --out /tmp/year"))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Where statements and the picture go.",
)
@click.option(
    "--merchants",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("configs/merchants/demo"),
    show_default=True,
    help="The merchants' files.",
)
@runs
async def demo_year(out: Path, folder: Path) -> None:
    """Run a year of real shopping through the ledger, from the first earn to the last statement."""
    # Imported here: the demo's data is an extra that a server does not install.
    try:
        from coalition.demo import run
    except ModuleNotFoundError as missing:
        raise click.ClickException(
            f"The demo needs the package {missing.name}: install coalition[demo]."
        ) from missing
    sys.exit(await run(out, folder, console=console))
