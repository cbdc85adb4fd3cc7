"""The embedded server: started, shared, killed, stopped."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from coalition.postgres import machine, programs
from coalition.postgres import server as embedded

OPTIONS = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's account can reach; pytest's own is closed to it."""
    with tempfile.TemporaryDirectory(prefix="coalition-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _postmaster(server: embedded.EmbeddedServer) -> int:
    recorded = programs.recorded_postmaster(server.data_folder)
    assert recorded is not None
    return recorded[0]


def _kill_postmaster(server: embedded.EmbeddedServer) -> None:
    pid = _postmaster(server)
    os.kill(pid, signal.SIGKILL)
    while programs.is_postmaster(pid, server.data_folder):
        time.sleep(0.01)


async def _ask(server: embedded.EmbeddedServer, statement: str) -> object:
    plain = embedded.url(server, "postgres").replace("+asyncpg", "")
    connection = await asyncpg.connect(plain)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _runs(server: embedded.EmbeddedServer) -> bool:
    return programs.listens(server.socket_folder / f".s.PGSQL.{embedded.PORT}")


async def test_a_server_is_shared_killed_started_anew_and_keeps_its_rows(folder: Path) -> None:
    first = embedded.start(folder, options=OPTIONS)
    second = embedded.start(folder, options=OPTIONS)
    try:
        assert second.socket_folder == first.socket_folder
        await _ask(first, "create table kept as select 7 as n")
        embedded.stop(second)
        assert await _ask(first, "select n from kept") == 7
        _kill_postmaster(first)
        second = embedded.start(folder, options=OPTIONS)
        assert await _ask(second, "select n from kept") == 7
    finally:
        embedded.stop(first)
        assert _runs(second)
        embedded.stop(second)
        embedded.stop(second)
    assert not _runs(second)


async def test_it_is_utf8_in_utc_and_listens_on_no_port() -> None:
    with embedded.scratch(options=OPTIONS) as server:
        assert await _ask(server, "show server_encoding") == "UTF8"
        assert await _ask(server, "show timezone") == "UTC"
        assert await _ask(server, "show listen_addresses") == ""
        assert await _ask(server, "select upper('\u00e4')") == "\u00c4"
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    assert not server.folder.exists()


def test_a_process_that_was_killed_leaves_a_server_that_the_next_one_takes_over(
    folder: Path,
) -> None:
    script = (
        "import sys, time, pathlib; from coalition.postgres import server as embedded\n"
        "embedded.start(pathlib.Path(sys.argv[1]), options={'fsync': 'off'})\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        other.kill()
    server = embedded.start(folder, options=OPTIONS)
    embedded.stop(server)
    assert not _runs(server)


def test_a_process_number_that_was_used_again_does_not_bar_the_door(folder: Path) -> None:
    server = embedded.start(folder, options=OPTIONS)
    pid_file = server.data_folder / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(server)
    # PostgreSQL believes a live process of its own account only.
    owner = server.data_folder.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["/bin/sleep", "600"], user=owner) as bystander:
        try:
            pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
            embedded.stop(embedded.start(folder, options=OPTIONS))
            assert bystander.poll() is None
        finally:
            bystander.kill()


async def test_a_data_folder_of_before_gets_this_machines_settings_at_its_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.stop(embedded.start(folder, options=OPTIONS))
    monkeypatch.setattr(machine, "memory_bytes", lambda: 768 << 20)
    monkeypatch.setattr(machine, "disk_free_bytes", lambda place: 2_560 << 20)
    server = embedded.start(folder)
    try:
        assert await _ask(server, "show shared_buffers") == "128MB"
        assert await _ask(server, "show max_wal_size") == "512MB"
        assert await _ask(server, "show checkpoint_timeout") == "30min"
        assert await _ask(server, "show effective_cache_size") == "384MB"
    finally:
        embedded.stop(server)


async def test_a_scratch_server_stays_small() -> None:
    with embedded.scratch() as server:
        assert await _ask(server, "show shared_buffers") == "128MB"
        assert await _ask(server, "show max_wal_size") == "1GB"


def test_a_half_made_data_folder_is_made_anew(folder: Path) -> None:
    (folder / "postgres" / "data.making").mkdir(parents=True)
    (folder / "postgres" / "data.making" / "PG_VERSION").write_text("18")
    embedded.stop(embedded.start(folder, options=OPTIONS))


def test_a_server_that_does_not_start_shows_the_end_of_its_log(folder: Path) -> None:
    with pytest.raises(embedded.EmbeddedError, match=r'"shared_buffers": "many"'):
        embedded.start(folder, options={"shared_buffers": "many"})
    embedded.stop(embedded.start(folder, options=OPTIONS))


def test_data_of_another_version_is_refused(folder: Path) -> None:
    server = embedded.start(folder, options=OPTIONS)
    embedded.stop(server)
    (server.data_folder / "PG_VERSION").write_text("15\n")
    with pytest.raises(embedded.EmbeddedError, match="made by PostgreSQL 15, the programs are 18"):
        embedded.start(folder, options=OPTIONS)


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("x" * 120)
    server = embedded.start(deep, options=OPTIONS)
    assert len(str(server.socket_folder)) <= embedded.SOCKET_FOLDER_CHARACTERS_MAX
    assert _runs(server)
    embedded.stop(server)
    assert not server.socket_folder.exists()


def test_a_link_to_data_that_is_gone_is_not_taken_for_an_empty_database(folder: Path) -> None:
    (folder / "postgres").symlink_to(folder / "gone")
    with pytest.raises(embedded.EmbeddedError, match="which is gone"):
        embedded.start(folder, options=OPTIONS)


def test_a_scratch_server_left_by_a_killed_process_is_swept_by_the_next(folder: Path) -> None:
    script = (
        "import sys, time, pathlib; from coalition.postgres import server as embedded\n"
        "base = pathlib.Path(sys.argv[1])\n"
        "with embedded.scratch(options={'fsync': 'off'}, base=base) as server:\n"
        "    print(server.folder, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().decode().strip())
        other.kill()
    assert left.exists()
    with embedded.scratch(options=OPTIONS, base=folder) as server:
        assert _runs(server)
        assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets folders closed to its server")
def test_root_keeps_data_outside_a_closed_folder_and_opens_nothing(folder: Path) -> None:
    folder.chmod(0o700)
    server = embedded.start(folder, options=OPTIONS)
    elsewhere = (folder / "postgres").resolve()
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not elsewhere.is_relative_to(folder)
        assert server.data_folder.stat().st_uid != 0
        assert _runs(server)
    finally:
        embedded.stop(server)
        subprocess.run(["/bin/rm", "-r", elsewhere], check=True)


def test_a_socket_nobody_listens_on_is_no_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert not programs.listens(path)
