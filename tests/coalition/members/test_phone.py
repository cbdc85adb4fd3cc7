"""A phone number has one form."""

import pytest

from coalition.members.phone import e164


@pytest.mark.parametrize(
    "text", ["+8613800138000", "+86 138 0013 8000", "0086 138-0013-8000", "+86 (138) 0013.8000"]
)
def test_one_number_has_one_form(text: str) -> None:
    assert e164(text) == "+8613800138000"


@pytest.mark.parametrize("text", ["138 0013 8000", "+0138", "+86", "+86138001380001234", "110"])
def test_a_number_without_its_country_or_of_a_wrong_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its country"):
        e164(text)
