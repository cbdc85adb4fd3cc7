"""Close every due window of one database, alone in a process; print seconds and peak memory.

A process of its own, as in production, so that a till that is measured meanwhile shares nothing
with it but the server. Run by closing.py: `python -m benchmarks.close_once URL`.
"""

import asyncio
import json
import resource
import sys
import time
from datetime import UTC, datetime

from coalition.clearing.service import close_due
from coalition.database import create_engine


async def _close(url: str) -> float:
    engine = create_engine(url, pool_size=2)
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


if __name__ == "__main__":
    taken_s = asyncio.run(_close(sys.argv[1]))
    # Kilobytes on Linux, bytes on macOS (getrusage(2)).
    unit = 1 if sys.platform == "darwin" else 1024
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_000_000
    sys.stdout.write(json.dumps({"seconds": taken_s, "peak_mb": peak_mb}) + "\n")
