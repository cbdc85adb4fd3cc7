"""Whatever goes wrong around the program, nothing is lost and nothing is doubled."""

import sys
from pathlib import Path

import pytest
from tests.faults.fault import Place
from tests.faults.table import FAULTS


@pytest.mark.parametrize("name", list(FAULTS))
async def test_nothing_is_lost_and_nothing_doubled(
    name: str, database_url: str, tmp_path: Path
) -> None:
    fault = FAULTS[name]
    if fault.on_linux_only and sys.platform != "linux":
        pytest.skip("disk.c stands between PostgreSQL and Linux's C library")
    seen = await fault.do(Place(database_url, tmp_path))
    assert seen.times > 0, "it was never done"
    assert seen.wrong == []
    assert (seen.lost, seen.doubled) == (0, 0)
    # A fault that tampers is found by verify, and no other leaves anything to be found.
    assert bool(seen.breaches) == fault.names_a_breach, seen.breaches
