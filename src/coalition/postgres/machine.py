"""What a machine has for a server: its memory, or what a container may use of it, and its disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Where the system does not tell its memory, it is taken for a small one.
MEMORY_UNKNOWN_BYTES = 1 << 30
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def memory_bytes(own_groups: Path = _OWN_GROUPS, cgroups: Path = _CGROUPS) -> int:
    """The memory that this process and its children may use.

    own_groups says in which control groups this process is, cgroups is where their limits lie.
    """
    return min([_physical_bytes(), *_limits_bytes(own_groups, cgroups)])


def disk_free_bytes(folder: Path) -> int:
    """What is free, for those who are not root, on the disk of this folder, which exists."""
    return shutil.disk_usage(folder).free


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return MEMORY_UNKNOWN_BYTES


def _limits_bytes(own_groups: Path, cgroups: Path) -> Iterator[int]:
    """The limits of our groups and of all those above them, in both versions of control groups."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            top, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Inside a container the path may be the host's, and only its end or its top is here.
        own = top / group.lstrip("/")
        for folder in (own, *(one for one in own.parents if one.is_relative_to(top))):
            if (limit := _limit_bytes(folder / name)) is not None:
                yield limit


def _limit_bytes(path: Path) -> int | None:
    """None where there is no such file, or it sets no limit (`max`)."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
