"""coalition merchants explain: what a purchase comes to, a line a rule, and why not more."""

import shutil
from pathlib import Path

import pytest
from tests.coalition.commands.terminal import ALLIANCE, Type

RULES = """
[[earn]]
name = "data services"
kind = "rate"
points = 1
per = "1.00"
paid_by = { telecom = "0.5", retail = "0.5" }
[earn.when]
category = ["data"]
weekdays = ["sat"]
[earn.caps]
per_earn = 60
"""


@pytest.fixture
def ruled(bare: Type, tmp_path: Path) -> Type:
    """The alliance is synced, telecom with a rule of its own."""
    folder = shutil.copytree(ALLIANCE, tmp_path / "merchants")
    file = folder / "telecom.toml"
    file.write_text(file.read_text() + RULES)
    bare("merchants", "sync", folder)
    return bare


def test_each_rule_is_a_line_with_who_pays(ruled: Type) -> None:
    told = ruled(
        *("merchants", "explain", "telecom", "--amount", "120.00"),
        *("--item", "data:80.00", "--on", "2026-11-28"),
    )
    assert told.stdout.splitlines() == [
        "purchase             200  by the rates; telecom pays 200",
        "data services         60  1 for every 1.00 CNY; 80 points, and at most 60 an earn; "
        "telecom pays 30, retail pays 30",
        "in all               260  points on 2026-11-28",
    ]


def test_a_rule_that_does_not_apply_says_why(ruled: Type) -> None:
    words = ("merchants", "explain", "telecom", "--amount", "9.00", "--on")
    assert "data services          -  on sat only\n" in ruled(*words, "2026-11-27").stdout
    assert (
        "data services          -  no item of category data\n"
        in ruled(*words, "2026-11-28T18:30").stdout
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["telcom", "--amount", "1"], 'no merchant is called "telcom"; did you mean "telecom"?'),
        (["telecom"], "say --amount, --item or --action"),
        (
            ["telecom", "--amount", "1.005"],
            '--amount: "1.005" is no amount; write it such as',
        ),
        (["telecom", "--item", "data"], "not CATEGORY[/SKU][*PIECES]:MONEY"),
        (["telecom", "--amount", "1", "--item", "data:2"], "items add up to 200 minor units"),
        (["telecom", "--amount", "1", "--tax", "2"], "more than the amount"),
        (["telecom", "--action", "survey"], "telecom's terms define no actions yet"),
    ],
)
def test_what_no_till_could_ask_is_told(ruled: Type, words: list[str], says: str) -> None:
    assert says in ruled("merchants", "explain", *words, leaves_with=1).output
