"""`coalition serve` as its own processes, and how much memory each of them takes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import ROOT, Place, clean_environment

READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
# Written to /proc/PID/clear_refs: forget the highest resident size so far (proc(5)).
_FORGET_PEAK = "5"


class ServerError(Exception):
    """A server did not start; says what it printed."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running server. processes are the ones that serve, without the one that watches them."""

    pid: int
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(place: Place, name: str, *, processes: int) -> Iterator[ApiServer]:
    """Serve a database over HTTP for as long as this is open."""
    port = _free_port()
    log = place.folder / f"serve-{name}-{processes}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "coalition.cli", "serve", "--no-jobs"),
                *("--port", str(port), "--processes", str(processes)),
            ],
            env={
                **clean_environment(),
                "DATABASE_URL": place.url(name),
                "COALITION_PEPPER": place.pepper,
                "COALITION_HOST": "127.0.0.1",
            },
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C is ours to hear; we end the server ourselves.
            start_new_session=True,
        )
    server = ApiServer(child.pid, port, log)
    try:
        _wait_until_ready(child, server)
        yield server
    finally:
        _end(child)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(child: subprocess.Popen[bytes], server: ApiServer) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.address}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    last = server.log.read_text(errors="replace").splitlines()[-20:]
    raise ServerError("coalition serve did not become ready:\n" + "\n".join(last))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_TIMEOUT_S)
    # Whatever it started and left is in its own group, where nobody else is.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def forget_peaks(server: ApiServer) -> None:
    """Start to measure the memory of the server's processes anew."""
    for pid in _family(server.pid):
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def peak_mb(server: ApiServer) -> float | None:
    """The highest resident size of any one process since forget_peaks; None without /proc."""
    peaks = [peak for pid in _family(server.pid) if (peak := _peak_kb(pid)) is not None]
    return max(peaks) * 1024 / 1_000_000 if peaks else None


def _peak_kb(pid: int) -> int | None:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return None


def _family(pid: int) -> list[int]:
    """The process and all it started, as /proc tells; nothing where there is none."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in brackets, may hold anything; what follows it does not.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = [pid] if pid in parents else []
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family
