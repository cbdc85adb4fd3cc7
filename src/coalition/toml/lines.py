"""Where each key of a TOML document stands, so that a mistake can be reported with its line.

The standard parser (tomllib) reads the values and forgets the lines. This scan is run beside it, on
text that tomllib has already accepted, so it finds its way and checks nothing.
"""

import re

KeyPath = tuple[str | int, ...]
"""The way to a value: table names and keys, and the index (from 0) in an array."""

# Each part of a dotted key is a way of its own to remember; no file that is meant has so many.
_PARTS_MAX = 64
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    # The long quotes first: """ also begins like "" . A closing """ may follow up to two more ".
    re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """The line (from 1) on which each table, key and array element of a valid TOML text begins."""
    scan = _Scan(text)
    table: KeyPath = ()
    while scan.skip_blank():
        if text.startswith("[[", scan.at):
            table = scan.array_header()
        elif text.startswith("[", scan.at):
            table = scan.table_header()
        else:
            scan.pair(table)
    return scan.lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of path, or of the nearest table around it where the path itself is not written."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scan:
    """A position in the text, and the lines found so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.tables_in: dict[KeyPath, int] = {}
        self._counted_to = 0
        self._line = 1

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        assert found, f"not valid TOML at line {self.line()}"
        self.at = found.end()

    def skip_blank(self) -> bool:
        """Step over space, newlines and comments. False at the end of the text."""
        self.skip(_BLANK)
        return self.at < len(self.text)

    def array_header(self) -> KeyPath:
        line = self.line()
        self.at += 2
        *parents, last = self.dotted_key()
        self.at += 2
        array = (*self.resolve(parents, line), last)
        self.lines.setdefault(array, line)
        index = self.tables_in.get(array, 0)
        self.tables_in[array] = index + 1
        self.lines[(*array, index)] = line
        return (*array, index)

    def table_header(self) -> KeyPath:
        line = self.line()
        self.at += 1
        table = self.resolve(self.dotted_key(), line)
        self.at += 1
        self.lines[table] = line
        return table

    def resolve(self, keys: list[str], line: int) -> KeyPath:
        """A header's keys as a path: a key that names an array of tables means its last table."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self.tables_in:
                path = (*path, self.tables_in[path] - 1)
        return path

    def dotted_key(self) -> list[str]:
        keys = [self.simple_key()]
        while self.text.startswith(".", self.at):
            self.at += 1
            keys.append(self.simple_key())
            if len(keys) > _PARTS_MAX:
                raise ValueError(f"a key of more than {_PARTS_MAX} parts")
        return keys

    def simple_key(self) -> str:
        self.skip_blank()
        start = self.at
        quoted = self.text[start] in "\"'"
        if quoted:
            self.string()
        else:
            self.skip(_BARE_KEY)
        key = self.text[start : self.at]
        self.skip_blank()
        return key[1:-1] if quoted else key

    def pair(self, table: KeyPath) -> None:
        line = self.line()
        path = table
        for key in self.dotted_key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at += 1
        self.skip_blank()
        self.value(path)

    def value(self, path: KeyPath) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self.string()
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            self.skip(_SCALAR)

    def string(self) -> None:
        for pattern in _STRINGS:
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return
        raise AssertionError(f"not valid TOML at line {self.line()}")

    def array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self.skip_blank() and self.text[self.at] != "]":
            self.lines[(*path, index)] = self.line()
            self.value((*path, index))
            index += 1
            self.skip_blank()
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self.skip_blank() and self.text[self.at] != "}":
            self.pair(path)
            self.skip_blank()
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1
