"""Which settings a PostgreSQL wants for a ledger's work, by the memory and the disk that it has.

Pure: what the machine has is read by machine.py. PostgreSQL's own settings are made for a small
machine; under load it then makes a checkpoint every ten seconds, and after each the first touch of
a page writes all of it, which a till at half load waits for up to half a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

# The API shares the machine, and the system's cache needs room for the same files.
SHARED_BUFFERS_SHARE = 6
SHARED_BUFFERS_MAX = 8 * GB
SHARED_BUFFERS_SMALL = 128 * MB
# After a crash this much is read again, through those buffers; much more would take too long.
WAL_FOR_EACH_BUFFER = 8
WAL_MAX = 16 * GB
WAL_MIN = 128 * MB
# max_wal_size is no hard bound, and the tables grow on the same disk.
DISK_SHARE = 5
WAL_BUFFERS_MAX = 64 * MB
CHECKPOINT_TIMEOUT_S = 30 * 60


@dataclass(frozen=True, slots=True)
class FarOff:
    """A setting of a server that hurts; found and wanted are written as postgresql.conf does."""

    setting: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class _Bound:
    """Below least (bytes or seconds) a setting hurts; what is wanted, for people."""

    least: int
    wanted: str


_BOUNDS = {
    "shared_buffers": _Bound(256 * MB, "a sixth to a quarter of the server's memory"),
    "max_wal_size": _Bound(4 * GB, "16GB, as far as its disk has room"),
    "checkpoint_timeout": _Bound(15 * 60, "30min"),
}
LOOKED_AT = tuple(_BOUNDS)


def settings_for(memory_bytes: int, disk_free_bytes: int) -> dict[str, str]:
    """The settings of a server that shares a machine of this memory with the API.

    disk_free_bytes is what is free where its data lies.
    """
    small = min(SHARED_BUFFERS_SMALL, memory_bytes // 4)
    buffers = min(max(memory_bytes // SHARED_BUFFERS_SHARE, small), SHARED_BUFFERS_MAX)
    wal = min(buffers * WAL_FOR_EACH_BUFFER, WAL_MAX, disk_free_bytes // DISK_SHARE)
    return {
        "shared_buffers": _whole(buffers),
        "effective_cache_size": _whole(memory_bytes // 2),
        "max_wal_size": _whole(max(wal, WAL_MIN)),
        "wal_buffers": _whole(min(buffers // 32, WAL_BUFFERS_MAX)),
        "checkpoint_timeout": f"{CHECKPOINT_TIMEOUT_S}s",
        "checkpoint_completion_target": "0.9",
    }


def far_off(found: Mapping[str, tuple[int, str]]) -> list[FarOff]:
    """Which settings of a server are so small that tills feel it.

    found: by the names in LOOKED_AT, the value in bytes or seconds and as the server shows it. A
    name that is missing is one that the server does not have.
    """
    return [
        FarOff(name, found[name][1], bound.wanted)
        for name, bound in _BOUNDS.items()
        if name in found and found[name][0] < bound.least
    ]


def _whole(size_bytes: int) -> str:
    """Whole megabytes where there are any, as PostgreSQL reads them; else kilobytes."""
    return f"{size_bytes // MB}MB" if size_bytes >= MB else f"{max(size_bytes // KB, 32)}kB"
