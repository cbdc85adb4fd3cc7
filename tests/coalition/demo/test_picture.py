"""What the picture of the year shows: every path's points and money, legibly."""

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.demo import picture
from coalition.demo.picture import matrix_svg
from settlement.obligation import Obligation, PathLine, Result

NAMES = {"fuel": "Fuel & Go", "grocer": "Grocer", "wine": "A Very Long Name for a Wine Shop"}


def result(*lines: tuple[str, str, int, int]) -> Result:
    """lines: origin, redeemer, points, and what the redeemer is owed for them (minor units)."""
    paths, debts = [], []
    for number, (origin, redeemer, points, owed) in enumerate(lines, start=1):
        paths.append(
            PathLine(number, origin, redeemer, "redemption", points, Decimal(1), 3 * owed, "USD")
        )
        sides = (origin, "house", redeemer) if owed > 0 else (redeemer, "house", origin)
        # The origin pays three times what the redeemer gets, so that a mix-up would show.
        paid, got = (3, 1) if owed > 0 else (1, 3)
        if owed:
            debts.append(Obligation(1, *sides[:2], paid * abs(owed), "USD", "burn", number))
            debts.append(Obligation(2, *sides[1:], got * abs(owed), "USD", "redeem", number))
    return Result(tuple(paths), tuple(debts), ())


ISSUED = PathLine(1, "grocer", "grocer", "issue", 999_999, Decimal(1), 999, "USD")
RESULTS = (
    result(("grocer", "fuel", 1_200, 1_200), ("fuel", "grocer", 30, 25), ("fuel", "fuel", 7, 0)),
    result(("grocer", "fuel", -200, -200)),
    Result((ISSUED,), (Obligation(1, "grocer", "house", 999, "USD", "issue", 1),), ()),
)


def told(svg: str) -> dict[str, str]:
    """Each field's words by what it says of itself when pointed at."""
    fields = {}
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        title, *rest = [element.text or "" for element in group.iter() if element.text]
        fields[title.split(":")[0]] = " ".join(rest)
    return fields


def drawn() -> str:
    return matrix_svg(RESULTS, NAMES, title="A <year>", currency="USD")


def test_a_field_shows_the_points_and_the_money_of_its_path_with_corrections_taken_off() -> None:
    fields = told(drawn())
    assert fields["Grocer's points burned at Fuel & Go"] == "1,000 10.00"
    assert fields["Fuel & Go's points burned at Grocer"] == "30 0.25"


def test_own_redemptions_say_so_and_owe_nothing() -> None:
    assert told(drawn())["Fuel & Go's points burned at Fuel & Go"] == "7 own"


def test_a_pair_without_points_is_a_dash_and_issued_points_are_not_shown() -> None:
    fields = told(drawn())
    assert fields["Grocer's points burned at Grocer"] == "\N{EN DASH}"
    assert len(fields) == 9


def test_totals_add_up_rows_columns_and_all() -> None:
    words = [element.text for element in ElementTree.fromstring(drawn()).iter() if element.text]
    assert "1,037" in words, "everything burned"
    assert "37" in words, "fuel's points, anywhere"
    assert "1,037 points redeemed: 7 where they were issued, 1,030 elsewhere, " in " ".join(words)


def test_the_same_paths_give_the_same_bytes() -> None:
    assert drawn() == matrix_svg(tuple(reversed(RESULTS)), NAMES, title="A <year>", currency="USD")


def test_a_year_without_a_redemption_is_still_a_picture() -> None:
    ElementTree.fromstring(matrix_svg((), NAMES, title="Nothing", currency="USD"))


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_words_on_every_shade_are_readable(points: int, more: int) -> None:
    fill = picture._shade(points, points + more)
    assert picture.contrast(picture.readable_on(fill), fill) >= 4.5


@pytest.mark.parametrize("fill", [picture.OWN_FILL, picture.TOTAL_FILL, picture.EMPTY_FILL])
def test_words_on_every_plain_field_are_readable(fill: str) -> None:
    assert picture.contrast(picture.readable_on(fill), fill) >= 4.5
    assert picture.contrast(picture.SOFT, fill) >= 4.5
