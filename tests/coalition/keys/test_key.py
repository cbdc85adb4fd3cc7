"""API keys: a whole one is read back, a mistyped one is refused without a look-up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.keys.key import hmac_of, is_match, mint, parse

PEPPER = b"pepper"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

keys = st.builds(
    lambda number, live: mint(live=live, random_bytes=lambda n: number.to_bytes(28)[-n:]),
    st.integers(0, 2**224 - 1),
    st.booleans(),
)


@given(keys)
def test_a_key_is_read_back_as_it_was_made(key) -> None:  # type: ignore[no-untyped-def]
    assert parse(key.text) == key
    assert re.fullmatch(r"coal_(live|test)_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}", key.text)
    assert key.text.startswith("coal_live_" if key.is_live else "coal_test_")


@given(keys, st.data())
def test_a_mistyped_character_is_refused_without_a_look_up(key, data) -> None:  # type: ignore[no-untyped-def]
    at = data.draw(st.integers(0, len(key.text) - 1))
    other = data.draw(st.one_of(st.sampled_from(BASE62 + "_-"), st.characters()))
    mistyped = key.text[:at] + other + key.text[at + 1 :]
    assert (parse(mistyped) is None) == (mistyped != key.text)


@given(keys, st.integers(0, 54))
def test_two_neighbours_swapped_are_refused(key, at) -> None:  # type: ignore[no-untyped-def]
    text = key.text
    swapped = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    assert (parse(swapped) is None) == (swapped != text)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "change", [lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], str.upper]
)
def test_a_key_with_something_more_or_less_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    assert parse(change(mint(live=True).text)) is None


def test_only_the_right_secret_under_the_right_pepper_matches() -> None:
    key, other = mint(live=True), mint(live=True)
    stored = hmac_of(PEPPER, key.secret)
    assert len(stored) == 32
    assert is_match(PEPPER, key, stored)
    assert not is_match(PEPPER, other, stored)
    assert not is_match(b"salt", key, stored)
    assert not is_match(PEPPER, key, None)


def test_a_key_never_shows_its_secret() -> None:
    key = mint(live=True)
    assert key.secret not in repr(key)
    assert key.secret not in str(key)
    assert key.key_id in repr(key)


def test_no_two_keys_are_alike() -> None:
    minted = [mint(live=False) for _ in range(100)]
    assert len({key.key_id for key in minted}) == len({key.secret for key in minted}) == 100
