"""docs/earning.md: every example is a file that is right, and comes to what stands beneath it."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from tests.coalition.earning.toml_terms import RATES, terms_of
from tests.world import HOUSE, merchant

from coalition.commands.explaining import explained
from coalition.commands.merchants import explain
from coalition.earning.rules.table import KINDS
from coalition.terms.book import Book, Merchant

GUIDE = (Path(__file__).parents[3] / "docs/earning.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```\n```console\n(.*?)```", GUIDE, re.DOTALL)
ZONE = ZoneInfo("Asia/Shanghai")


def book(block: str) -> Book:
    terms = {2: terms_of(RATES + block), 3: merchant("retail")}
    return Book(
        house=HOUSE,
        house_zone=ZONE,
        merchants={number: Merchant(number, one, ZONE) for number, one in terms.items()},
        ids={one.code: number for number, one in terms.items()},
        codes={number: one.code for number, one in terms.items()},
        windows=(),
    )


@pytest.mark.parametrize(("block", "console"), EXAMPLES)
def test_an_example_comes_to_what_the_guide_says(block: str, console: str) -> None:
    for shown in console.removeprefix("$ ").split("\n$ "):
        command, *lines = shown.rstrip().split("\n")
        program, group, name, *words = shlex.split(command)
        assert (program, group, name) == ("coalition", "merchants", "explain")
        said = explain.make_context(name, words, resilient_parsing=False).params
        code, at = said.pop("code"), said.pop("at")
        told = explained(code, said, at, datetime(2026, 12, 1, tzinfo=UTC), book(block))
        assert list(told) == lines


def test_every_kind_has_an_example() -> None:
    shown = set(re.findall(r'^kind = "(\w+)"', "".join(block for block, _ in EXAMPLES), re.M))
    assert shown == set(KINDS)
    assert isinstance(explain, click.Command)
