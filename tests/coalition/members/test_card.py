"""Card numbers, without a database."""

import random

import pytest

from coalition.members.card import luhn_digit, make_card, parse_card


def test_the_check_digit_of_the_standards_own_example() -> None:
    # ISO/IEC 7812-1 is not free; every description of Luhn's formula has this example.
    assert luhn_digit("7992739871") == 3


@pytest.mark.parametrize("account", [0, 1, 99_999_999_999_999, 12_345_678_901_234])
def test_a_card_that_is_made_can_be_parsed(account: int) -> None:
    card = make_card(account)
    assert len(str(card)) == 16
    assert str(card)[0] == "9"
    assert parse_card(str(card)) == card


@pytest.mark.parametrize("account", random.Random(7).sample(range(10**14), 20))
def test_any_one_mistyped_digit_is_found(account: int) -> None:
    right = str(make_card(account))
    for place in range(16):
        for digit in "0123456789":
            wrong = right[:place] + digit + right[place + 1 :]
            if wrong != right:
                with pytest.raises(ValueError, match=r"digit|starts with 0"):
                    parse_card(wrong)


@pytest.mark.parametrize(
    "text",
    ["", "9", "9" * 15, "9" * 17, "９" * 16, "9000 0000 0000", "-900000000000000", "9" * 15 + "x"],
)
def test_what_is_not_sixteen_digits_is_no_card(text: str) -> None:
    with pytest.raises(ValueError, match="16 digits"):
        parse_card(text)
