"""A till's wait while somebody attacks: half of the full load, calm, then beside each attack."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.attackers import ATTACKS
from benchmarks.place import ROOT, Place, clean_environment
from benchmarks.seed import Town
from benchmarks.servers import ApiServer, serving
from benchmarks.sizes import Sizes
from benchmarks.till_load import Load

STOP_TIMEOUT_S = 30
CALM = "half load, calm"
# Drives the server under a name and appends the round: (name, server).
Drive = Callable[[str, ApiServer], Load]


def under(name: str) -> str:
    """What rounds beside this attack are called."""
    return f"under {name}"


def tills_and_attacker(place: Place, town: Town) -> tuple[Town, str]:
    """The town whose tills have all keys but one, and that one."""
    attacker, *rest = town.keys.read_text().split()
    tills = place.folder / f"{town.database}.tills.keys"
    tills.write_text("\n".join(rest) + "\n")
    return replace(town, keys=tills), attacker


def measure_attacks(
    place: Place, town: Town, attacker: str, sizes: Sizes, drive: Drive
) -> dict[str, list[dict[str, int]]]:
    """What each attack was answered, by its name, a dict of counts for each round.

    Files that an attacker sent are cancelled when it ends, so that none is measured on another's.
    """
    answered: dict[str, list[dict[str, int]]] = {name: [] for name in ATTACKS}
    for _ in range(sizes.rounds):
        with serving(place, town.database, processes=1) as server:
            drive(CALM, server)
            for name in ATTACKS:
                with _attacked(name, server, attacker, answered[name]):
                    drive(under(name), server)
    return answered


@contextmanager
def _attacked(
    name: str, server: ApiServer, key: str, answered: list[dict[str, int]]
) -> Iterator[None]:
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.attackers", name, str(server.port)],
        env=clean_environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdin is not None
        child.stdin.write(key + "\n")
        child.stdin.flush()
        yield
        told, _ = child.communicate(timeout=STOP_TIMEOUT_S)
        answered.append(json.loads(told))
    finally:
        child.kill()
        child.wait()
