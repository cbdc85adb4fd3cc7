"""What the picture of the year shows: every path's points and money, legibly."""

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.demo import picture
from coalition.demo.picture import matrix_svg
from settlement.obligation import PathLine

NAMES = {"fuel": "Fuel & Go", "grocer": "Grocer", "wine": "A Very Long Name for a Wine Shop"}


def path(
    origin: str, redeemer: str, points: int, amount: int, kind: str = "redemption"
) -> PathLine:
    return PathLine(1, origin, redeemer, kind, points, Decimal("0.01"), amount, "USD")


PATHS = (
    path("grocer", "fuel", 1_200, 1_200),
    path("grocer", "fuel", -200, -200),
    path("fuel", "grocer", 30, 25),
    path("fuel", "fuel", 7, 0),
    path("grocer", "grocer", 999_999, 999, kind="issue"),
)


def told(svg: str) -> dict[str, str]:
    """Each field's words by what it says of itself when pointed at."""
    fields = {}
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        title, *rest = [element.text or "" for element in group.iter() if element.text]
        fields[title.split(":")[0]] = " ".join(rest)
    return fields


def drawn() -> str:
    return matrix_svg(PATHS, NAMES, title="A <year>", currency="USD")


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
    assert drawn() == matrix_svg(tuple(reversed(PATHS)), NAMES, title="A <year>", currency="USD")


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
