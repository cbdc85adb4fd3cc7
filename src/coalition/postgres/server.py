"""A PostgreSQL of our own, started from the binaries that come as a Python wheel.

Here live finding the binaries, making a data folder, starting, sharing and stopping the server.
What is inside the database does not: that is database.py and the migrations. The wheel's own
Python code is never imported: run as root, it opens folders that are not its own.

Layout of the folder given to start(): `postgres/` (or a link to it, where the server's account
cannot reach the folder) holds data, log and socket; `postgres.lock` is held while the server is
started or stopped; `postgres.users` is held, shared, by every process of ours that uses it. Both
locks belong to the kernel and end with their holder, so a killed process wedges nothing.
"""

import contextlib
import fcntl
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from coalition.postgres import accounts, machine, peers, programs
from coalition.postgres.programs import Account, EmbeddedError
from coalition.postgres.sizing import settings_for

__all__ = [
    "SMALL", "EmbeddedError", "EmbeddedServer", "scratch", "socket_path", "start", "stop", "url"
]  # fmt: skip

PORT = 5432
SUPERUSER = "coalition"
SCRATCH_PREFIX = "coalition-scratch-"
SOCKET_PREFIX = "coalition-socket-"
START_TIMEOUT_S = 60
# After a crash, all that was written since the last checkpoint is read again: up to max_wal_size.
RECOVERY_TIMEOUT_S = 1_800
# The last checkpoint writes whatever the buffers hold that the disk does not.
STOP_TIMEOUT_S = 300
# sockaddr_un holds 107 characters on Linux and 103 on macOS; the socket's own name takes 15.
SOCKET_FOLDER_CHARACTERS_MAX = 88
DURABLE_BASES = ("/var/lib", "/var/tmp")
# pg_isready: there is a server, and it takes no connection yet.
_RECOVERING = 1
# PostgreSQL's own settings, made for a small machine.
SMALL: Mapping[str, str] = {}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server, and this process's share in it."""

    folder: Path
    data_folder: Path
    socket_folder: Path
    binaries: Path
    presence: BinaryIO


