"""Each key of a TOML document is found on its line."""

import tomllib
from typing import Any

import pytest

from coalition.toml.lines import KeyPath, line_of, lines_of_keys

DOCUMENT = '''\
# a comment with a "quote and a [bracket]
name = "Telecom # not a comment"   # a comment
a.b."c.d" = 1
text = """
[not.a.table]
key = "not a key" \\""" still the text
"""
raw = \'\'\'
x = 1
\'\'\'
list = [
  1,       # one, ]
  "two]",
  [3,
   4], { x = 5,  y = [6] },
]
inline = { p = 1, q.r = "}" }

  [earning]
outright=true
[[earning.rates]]
category = 'data'
[[earning.rates]]   # the second
category = "*"
per = "1.00"
[earning.rates.more]
x = 1
[[prices]]
[[prices.pair]]
redeemer = "a"
[[prices]]
[[prices.pair]]
redeemer = "b"
[ "quoted key" . sub ]
when = 2017-01-01T00:00:00Z
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("a", "b", "c.d"), 3),
        (("a", "b"), 3),
        (("text",), 4),
        (("raw",), 8),
        (("list",), 11),
        (("list", 0), 12),
        (("list", 1), 13),
        (("list", 2, 1), 15),
        (("list", 3, "y", 0), 15),
        (("inline", "q", "r"), 17),
        (("earning",), 19),
        (("earning", "outright"), 20),
        (("earning", "rates"), 21),
        (("earning", "rates", 0, "category"), 22),
        (("earning", "rates", 1), 23),
        (("earning", "rates", 1, "per"), 25),
        (("earning", "rates", 1, "more", "x"), 27),
        (("prices", 0, "pair", 0, "redeemer"), 30),
        (("prices", 1), 31),
        (("prices", 1, "pair", 0, "redeemer"), 33),
        (("quoted key", "sub", "when"), 35),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_is_found_on_its_line(path: KeyPath, line: int, newline: str) -> None:
    assert lines_of_keys(DOCUMENT.replace("\n", newline))[path] == line


def test_every_value_of_the_document_has_a_line() -> None:
    lines = lines_of_keys(DOCUMENT)
    assert [path for path in paths(tomllib.loads(DOCUMENT)) if path not in lines] == []


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    below = [found for key, one in inner for found in paths(one, (*path, key))]
    return [path, *below] if path else below


def test_what_is_not_written_is_at_the_table_around_it() -> None:
    lines = lines_of_keys(DOCUMENT)
    assert line_of(lines, ("earning", "rates", 1, "points")) == 23
    assert line_of(lines, ("nothing",)) == 1


@pytest.mark.parametrize(
    "text", ['x = """"quoted""""\ny = 1', "x = ''\ny = 1", 'x = "\\\\"\ny = 1', "x = '\\'\ny = 1"]
)
def test_strings_end_where_they_end(text: str) -> None:
    assert set(tomllib.loads(text)) == {"x", "y"}
    assert lines_of_keys(text) == {("x",): 1, ("y",): 2}
