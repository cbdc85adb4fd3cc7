"""Load as tills make it: wrk with tills.lua, three earns to a burn, over many keys and members."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Place
from benchmarks.seed import Town
from benchmarks.servers import ApiServer

SCRIPT = Path(__file__).with_name("tills.lua")
MISSING = "wrk is missing: apt-get install wrk"
_THREADS = 2


class LoadError(Exception):
    """wrk did not run as it should; says what it printed."""


@dataclass(frozen=True, slots=True)
class Load:
    """One round. created counts 201, short 409 insufficient_points, others all other answers.

    broken counts connections refused or lost and answers that came too late; sample is the first
    of the other answers.
    """

    created: int
    short: int
    others: int
    broken: int
    seconds: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    sample: str

    @property
    def per_s(self) -> float:
        """Requests posted, durable, a second; refused ones are left out."""
        return self.created / self.seconds


def is_available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def load(
    place: Place,
    town: Town,
    server: ApiServer,
    name: str,
    seed: int,
    *,
    connections: int,
    seconds: int,
    pause_ms: int = 0,
) -> Load:
    """Drive the server for so long. name has to be new, since it begins every Idempotency-Key."""
    command = ["wrk", f"-t{_THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), server.address, "--", str(town.cards), str(town.keys)]
    done = subprocess.run(
        [*command, name, str(seed), str(pause_ms)],
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    lines = done.stdout.splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith("figures ")), None)
    if done.returncode != 0 or at is None:
        raise LoadError(f"wrk failed:\n{done.stdout}\n{done.stderr}")
    figures = lines[at].split()[1:]
    created, short, others, duration_us = map(int, figures[:4])
    mean_ms, p50_ms, p99_ms, max_ms = map(float, figures[4:8])
    return Load(
        created, short, others, int(figures[8]), duration_us / 1e6,
        mean_ms, p50_ms, p99_ms, max_ms, "\n".join(lines[at + 1 :]).strip(),
    )  # fmt: skip


def pause_ms(connections: int, per_s: float, mean_ms: float) -> int:
    """How long each connection has to pause on average so that all make per_s requests."""
    return max(1, round(connections / per_s * 1000 - mean_ms))
