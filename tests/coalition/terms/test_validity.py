"""The section [validity]: what it may say, and what is wrong with it in which line."""

import pytest

from coalition.earning.validity import Validity
from coalition.terms.validity import read_validity
from coalition.toml.document import parse_document


def read(text: str) -> tuple[Validity, list[str]]:
    document = parse_document("slow.toml", text.encode())
    validity = read_validity(document)
    return validity, [str(mistake) for mistake in document.mistakes]


def test_points_never_expire_and_are_good_at_once_unless_the_file_says_otherwise() -> None:
    assert read("") == (Validity(), [])


@pytest.mark.parametrize(("text", "days"), [("14 days", 14), ("1 day", 1), ("365 days", 365)])
def test_points_are_pending_for_a_number_of_days(text: str, days: int) -> None:
    assert read(f'usable_after = "{text}"') == (Validity(usable_after_days=days), [])


@pytest.mark.parametrize("text", ['"two weeks"', '"14"', '"0 days"', '"14 days "', '"1.5 days"'])
def test_a_pending_time_that_is_none_is_refused_with_its_line(text: str) -> None:
    _, [mistake] = read(f"months = 12\nusable_after = {text}")
    assert mistake.startswith("slow.toml:2: usable_after: ")
    assert '"14 days"' in mistake


@pytest.mark.parametrize(
    ("lives", "at_most"),
    [
        ("days = 10", 10),
        ("days = 10\nuntil_month_end = true", 10),
        ("months = 1", 28),
        ("months = 12", 365),
        ("months = 3\nuntil_month_end = true", 89),
    ],
)
def test_points_may_not_be_pending_for_longer_than_they_live(lives: str, at_most: int) -> None:
    assert read(f'{lives}\nusable_after = "{at_most} days"')[1] == []
    _, [mistake] = read(f'{lives}\nusable_after = "{at_most + 1} days"')
    line = lives.count("\n") + 2
    assert mistake.startswith(f"slow.toml:{line}: usable_after: ")
    assert f'"{at_most} days" at most' in mistake
