"""The style as a test: rooms that can be read in one sitting, and words that mean one thing."""

import ast
import re
import shutil
import subprocess
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
FOLDERS = ("/ro" + "ot/", "/ho" + "me/", "/wo" + "rk/", "/Us" + "ers/", "../sha" + "red")
# Rooms whose nouns are words of the domain, and names in them that are the program's own.
DOMAIN = (
    "coalition/ledger",
    "coalition/clearing",
    "coalition/terms",
    "coalition/earning",
    "coalition/members",
    "coalition/keys",
    "coalition/wire",
    "settlement",
)
NOT_DOMAIN = {
    *("answer", "body", "change", "connection", "done", "enrolled", "enrolment", "error", "format"),
    *(
        "line",
        "lines",
        "plan",
        "policy",
        "refused",
        "request",
        "result",
        "row",
        "seen",
        "short",
        "state",
    ),
    *("stored",),
}
PLACES = (
    r"(.ci|.github)/.*|\.[a-z]+|CHANGELOG\.md|Dockerfile",
    r"tests/(.*/)?(test_\w+|conftest)\.py|tests/scenarios/\w+\.scenario",
    r"src/coalition/migrations/(env\.py|versions/\d{4}_\w+\.(py|sql))",
    r"(.*/)?(__init__|__main__)\.py|src/\w+/py\.typed",
    r"configs/merchants/(programmes/)?\w+/\w+\.toml",
)
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
            if not isinstance(node, ast.expr):
                continue
            is_float = isinstance(node, ast.Name) and node.id == "float"
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if is_float or (is_literal and path.name != "service.py"):
                raise AssertionError(f"{_name(path)}:{getattr(node, 'lineno', 0)} has a float")


def test_nothing_names_a_package_host_or_a_folder_of_one_machine() -> None:
    for path in sorted(ROOT.rglob("*")):
        if not path.is_file() or path.suffix in (".svg", ".pyc") or _is_made(path):
            continue
        text = path.read_text(errors="ignore")
        for word in (*HOSTS, *FOLDERS):
            assert word not in text, f"{_name(path)} names {word}"
        for way in re.findall(r"(?:\.\./)+[\w./-]*", text):
            led_to = (path.parent / way).resolve()
            assert led_to.is_relative_to(ROOT.resolve()), f"{_name(path)} leads out of here: {way}"


def _is_made(path: Path) -> bool:
    """Whether a tool made it: what git ignores, and git's own files."""
    made = {"out", "node_modules", "__pycache__"}
    return any(
        part in made or part.endswith(".egg-info") or (part.startswith(".") and part != ".ci")
        for part in path.relative_to(ROOT).parts
    )


def test_the_glossary_has_every_word_once_and_in_order() -> None:
    words = _glossary()
    assert len(words) > 40
    assert words == sorted(set(words))


def test_every_table_and_every_noun_of_the_domain_is_in_the_glossary() -> None:
    words = {part for word in _glossary() for part in word.split()}
    for name, where in _domain_names():
        parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+", name)}
        is_known = parts & words or {part.removesuffix("s") for part in parts} & words
        assert is_known or parts & NOT_DOMAIN, f"docs/glossary.md lacks {name} of {where}"


def _glossary() -> list[str]:
    text = (ROOT / "docs/glossary.md").read_text().lower()
    return [word for word in re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE) if word != "word"]


def _domain_names() -> Iterator[tuple[str, str]]:
    """Tables, views and types of the schema, and the public classes of the domain's rooms."""
    for path in sorted((ROOT / "src/coalition/migrations/versions").glob("*.sql")):
        made = r"^create (?:or replace )?(?:table|view|type) (\w+)"
        for name in re.findall(made, path.read_text(), re.MULTILINE | re.IGNORECASE):
            yield name, _name(path)
    for room in DOMAIN:
        for path in sorted((ROOT / "src" / room).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name, _name(path)


def test_every_attack_stands_in_the_page_on_security() -> None:
    page = (ROOT / "docs/security.md").read_text()
    for path in (ROOT / "tests/attacks").glob("test_*.py"):
        assert path.name in page, f"docs/security.md does not tell what {path.name} attacks"


def test_the_list_of_decisions_has_every_record_once_and_in_order() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"^\| \[\d{4}\]\((.+?)\)", (folder / "README.md").read_text(), re.M)
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_no_file_lies_there_that_nothing_names() -> None:
    files = [ROOT / line for line in _git("ls-files").splitlines() if (ROOT / line).is_file()]
    for path in files:
        if _has_its_place(_name(path)):
            continue
        word = re.compile(_naming(path), re.MULTILINE)
        others = (
            one for one in files if one != path and one.suffix not in (".svg", ".lock", ".xlsx")
        )
        assert any(word.search(one.read_text()) for one in others), f"nothing names {_name(path)}"


def _naming(path: Path) -> str:
    """What names a file: for a module an import, for any file its name in a sentence or command."""
    if path.suffix != ".py":
        return rf"(?<![\w-]){re.escape(path.name)}(?![\w-])"
    stem = path.stem
    return rf"import .*\b{stem}\b|^ +{stem},$|[./]{stem}(\.py)?\b"


def _has_its_place(name: str) -> bool:
    """Whether a tool or a test finds the file by where it lies."""
    return any(re.fullmatch(place, name) for place in PLACES)


def _git(*words: str) -> str:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("what belongs to the project is known to git only")
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
