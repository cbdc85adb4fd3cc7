"""Which settings a server gets, by its machine, and which of a foreign one are told."""

import pytest

from coalition.postgres import sizing
from coalition.postgres.sizing import GB, MB, FarOff, far_off, settings_for


@pytest.mark.parametrize(
    ("memory_bytes", "disk_free_bytes", "buffers", "wal", "wal_buffers", "cache"),
    [
        pytest.param(24 * GB, 80 * GB, "4096MB", "16384MB", "64MB", "12288MB", id="as measured"),
        pytest.param(256 * GB, 4_000 * GB, "8192MB", "16384MB", "64MB", "131072MB", id="large"),
        pytest.param(8 * GB, 200 * GB, "1365MB", "10922MB", "42MB", "4096MB", id="a laptop"),
        pytest.param(24 * GB, 10 * GB, "4096MB", "2048MB", "64MB", "12288MB", id="small disk"),
        pytest.param(24 * GB, 0, "4096MB", "128MB", "64MB", "12288MB", id="full disk"),
        pytest.param(1 * GB, 80 * GB, "170MB", "1365MB", "5MB", "512MB", id="small machine"),
        pytest.param(512 * MB, 80 * GB, "128MB", "1024MB", "4MB", "256MB", id="smallest"),
        pytest.param(64 * MB, 80 * GB, "16MB", "128MB", "512kB", "32MB", id="a tight container"),
    ],
)
def test_a_server_is_sized_by_its_memory_and_by_the_room_on_its_disk(
    memory_bytes: int, disk_free_bytes: int, buffers: str, wal: str, wal_buffers: str, cache: str
) -> None:
    assert settings_for(memory_bytes, disk_free_bytes) == {
        "shared_buffers": buffers,
        "effective_cache_size": cache,
        "max_wal_size": wal,
        "wal_buffers": wal_buffers,
        "checkpoint_timeout": "1800s",
        "checkpoint_completion_target": "0.9",
    }


def test_a_server_at_its_own_defaults_is_far_off_and_says_what_is_wanted() -> None:
    found = {
        "shared_buffers": (128 * MB, "128MB"),
        "max_wal_size": (1 * GB, "1GB"),
        "checkpoint_timeout": (300, "5min"),
    }
    assert far_off(found) == [
        FarOff("shared_buffers", "128MB", "a sixth to a quarter of the server's memory"),
        FarOff("max_wal_size", "1GB", "16GB, as far as its disk has room"),
        FarOff("checkpoint_timeout", "5min", "30min"),
    ]


def test_a_server_that_is_near_enough_or_lacks_a_setting_is_left_in_peace() -> None:
    assert far_off({"shared_buffers": (256 * MB, "256MB"), "max_wal_size": (4 * GB, "4GB")}) == []
    assert far_off({}) == []
    assert set(sizing.LOOKED_AT) <= set(settings_for(GB, GB))
