"""What goes wrong around a server is told in a sentence, put right by itself, or leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.served import free_port
from tests.world import PEPPER

from coalition.cli import main
from coalition.commands.listening import free_address
from coalition.ledger.commands import Done
from coalition.ledger.post import Ledger
from coalition.postgres import programs
from coalition.postgres import server as embedded
from coalition.postgres.sizing import LOOKED_AT

ALLIANCE = Path("configs/merchants/alliance").absolute()


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder that the embedded server's account can reach; pytest's own is closed to it."""
    with tempfile.TemporaryDirectory(prefix="coalition-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _start(log: Path, port: int, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "coalition.cli", "serve", "--port", str(port), *options]
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={**kept, **environment, "COALITION_MERCHANTS": str(ALLIANCE)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _is_ready(server: subprocess.Popen[bytes], port: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        assert server.poll() is None, "the server has ended"
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{port}/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    return holds


async def _is_free(port: int) -> bool:
    try:
        free_address("127.0.0.1", port)
    except click.ClickException:
        return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        server.wait(crowd.WAIT_S_MAX)


async def test_the_embedded_server_is_killed_and_comes_back_and_sigterm_leaves_nothing(
    data_folder: Path, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    server = _start(log, port, COALITION_DATA=str(data_folder))
    place = data_folder / "postgres" / "data"
    try:
        await crowd.until(_is_ready(server, port), "the server is ready")
        before = programs.recorded_postmaster(place)
        assert before is not None
        os.kill(before[0], signal.SIGKILL)

        async def is_another() -> bool:
            now = programs.recorded_postmaster(place)
            return now is not None and now[0] != before[0] and programs.is_postmaster(now[0], place)

        await crowd.until(is_another, "another PostgreSQL runs")
        await crowd.until(_is_ready(server, port), "the server is ready again")
    finally:
        _end(server)
    assert server.returncode == 0
    # The last user of the embedded server stops it, so the jobs and the workers are gone too.
    assert programs.recorded_postmaster(place) is None
    assert await _is_free(port)
    told = log.read_text()
    assert told.count("PostgreSQL is gone") == told.count("PostgreSQL is back") == 1


async def test_kill_9_of_the_server_ends_its_workers_and_its_jobs(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await crowd.found(engine, members=1)
    # Nothing is closed before the first posting.
    ledger = Ledger(engine)
    await ledger.start()
    [begun] = await ledger.post([crowd.asked(crowd.earn(1, 10))])
    assert isinstance(begun, Done)
    await engine.dispose()
    port, log = free_port(), tmp_path / "log"
    server = _start(log, port, "--jobs", DATABASE_URL=database_url, COALITION_PEPPER=PEPPER)
    try:
        await crowd.until(_is_ready(server, port), "the server is ready")

        async def jobs_run() -> bool:
            closed = "select count(*) from settlement_window where netted_at is not null"
            return bool(await crowd.value(engine, closed))

        await crowd.until(jobs_run, "the jobs have closed a window")
    finally:
        server.kill()
        server.wait()

    async def all_gone() -> bool:
        others = (
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        return await crowd.value(engine, others) == 0 and await _is_free(port)

    await crowd.until(all_gone, "nobody listens, and nobody uses the database")
    # The tests' server is a small one, and that is told once a setting.
    told = [line for line in log.read_text().splitlines() if "made for less" in line]
    assert [json.loads(line)["setting"] for line in told] == list(LOOKED_AT)


def test_a_port_that_another_of_our_servers_listens_on_is_in_use(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "", "COALITION_DATA": str(tmp_path)}
    with socket.socket() as other:
        # As the web server does it: a second one that does the same would share the requests.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = CliRunner().invoke(main, ["serve", "--port", str(port)], env=environment)
    assert told.exit_code == 1
    assert f"port {port} is in use; end that server or choose another with --port" in told.output


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("203.0.113.7", "is no address of this machine"),
        ("nohost.invalid", "there is no host 'nohost.invalid'"),
        ("a..b", "there is no host 'a..b'"),
    ],
)
def test_a_host_that_is_none_of_this_machine_is_told_with_what_would_be_right(
    host: str, says: str
) -> None:
    with pytest.raises(click.ClickException, match=r"right is 127\.0\.0\.1") as told:
        free_address(host, free_port())
    assert says in told.value.message


@pytest.mark.parametrize("command", [["serve", "--port"], ["jobs"]], ids=lambda words: words[0])
@pytest.mark.parametrize("state", ["unreachable", "not migrated", "never synced"])
def test_a_database_that_cannot_be_served_is_told_with_what_to_do(
    command: list[str], state: str, database_url: str, server_url: str
) -> None:
    url, says = {
        "unreachable": ("postgresql://a:b@127.0.0.1:1/none", "Check DATABASE_URL"),
        "not migrated": (server_url, "run coalition migrate"),
        "never synced": (database_url, "run coalition merchants sync FOLDER"),
    }[state]
    port = [str(free_port())] if command[-1] == "--port" else []
    told = CliRunner().invoke(
        main, [*command, *port], env={"DATABASE_URL": url, "COALITION_PEPPER": PEPPER}
    )
    assert told.exit_code == 1
    assert says in told.output
    assert isinstance(told.exception, SystemExit), "a traceback"


def test_a_server_that_died_is_started_again_at_the_same_short_socket(data_folder: Path) -> None:
    deep = data_folder / ("x" * 120)
    first = embedded.start(deep, options={"fsync": "off"})
    again = None
    try:
        recorded = programs.recorded_postmaster(first.data_folder)
        assert recorded is not None
        os.kill(recorded[0], signal.SIGKILL)
        while programs.is_postmaster(recorded[0], first.data_folder):
            time.sleep(0.01)
        again = embedded.start(deep, options={"fsync": "off"})
        assert again.socket_folder == first.socket_folder
        assert programs.listens(embedded.socket_path(first))
    finally:
        if again is not None:
            again.presence.close()
        embedded.stop(first)
    assert not first.socket_folder.exists()


def test_a_statement_for_a_folder_that_is_not_there_says_so_before_any_work() -> None:
    told = CliRunner().invoke(main, ["statement", "2026-11", "telecom", "--out", "/none/x.csv"])
    assert told.exit_code == 2
    assert "there is no folder /none" in told.output


def test_a_sync_counts_what_it_changes_and_not_what_it_keeps(
    database_url: str, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER}

    def sync(*options: str) -> str:
        words = ["merchants", "sync", str(tmp_path), *options]
        told = CliRunner().invoke(main, words, env=environment)
        assert told.exit_code == 0, told.output
        return told.output

    for name in ("house", "retail", "telecom"):
        (tmp_path / f"{name}.toml").write_text((ALLIANCE / f"{name}.toml").read_text())
    assert "2 merchants and the house" in sync()
    (tmp_path / "retail.toml").unlink()
    kept = sync()
    assert "retail: kept, no file" in kept
    assert "1 merchant and the house: 0 things changed." in kept
    house = (tmp_path / "house.toml").read_text()
    name = next(line for line in house.splitlines() if line.startswith("name"))
    (tmp_path / "house.toml").write_text(house.replace(name, 'name = "Another"', 1))
    assert "1 thing would change." in sync("--dry-run")


@pytest.mark.parametrize("command", ["", *main.commands])
def test_every_help_shows_an_example(command: str) -> None:
    assert "Example:" in CliRunner().invoke(main, [*command.split(), "--help"]).output
