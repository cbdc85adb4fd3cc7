"""The application: routes, exception handlers, and what starts and stops with the process."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition import logs
from coalition.api.openapi.description import complete
from coalition.api.openapi.head import openapi_config
from coalition.api.openapi.schemes import KEY_SCHEME
from coalition.api.routes import (
    approvals,
    audit,
    batches,
    burns,
    earns,
    lots,
    members,
    operations,
    people,
    persons,
    rewards,
    session,
    settlement,
    transfers,
)
from coalition.api.till import TillLane
from coalition.batches.service import BatchService
from coalition.database import create_engine
from coalition.edge.access import Access
from coalition.edge.admission import ApiRequest, admit
from coalition.edge.alerts import Alerts
from coalition.edge.gate import Gate
from coalition.edge.meters import Meters
from coalition.edge.pins import Pins
from coalition.edge.problems import on_coalition_error, on_http_error, on_unexpected_error
from coalition.edge.sandbox import Sandbox
from coalition.edge.services import Services
from coalition.edge.sign_in import SignIn
from coalition.errors import CoalitionError
from coalition.failures import in_a_line
from coalition.keys.guessing import GuessCount
from coalition.ledger.group_commit import GroupCommit
from coalition.ledger.post import Ledger
from coalition.parent import leave_with_parent
from coalition.sealing.digests import seal_key
from coalition.sealing.encryption import Keyring
from coalition.settings import Settings, read_settings
from coalition.wire.syntax import BODY_BYTES_MAX

log = structlog.get_logger()

# Terms that were synced and windows that another process closed are known here after so long.
BOOK_REFRESH_S = 5.0
# Keys that were used are written down in the background; each at most once a minute.
USES_NOTED_S = 5.0
# A test coalition takes no more of this process, and of its database, than this.
TEST_QUEUE_MAX = 500
TEST_POOL_SIZE = 6


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    engine: AsyncEngine,
    *,
    clock: Callable[[], datetime] = utc_now,
    owns_engine: bool = False,
    test_engine: AsyncEngine | None = None,
) -> Litestar:
    """The application on this database, which must be migrated and synced by the time it starts.

    owns_engine: dispose of the engines when the application stops. test_engine: the test
    coalition's database, looked at when a test key first asks; None: test keys are refused.
    """
    services = _services(settings, engine, clock)
    sandbox = None
    if test_engine is not None:
        test = _test_services(settings, test_engine, clock)
        sandbox = Sandbox(test, lambda: _running(test, owns_engine=owns_engine))
        services = replace(services, sandbox=sandbox.started, test_access=test.access)
    app = Litestar(
        route_handlers=[_version_1(), *operations.ROUTES],
        exception_handlers={
            CoalitionError: on_coalition_error,
            HTTPException: on_http_error,
            Exception: on_unexpected_error,
        },
        lifespan=[lambda _: _living(services, sandbox, owns_engine=owns_engine)],
        openapi_config=openapi_config(),
        logging_config=None,
    )
    app.state["services"] = services
    complete(app)
    # In front of everything, the framework's own routing included.
    app.asgi_handler = Gate(services, TillLane(services, app.asgi_handler))
    return app


def _services(
    settings: Settings,
    engine: AsyncEngine,
    clock: Callable[[], datetime],
    *,
    is_live: bool = True,
    writers: int = 2,
) -> Services:
    """Those of one coalition: its database, and all that goes by what is in it."""
    ledger = Ledger(engine)
    group_commit = GroupCommit(
        ledger,
        queue_max=settings.queue_max,
        wait_s_max=settings.wait_s_max,
        writers=writers,
    )
    meters = Meters(group_commit)
    guessing = GuessCount(engine, clock, meters.count_unknown_cards, is_live=is_live)
    access = Access(
        engine,
        settings.pepper,
        settings.requests_per_second_max,
        clock=clock,
        is_live=is_live,
    )
    ring = Keyring(settings.pepper, settings.personal_keys)
    return Services(
        engine=engine,
        ledger=ledger,
        group_commit=group_commit,
        access=access,
        sign_in=SignIn(engine, settings.pepper, ring),
        pins=Pins(engine, settings.pepper),
        meters=meters,
        alerts=Alerts(meters, is_live=is_live),
        batches=BatchService(ledger, settings.data_folder, clock, access.allowance, guessing.note),
        clock=clock,
        guessing=guessing,
        ring=ring,
        trusted_proxies=settings.trusted_proxies,
        is_live=is_live,
    )


def _test_services(
    settings: Settings, engine: AsyncEngine, clock: Callable[[], datetime]
) -> Services:
    """Those of the test coalition: as small as will do, and its files in a folder of their own."""
    small = replace(
        settings,
        data_folder=settings.data_folder / "test",
        queue_max=min(settings.queue_max, TEST_QUEUE_MAX),
    )
    return _services(small, engine, clock, is_live=False, writers=1)


def _version_1() -> Router:
    modules = (
        *(members, persons, earns, burns, rewards, transfers, lots, batches, settlement, audit),
        *(session, people, approvals),
    )
    return Router(
        path="/v1",
        route_handlers=[route for module in modules for route in module.ROUTES],
        before_request=admit,
        security=[{KEY_SCHEME: []}],
        request_class=ApiRequest,
        request_max_body_size=BODY_BYTES_MAX,
    )


def from_environment() -> Litestar:
    """What a server calls in each worker: settings and database from the environment."""
    logs.configure()
    leave_with_parent()
    settings = read_settings(os.environ)
    if settings.database_url is None:
        raise SystemExit(
            "DATABASE_URL is missing: `coalition serve` starts a database of its own and sets it"
        )
    key = seal_key(settings.pepper)
    test_engine = None
    if settings.test_database_url is not None:
        test_engine = create_engine(settings.test_database_url, key, pool_size=TEST_POOL_SIZE)
    engine = create_engine(settings.database_url, key)
    app = create_app(settings, engine, owns_engine=True, test_engine=test_engine)
    _collect_seldom()
    return app


def _collect_seldom() -> None:
    """Let the collector pass over what lives as long as the process, and come less often.

    By its own settings it looked through everything many times a second, and every request under
    way waited for it: the slowest of a hundred took twice as long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@asynccontextmanager
