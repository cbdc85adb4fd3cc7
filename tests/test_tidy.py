"""The style as a test: rooms that can be read in one sitting, and words that mean one thing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
# Words that say nothing about what a thing is for; "engine" is SQLAlchemy's alone.
EMPTY_WORDS = re.compile(r"(manager|helper|utils?|processor|wallet)", re.IGNORECASE)
# The places where packages are downloaded from, and folders of one machine. Written in parts, so
# that this file does not hold what it looks for.
HOSTS = ("pypi" + ".org", "python" + "hosted.org", "npmjs" + ".com", "debian" + ".org")
FOLDERS = ("/ro" + "ot/", "/ho" + "me/", "../sha" + "red")
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def _definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_lives_in_it_and_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{_name(path)} opens without saying what it holds"
    assert text.count("\n") <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_functions_are_short_and_names_say_something(path: Path) -> None:
    assert not EMPTY_WORDS.search(path.stem)
    for node in _definitions(path):
        assert not EMPTY_WORDS.search(node.name), f"{node.name} in {_name(path)}"
        if not isinstance(node, ast.ClassDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} in {_name(path)} has {lines} lines"


def test_no_float_holds_points_or_money() -> None:
    """Seconds are floats; nothing in the rooms that count points or money is."""
    rooms = [
        *(ROOT / "src/settlement").rglob("*.py"),
        *(ROOT / "src/coalition/earning").rglob("*.py"),
        *(ROOT / "src/coalition/clearing").rglob("*.py"),
        *(
            ROOT / f"src/coalition/ledger/{name}.py"
            for name in ("state", "take", "decide", "earns", "burns", "reversals", "transfers")
        ),
    ]
    for path in rooms:
        for node in ast.walk(ast.parse(path.read_text())):
            is_float = isinstance(node, ast.Name) and node.id == "float"
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if is_float or (is_literal and path.name != "service.py"):
                raise AssertionError(f"{_name(path)}:{node.lineno} has a float")


def test_nothing_names_a_package_host_or_a_folder_of_one_machine() -> None:
    for path in sorted(ROOT.rglob("*")):
        if not path.is_file() or path.suffix in (".svg", ".pyc") or _is_made(path):
            continue
        text = path.read_text(errors="ignore")
        for word in (*HOSTS, *FOLDERS):
            assert word not in text, f"{_name(path)} names {word}"


def _is_made(path: Path) -> bool:
    """Whether a tool made it: what git ignores, and git's own files."""
    made = {"out", "node_modules", "__pycache__"}
    return any(
        part in made or part.endswith(".egg-info") or (part.startswith(".") and part != ".ci")
        for part in path.relative_to(ROOT).parts
    )


def test_every_word_of_the_glossary_stands_there_once() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = [word for word in rows if word != "word"]
    assert len(words) > 40
    assert len(words) == len(set(words))
