"""A password that is soon guessed will not do; what is kept of one is worth nothing elsewhere."""

import pytest

from coalition.errors import CoalitionError
from coalition.people.password import check_password, hash_password, is_password

PEPPER = b"a pepper of thirty-two bytes, yes"


@pytest.mark.parametrize(
    "password",
    [
        "elevenchars",
        "x" * 201,
        "abababababababab",
        "Password2026!",
        "123456789abc",
        "ann.example-17",
    ],
)
def test_what_is_soon_guessed_will_not_do(password: str) -> None:
    with pytest.raises(CoalitionError) as refused:
        check_password(password, "ann.example@example.com")
    assert password not in refused.value.detail


@pytest.mark.parametrize(
    "password", ["correct horse battery", "云上的羊在夜里数着星星唱歌", "x7#kQ!mmZ2p0"]
)
def test_some_words_will_do(password: str) -> None:
    check_password(password, "ann@example.com")


def test_a_password_is_right_for_its_person_under_its_pepper_alone() -> None:
    kept = hash_password(PEPPER, "per_1", "correct horse battery")
    assert "horse" not in kept
    assert is_password(PEPPER, "per_1", "correct horse battery", kept)
    assert not is_password(PEPPER, "per_1", "correct horse batter", kept)
    assert not is_password(PEPPER, "per_2", "correct horse battery", kept)
    assert not is_password(PEPPER[:-1], "per_1", "correct horse battery", kept)
    assert not is_password(PEPPER, None, "correct horse battery", None)


def test_a_letter_is_the_same_however_a_keyboard_composes_it() -> None:
    kept = hash_password(PEPPER, "per_1", "caf\u00e9 correct horse")
    assert is_password(PEPPER, "per_1", "cafe\u0301 correct horse", kept)