async def _living(
    services: Services, sandbox: Sandbox | None, *, owns_engine: bool
) -> AsyncIterator[None]:
    async with _running(services, owns_engine=owns_engine):
        try:
            yield
        finally:
            if sandbox is not None:
                await sandbox.stop()


@asynccontextmanager
async def _running(services: Services, *, owns_engine: bool) -> AsyncIterator[None]:
    try:
        await services.ledger.start()
        await services.group_commit.start()
        await services.guessing.start()
        await services.batches.start()
        beside = [
            asyncio.create_task(_keep_book_fresh(services.ledger)),
            asyncio.create_task(_keep_uses(services.access)),
        ]
        coalition = "live" if services.is_live else "test"
        log.info("api started", merchants=len(services.book.merchants), coalition=coalition)
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            with contextlib.suppress(Exception):
                await services.access.note_uses()
            await services.batches.stop()
            # What is queued is posted before the process leaves.
            await services.group_commit.stop()
            await services.guessing.stop()
            log.info("api stopped", coalition=coalition)
    finally:
        if owns_engine:
            await services.engine.dispose()


async def _keep_book_fresh(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(BOOK_REFRESH_S)
        try:
            await ledger.refresh()
        except Exception as error:
            # The database is away; the book in memory stays good until it is back.
            log.warning("book not refreshed", error=in_a_line(error))


async def _keep_uses(access: Access) -> None:
    while True:
        await asyncio.sleep(USES_NOTED_S)
        try:
            await access.note_uses()
        except Exception as error:
            # What is not written now is written by a later look.
            log.warning("uses of keys not noted", error=in_a_line(error))