def start(folder: Path, *, options: Mapping[str, str] | None = None) -> EmbeddedServer:
    """Start the server of this folder, or join it where a process of ours started it already.

    options are server settings (`{"fsync": "off"}`); None: those that fit this machine. Whoever
    joins a running server takes its settings as they are. Raises EmbeddedError, with the last lines
    of the server's log.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _open_lock(folder / "postgres.lock")
    except OSError as error:
        raise EmbeddedError(
            f"the data folder {folder} cannot be used ({error.strerror}); "
            "give a folder of your own in COALITION_DATA"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        account = accounts.account_for(folder)
        place = _place(folder, account)
        binaries = programs.reachable_binaries(account)
        presence = _open_lock(folder / "postgres.users")
        try:
            fcntl.flock(presence, fcntl.LOCK_SH)
            socket_folder = _running_socket(binaries, place, account)
            if socket_folder is None:
                socket_folder = _launch(binaries, place, account, options)
            elif peers.write(place / "data"):
                # An older version's server, which let in whoever came.
                programs.run(binaries / "pg_ctl", ["reload", "-D", str(place / "data")], account)
            _wait_until_ready(binaries, place, socket_folder)
        except BaseException:
            presence.close()
            raise
        return EmbeddedServer(folder, place / "data", socket_folder, binaries, presence)


def stop(server: EmbeddedServer) -> None:
    """Leave the server; the last of ours to leave stops it. A second call does nothing."""
    if server.presence.closed:
        return
    with _open_lock(server.folder / "postgres.lock") as lock, server.presence:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(server.presence, fcntl.LOCK_UN)
        if not _try_lock(server.presence):
            return
        _shut_down(server.binaries, server.data_folder, "fast")
        _drop_socket_folder(server.socket_folder)


def url(server: EmbeddedServer, database: str, role: str = SUPERUSER) -> str:
    """The address of one database on this server, as SQLAlchemy reads it."""
    host = quote(str(server.socket_folder), safe="/")
    return f"postgresql+asyncpg://{role}@/{quote(database)}?host={host}&port={PORT}"


def socket_path(server: EmbeddedServer) -> Path:
    """The unix socket that this server listens on."""
    return server.socket_folder / f".s.PGSQL.{PORT}"


@contextlib.contextmanager
def scratch(
    *, options: Mapping[str, str] | None = SMALL, base: Path | None = None
) -> Iterator[EmbeddedServer]:
    """A server in a fresh temporary folder, gone at the end with all that was in it.

    options are as in start(). base is where that folder is made, and has to be reachable for
    everybody; None: where temporary files go.
    """
    base = base or _temporary_base(accounts.account_of_servers())
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=base))
    # Only to be walked through: the server's account reaches its own folder inside.
    folder.chmod(0o711)
    try:
        server = start(folder, options=options)
        try:
            yield server
        finally:
            stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_lock(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _place(folder: Path, account: Account | None) -> Path:
    place = folder / "postgres"
    if not place.exists():
        if account is None or programs.reaches(account, folder):
            place.mkdir(mode=0o700)
        else:
            elsewhere = tempfile.mkdtemp(prefix="postgres-", dir=_durable_base(account))
            place.symlink_to(elsewhere)
    place = place.resolve()
    programs.give(place, account)
    return place


def _durable_base(account: Account) -> Path:
    """Our own folder outside the closed one; everybody may walk through it, nobody else write."""
    for base in map(Path, DURABLE_BASES):
        if base.is_dir() and programs.reaches(account, base):
            return programs.own_folder(base / "coalition")
    raise EmbeddedError(
        f"neither of {', '.join(DURABLE_BASES)} can be reached by uid {account.uid}, which "
        "PostgreSQL runs as since it refuses root; give a reachable folder in COALITION_DATA"
    )


def _temporary_base(account: Account | None) -> Path:
    for base in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if account is None or programs.reaches(account, Path(base)):
            return Path(base)
    raise EmbeddedError("no folder for temporary files can be reached; set TMPDIR to one")


def _running_socket(binaries: Path, place: Path, account: Account | None) -> Path | None:
    """Where a server of this place already listens; None where none runs.

    A process number left by a dead server is no proof: it may be another process's by now, or
    that of a dead one nobody has reaped. So an answer on the socket decides.
    """
    recorded = programs.recorded_postmaster(place / "data")
    if recorded is None:
        return None
    pid, socket_folder = recorded
    if programs.listens(socket_folder / f".s.PGSQL.{PORT}"):
        return socket_folder
    if programs.is_postmaster(pid, place / "data"):
        # Half started or half stopped by a process of ours that was killed.
        _shut_down(binaries, place / "data", "fast")
    return None


def _launch(
    binaries: Path, place: Path, account: Account | None, options: Mapping[str, str] | None
) -> Path:
    if options is None:
        # Given anew at every start, so that an older data folder and a changed machine have them.
        options = settings_for(machine.memory_bytes(), machine.disk_free_bytes(place))
    if not (place / "data" / "PG_VERSION").exists():
        _make_data_folder(binaries, place, account, options)
    programs.check_version(binaries, place / "data", account)
    peers.write(place / "data")
    recorded = programs.recorded_postmaster(place / "data")
    programs.disown_dead_postmaster(place / "data")
    socket_folder = _new_socket_folder(place, account, None if recorded is None else recorded[1])
    settings = {**_SETTINGS, **options, "unix_socket_directories": str(socket_folder)}
    arguments = ["-p", str(PORT)]
    for name, value in settings.items():
        arguments += ["-c", f"{name}={value}"]
    command = ["start", "-w", "-t", str(RECOVERY_TIMEOUT_S), "-D", str(place / "data")]
    command += ["-l", str(place / "log"), "-o", shlex.join(arguments)]
    with contextlib.suppress(FileNotFoundError):
        (place / "log").replace(place / "log.before")
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        # It leaves at once where the server ends, however much time it has.
        done = programs.run(
            binaries / "pg_ctl", command, account, timeout_s=RECOVERY_TIMEOUT_S + 30
        )
        if done.returncode == 0:
            return socket_folder
        log = programs.last_lines(place / "log")
        # Sessions of a killed server end by themselves; until then their memory bars the door.
        if "shared memory block" not in log or time.monotonic() > deadline_s:
            raise EmbeddedError(f"PostgreSQL did not start in {place}:\n{log or done.stderr}")
        time.sleep(0.2)


def _make_data_folder(
    binaries: Path, place: Path, account: Account | None, options: Mapping[str, str]
) -> None:
    """It gets its name when it is whole, so that a half one is made anew."""
    making = place / "data.making"
    shutil.rmtree(making, ignore_errors=True)
    with accounts.making(making, account) as maker:
        programs.init(binaries, making, maker, SUPERUSER, options)
    making.rename(place / "data")


def _new_socket_folder(place: Path, account: Account | None, before: Path | None) -> Path:
    socket_folder = place / "socket"
    # Whoever used a server that died finds the next one at the same address.
    if before is not None and before.name.startswith(SOCKET_PREFIX):
        socket_folder = before
    if len(os.fsencode(socket_folder)) > SOCKET_FOLDER_CHARACTERS_MAX:
        short = tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=_temporary_base(account))
        socket_folder = Path(short)
    else:
        # A dead server's socket lock would be believed if its process number is in use again.
        shutil.rmtree(socket_folder, ignore_errors=True)
        socket_folder.mkdir(mode=0o700)
    programs.give(socket_folder, account)
    return socket_folder


def _drop_socket_folder(socket_folder: Path) -> None:
    if socket_folder.name.startswith(SOCKET_PREFIX):
        shutil.rmtree(socket_folder, ignore_errors=True)


def _wait_until_ready(binaries: Path, place: Path, socket_folder: Path) -> None:
    started_s = time.monotonic()
    asked = ["-h", str(socket_folder), "-p", str(PORT), "-d", "postgres", "-U", SUPERUSER, "-q"]
    while code := programs.run(binaries / "pg_isready", asked, None).returncode:
        patience_s = RECOVERY_TIMEOUT_S if code == _RECOVERING else START_TIMEOUT_S
        if time.monotonic() > started_s + patience_s:
            log = programs.last_lines(place / "log")
            raise EmbeddedError(f"PostgreSQL in {place} does not answer:\n{log}")
        time.sleep(0.1)


def _shut_down(binaries: Path, data_folder: Path, mode: str) -> None:
    status = data_folder.stat()
    account = Account(status.st_uid, status.st_gid) if os.geteuid() == 0 else None
    command = ["stop", "-w", "-t", str(STOP_TIMEOUT_S), "-D", str(data_folder), "-m"]
    wait_s = STOP_TIMEOUT_S + 30
    done = programs.run(binaries / "pg_ctl", [*command, mode], account, timeout_s=wait_s)
    if done.returncode == 0:
        return
    recorded = programs.recorded_postmaster(data_folder)
    if recorded is not None and programs.is_postmaster(recorded[0], data_folder):
        programs.run(binaries / "pg_ctl", [*command, "immediate"], account, timeout_s=wait_s)


def _sweep(base: Path) -> None:
    """Remove scratch servers of ours whose process was killed before it could."""
    for folder in base.glob(f"{SCRATCH_PREFIX}*"):
        # Another process of ours may be making or removing the same folder: then it is not left.
        with contextlib.suppress(OSError), (folder / "postgres.lock").open("r+b") as lock:
            if folder.stat().st_uid != os.geteuid() or not _try_lock(lock):
                continue
            with (folder / "postgres.users").open("r+b") as presence:
                if not _try_lock(presence):
                    continue
                if (folder / "postgres" / "data").exists():
                    binaries = programs.reachable_binaries(accounts.account_for(folder))
                    _shut_down(binaries, folder / "postgres" / "data", "immediate")
                shutil.rmtree(folder, ignore_errors=True)
