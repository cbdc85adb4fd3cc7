"""coalition serve, jobs, migrate, verify and demo: what runs, and what looks at all of it."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import click
import structlog
from sqlalchemy import make_url

from coalition import logs
from coalition.commands.listening import (
    BACKLOG,
    HEAD_BYTES_MAX,
    HEAD_TIMEOUT_S,
    connections_max,
    free_address,
)
from coalition.commands.sandbox import fill, fill_sandbox, has_sandbox, opened_sandbox
from coalition.commands.shared import (
    check_synced,
    console,
    example,
    opened,
    ring_of,
    runs,
    told,
    typed,
)
from coalition.database import create_engine, migrate, open_database, owner_url, sandbox_url
from coalition.failures import in_a_line
from coalition.jobs import run_jobs
from coalition.ledger.post import Ledger
from coalition.parent import END_TIMEOUT_S, leave_with_parent
from coalition.postgres.foreign import dangers, settings_far_off
from coalition.postgres.watch import watched
from coalition.privacy.store import seal_rest
from coalition.sealing.digests import seal_key
from coalition.settings import Settings, read_settings
from coalition.terms.folder import read_folder

log = structlog.get_logger()

JOBS_PAUSE_S = 5


@click.command("migrate", epilog=example("DATABASE_URL=postgresql://... coalition migrate"))
@runs
async def migrate_database() -> None:
    """Bring the database's schema to the newest version. Safe to run twice, or twice at once.

    That of COALITION_TEST_DATABASE_URL as well, where it is set. Goes by COALITION_OWNER_URL where
    that is set, else by DATABASE_URL.
    """
    settings = read_settings(os.environ)
    async with open_database(settings) as url:
        for one in filter(None, (url, settings.test_database_url)):
            await migrate(owner_url(settings, one))
            await _seal_rest(one, settings)
    click.echo("The schema is at the newest version.")


@click.command(epilog=example("coalition serve", "coalition serve --port 9000 --processes 2"))
@click.option("--host", help="Default: COALITION_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: COALITION_PORT, else 8000.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--jobs/--no-jobs", default=None, help="Run the jobs too. Default: when embedded.")
def serve(host: str | None, port: int | None, processes: int, jobs: bool | None) -> None:
    """Serve the HTTP API.

    Without DATABASE_URL it starts the embedded PostgreSQL, migrates it, syncs the merchants in
    COALITION_MERCHANTS and runs the jobs beside the API; with it, it does none of that unasked. The
    embedded server holds a test coalition as well, for test keys.
    """
    with told():
        settings = read_settings(os.environ)
    host, port = host or settings.host, port or settings.port
    free_address(host, port)
    with_jobs = settings.database_url is None if jobs is None else jobs
    with ExitStack() as stack:
        asked_to_end = stack.enter_context(_noting_signals())
        logs.configure()
        url = stack.enter_context(_ready_database(settings))
        # The serving processes read the same environment; they join the database that is open.
        os.environ["DATABASE_URL"] = url
        os.environ["COALITION_PEPPER"] = settings.pepper.decode()
        if has_sandbox(settings):
            os.environ["COALITION_TEST_DATABASE_URL"] = sandbox_url(settings, make_url(url))
        # What they are never to be is the owner.
        os.environ.pop("COALITION_OWNER_URL", None)
        if asked_to_end.is_set():
            return
        # Once more, as preparing took its time and another server may have been faster.
        address = free_address(host, port)
        if with_jobs:
            stack.enter_context(_jobs_beside())
        _serve(host, address, port, processes)


@contextmanager
def _noting_signals() -> Iterator[threading.Event]:
    """Set when Ctrl-C or SIGTERM came; ending in the middle would leave PostgreSQL running."""
    asked = threading.Event()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, lambda *_: asked.set())
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _ready_database(settings: Settings) -> Iterator[str]:
    """The url of a database that a server can serve; the embedded one is kept running meanwhile."""
    with asyncio.Runner() as runner, ExitStack() as stack:
        with told():
            opening = AsyncExitStack()
            stack.callback(lambda: runner.run(opening.aclose()))
            url = runner.run(opening.enter_async_context(open_database(settings)))
            if settings.database_url is not None:
                runner.run(_check(url, settings))
            else:
                runner.run(_prepare(url, settings))
                stack.enter_context(watched(settings.data_folder))
        yield url


async def _seal_rest(url: str, settings: Settings) -> None:
    """Seal the personal data that an older version left open, which takes keys that SQL has not."""
    engine = create_engine(url, seal_key(settings.pepper), pool_size=1)
    count = await seal_rest(engine, ring_of(settings))
    await engine.dispose()
    if count:
        log.info("personal data sealed", members=count)


async def _prepare(url: str, settings: Settings) -> None:
    house, terms = read_folder(settings.merchants_folder)
    await migrate(owner_url(settings, url))
    await _seal_rest(url, settings)
    engine = create_engine(url, seal_key(settings.pepper), pool_size=2)
    filled = await fill(engine, house, terms, typed("serve"), is_live=True)
    if filled.approval_id is not None:
        log.warning("merchants' files differ: proposed", approval=filled.approval_id)
        await engine.dispose()
        return
    kept = await fill_sandbox(engine, settings, house, terms, typed("serve"))
    if kept is not None:
        log.warning("the test coalition keeps its terms", why=kept)
    await engine.dispose()


async def _check(url: str, settings: Settings) -> None:
    engine = create_engine(url, seal_key(settings.pepper), pool_size=1)
    try:
        async with engine.connect() as connection:
            await check_synced(connection)
            for one in await settings_far_off(connection):
                log.warning(
                    "the database's settings are made for less: see docs/operations.md",
                    setting=one.setting, found=one.found, wanted=one.wanted,
                )  # fmt: skip
            for danger in await dangers(connection, url):
                log.warning("the database is not safe: see docs/security.md", danger=danger)
    finally:
        await engine.dispose()


@contextmanager
def _jobs_beside() -> Iterator[None]:
    beside = multiprocessing.get_context("spawn").Process(target=_run_jobs, name="jobs")
    beside.start()
    try:
        yield
    finally:
        beside.terminate()
        beside.join()


def _run_jobs() -> None:
    leave_with_parent()
    # Ctrl-C reaches the whole group of processes; the server ends the jobs when it is done itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            jobs_forever.main(args=[])
        except SystemExit as ended:
            # Where the database died as they started, they are started again once it is back.
            if ended.code != 1:
                raise
        time.sleep(JOBS_PAUSE_S)


def _serve(host: str, address: str, port: int, processes: int) -> None:
    # Imported here: the other commands need no web server.
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings

    # Workers are started afresh: a copy of this process would hold its threads' locks for ever.
    multiprocessing.set_start_method("spawn", force=True)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"The API is at http://{shown}:{port}; its description at /schema. Ctrl-C ends it.")
    Granian(
        target="coalition.app:from_environment",
        factory=True,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        workers=processes,
        workers_kill_timeout=END_TIMEOUT_S,
        # Where it may be either version the first bytes are waited for without end, and HTTP/2
        # holds up to 16 MB of headers a stream.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_TIMEOUT_S * 1_000, max_buffer_size=HEAD_BYTES_MAX
        ),
        backlog=BACKLOG,
        # It accepts no more than so many: beyond them everybody waits, tills too.
        backpressure=connections_max(),
        loop=Loops.uvloop if sys.platform != "win32" else Loops.asyncio,
        websockets=False,
        log_access=False,
        log_dictconfig=logs.GRANIAN,
    ).serve()


@click.command("jobs", epilog=example("DATABASE_URL=postgresql://... coalition jobs"))
@runs
async def jobs_forever() -> None:
    """Close due windows, expire lots and void stale holds, until stopped.

    Any number may run at once: what is due is decided in the database.
    """
    logs.configure()
    async with opened() as (engine, settings), AsyncExitStack() as stack:
        async with engine.connect() as connection:
            await check_synced(connection)
        ledgers = [Ledger(engine)]
        await ledgers[0].start()
        if has_sandbox(settings):
            try:
                sandbox = Ledger(await stack.enter_async_context(opened_sandbox(engine, settings)))
                await sandbox.start()
                ledgers.append(sandbox)
            except Exception as error:
                # The live coalition's windows close whatever becomes of the other.
                log.warning("no jobs for the test coalition", error=in_a_line(error))
        await run_jobs(
            *ledgers, anchors=settings.anchors_folder, retention_days=settings.retention_days
        )


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
