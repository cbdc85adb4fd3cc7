"""How much memory a server may take: the machine's, or what a container is held to."""

from pathlib import Path

import pytest

from coalition.postgres import machine

MB = 1 << 20


@pytest.mark.parametrize(
    ("groups", "limits", "wanted"),
    [
        pytest.param("0::/", {"memory.max": 64 * MB}, 64 * MB, id="version 2, a container"),
        pytest.param("0::/a/b", {"a/memory.max": 32 * MB}, 32 * MB, id="version 2, a group above"),
        pytest.param("0::/a", {"memory.max": "max", "a/memory.max": 8 * MB}, 8 * MB, id="max"),
        pytest.param(
            "9:cpu:/\n4:memory:/docker/1", {"memory/memory.limit_in_bytes": 16 * MB}, 16 * MB,
            id="version 1, the host's path",
        ),
        pytest.param("4:memory:/a", {"memory/a/memory.limit_in_bytes": MB}, MB, id="version 1"),
        pytest.param("9:cpu:/a", {"memory/memory.limit_in_bytes": MB}, None, id="no memory group"),
        pytest.param(
            "4:memory:/", {"memory/memory.limit_in_bytes": 9223372036854771712}, None, id="no limit"
        ),
    ],
)  # fmt: skip
def test_the_least_limit_of_the_groups_counts(
    tmp_path: Path, groups: str, limits: dict[str, object], wanted: int | None
) -> None:
    own = tmp_path / "own"
    own.write_text(groups + "\n")
    for name, limit in limits.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    physical = machine.memory_bytes(tmp_path / "none", tmp_path)
    assert machine.memory_bytes(own, tmp_path / "cgroup") == (wanted or physical)
    assert physical > 64 * MB
