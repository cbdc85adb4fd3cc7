"""`coalition jobs` as a process on an embedded database: it works, logs in JSON, cleans up."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url
from tests.coalition import crowd
from tests.coalition.commands.terminal import ALLIANCE

from coalition.database import create_engine, open_database, sandbox_url
from coalition.ledger.commands import Done, Earn, Request
from coalition.ledger.post import Ledger
from coalition.members.store import Enrolment, enrol
from coalition.postgres import programs
from coalition.sealing.digests import seal_key
from coalition.settings import Settings, read_settings

CLI = [sys.executable, "-m", "coalition.cli"]


async def _post_once(settings: Settings) -> None:
    now = datetime.now(UTC)
    async with open_database(settings) as live:
        for url in (live, sandbox_url(settings, make_url(live))):
            engine = create_engine(url, seal_key(settings.pepper))
            ledger = Ledger(engine)
            await ledger.start()
            telecom = ledger.book.ids["telecom"]
            async with engine.begin() as connection:
                enrolled = await enrol(connection, Enrolment(), telecom, now)
            [posted] = await ledger.post([Request(Earn(enrolled.card, now, 100_00), telecom, now)])
            assert isinstance(posted, Done)
            await engine.dispose()


def test_jobs_work_until_sigterm_and_then_stop_the_embedded_server() -> None:
    # The embedded server's account cannot reach pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="coalition-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        environment = {**os.environ, "COALITION_DATA": name, "DATABASE_URL": ""}
        subprocess.run([*CLI, "merchants", "sync", ALLIANCE], env=environment, check=True)
        # Nothing is closed before the first posting.
        asyncio.run(_post_once(read_settings(environment)))
        log, place = Path(name) / "log", Path(name) / "postgres/data"
        with log.open("wb") as output:
            jobs = subprocess.Popen([*CLI, "jobs"], env=environment, stdout=output, stderr=output)

        try:
            deadline_s = time.monotonic() + crowd.WAIT_S_MAX
            # The live coalition's, and the test coalition's that the embedded server holds.
            while log.read_text().count("windows_closed") < 2:
                assert jobs.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.1)
            assert programs.recorded_postmaster(place) is not None
        finally:
            jobs.terminate()
            left_with = jobs.wait(crowd.WAIT_S_MAX)
        assert left_with in (0, 143)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert len([line for line in lines if line["event"] == "windows_closed"]) == 2
        assert programs.recorded_postmaster(place) is None, "PostgreSQL still runs"
