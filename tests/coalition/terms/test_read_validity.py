"""The section [validity]: what it may say, and what is wrong with it in which line."""

from datetime import date
from decimal import Decimal

import pytest

from coalition.earning.validity import Validity
from coalition.terms.rules import RULE_EXAMPLE
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
        ("inactive_months = 2", 59),
        ("months = 3\nuntil_month_end = true", 89),
    ],
)
def test_points_may_not_be_pending_for_longer_than_they_live(lives: str, at_most: int) -> None:
    assert read(f'{lives}\nusable_after = "{at_most} days"')[1] == []
    _, [mistake] = read(f'{lives}\nusable_after = "{at_most + 1} days"')
    line = lives.count("\n") + 2
    assert mistake.startswith(f"slow.toml:{line}: usable_after: ")
    assert f'"{at_most} days" at most' in mistake


def test_points_may_live_until_a_day_or_to_the_end_of_a_period() -> None:
    assert read("until = 2027-12-31") == (Validity(until=date(2027, 12, 31)), [])
    rule = "FREQ=MONTHLY;BYMONTH=2,4,6,8,10,12;BYMONTHDAY=20"
    assert read(f'period_ends = "{rule}"') == (Validity(period_rule=rule), [])
    share = Decimal("0.25")
    assert read(f'period_ends = "{rule}"\ncarried_share = "0.25"') == (
        Validity(period_rule=rule, carried_share=share),
        [],
    )


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("months = 2\nuntil = 2027-12-31", 2, "until", "not both; leave out one"),
        ("days = 2\nmonths = 2", 1, "days", "not both; leave out one"),
        ('carried_share = "0.5"', 1, "carried_share", "write period_ends as well"),
        ('period_ends = "the 20th"', 1, "period_ends", "not a rule of days (RFC 5545)"),
        (f'period_ends = {RULE_EXAMPLE}\ncarried_share = "1"', 2, "carried_share", "below 1"),
        (f"period_ends = {RULE_EXAMPLE}\ncarried_share = 0.5", 2, "carried_share", '"0.5"'),
        (f"period_ends = {RULE_EXAMPLE}\nuntil_month_end = true", 2, "until_month_end", "no end"),
        ('until = "soon"', 1, "until", "2017-01-01"),
        ("inactive_months = 6\nmonths = 2", 1, "inactive_months", "not both; leave out one"),
        ("inactive_months = 6\nextends_earned = true", 2, "extends_earned", "leave it out"),
    ],
)
def test_what_contradicts_itself_is_refused_with_line_and_remedy(
    text: str, line: int, key: str, says: str
) -> None:
    _, mistakes = read(text)
    [mistake] = mistakes
    assert mistake.startswith(f"slow.toml:{line}: {key}: ")
    assert says in mistake


def test_terms_may_extend_what_was_earned_before() -> None:
    text = "months = 36\nextends_earned = true"
    assert read(text) == (Validity(months=36, extends_earned=True), [])


def test_points_may_lapse_by_inactivity() -> None:
    assert read("inactive_months = 18") == (Validity(inactive_months=18), [])
