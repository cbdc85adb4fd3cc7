"""What the same server does without us: pgbench's TPC-B, a bare COPY, a bare GROUP BY."""

import re
import time
from dataclasses import dataclass

from benchmarks.place import Place, connected, create_database, run
from coalition.postgres import programs
from coalition.postgres.server import PORT, SUPERUSER

TPCB = "tpcb"
CLIENTS = 32
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)


class PgbenchError(Exception):
    """A reference could not be measured; says what the program printed."""


@dataclass(frozen=True, slots=True)
class TpcB:
    """One round of TPC-B: durable read-write transactions a second, and their mean latency."""

    tps: float
    latency_ms: float


def prepare_tpcb(place: Place, scale: int) -> None:
    """The tables of TPC-B in a database of their own; 100,000 accounts a unit of scale."""
    run(create_database(place, TPCB, migrated=False))
    _pgbench(place, "--initialize", "--quiet", f"--scale={scale}")


def tpcb(place: Place, seconds: int) -> TpcB:
    """Run TPC-B for so long with 32 clients and prepared statements."""
    printed = _pgbench(
        place, "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2", f"--time={seconds}"
    )
    found = _TPS.search(printed), _LATENCY.search(printed)
    failed = _FAILED.search(printed)
    if found[0] is None or found[1] is None or failed is None or failed[1] != "0":
        raise PgbenchError(f"pgbench did not run as it should:\n{printed}")
    return TpcB(float(found[0][1]), float(found[1][1]))


def _pgbench(place: Place, *arguments: str) -> str:
    server = place.server
    where = ["-h", str(server.socket_folder), "-p", str(PORT), "-U", SUPERUSER, TPCB]
    done = programs.run(server.binaries / "pgbench", [*arguments, *where], None, timeout_s=600)
    if done.returncode != 0:
        raise PgbenchError(f"pgbench failed:\n{done.stderr}")
    return done.stdout


async def copy_rows_per_s(place: Place, name: str, rows: int, rounds: int) -> list[float]:
    """COPY the same journal rows that a night file makes into a table without any index."""
    path = place.folder / "rows.copy"
    speeds = []
    async with connected(place, name) as connection:
        await connection.copy_from_query(
            f"select * from posting limit {int(rows)}", output=str(path), format="binary"
        )
        copied = await connection.fetchval("select count(*) from posting")
        await connection.execute("create table bare_posting (like posting)")
        for _ in range(rounds):
            await connection.execute("truncate bare_posting")
            started = time.perf_counter()
            await connection.copy_to_table("bare_posting", source=str(path), format="binary")
            speeds.append(min(rows, copied) / (time.perf_counter() - started))
        await connection.execute("drop table bare_posting")
    return speeds
