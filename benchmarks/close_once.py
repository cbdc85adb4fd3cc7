"""Close every due window of one database, alone in a process; print seconds and peak memory.

A process of its own, as in production, so that a till that is measured meanwhile shares nothing
with it but the server. Run by closing.py: `python -m benchmarks.close_once URL`.
"""

import asyncio
import json
import os
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from coalition.clearing.service import close_due
from coalition.database import create_engine
from coalition.sealing.digests import seal_key


async def _close(url: str) -> float:
    engine = create_engine(url, seal_key(os.environ["COALITION_PEPPER"].encode()), pool_size=2)
    try:
        async with engine.connect():
            # Connected before the clock starts.
            pass
        started = time.perf_counter()
        labels = await close_due(engine, datetime.now(UTC))
        seconds = time.perf_counter() - started
    finally:
        await engine.dispose()
    assert len(labels) == 1, f"one window was due, {len(labels)} were closed"
    return seconds


def _peak_mb() -> float:
    """This process's highest resident size.

    Where there is /proc, it is asked: getrusage(2) counts what the parent held when it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1_000_000
    # Kilobytes where there is no /proc but on macOS, which counts bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_000_000


if __name__ == "__main__":
    taken_s = asyncio.run(_close(sys.argv[1]))
    peak_mb = _peak_mb()
    sys.stdout.write(json.dumps({"seconds": taken_s, "peak_mb": peak_mb}) + "\n")
