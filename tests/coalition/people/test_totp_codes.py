"""Codes by the clock are those of RFC 6238, taken a step early or late, and each once."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from coalition.people import codes

# Appendix B of the RFC: eight digits there, of which an app shows the last six.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("at_s", VECTORS)
def test_the_codes_are_those_of_the_standard(at_s: int) -> None:
    step = codes.step_at(datetime.fromtimestamp(at_s, UTC))
    assert codes.code_at(SECRET, step) == VECTORS[at_s][2:]


@pytest.mark.parametrize(
    ("off_s", "is_good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_a_code_is_good_a_step_early_and_late(off_s: int, is_good: bool) -> None:
    step = codes.step_at(NOW + timedelta(seconds=off_s))
    found = codes.step_of(SECRET, codes.code_at(SECRET, step), NOW, None)
    assert (found == step) == is_good


def test_a_code_that_was_taken_is_none_any_more_nor_is_one_before_it() -> None:
    step = codes.step_at(NOW)
    for taken in (step, step + 1):
        assert codes.step_of(SECRET, codes.code_at(SECRET, step), NOW, taken) is None
    assert codes.step_of(SECRET, codes.code_at(SECRET, step), NOW, step - 1) == step


def test_whatever_is_no_code_is_no_code() -> None:
    for text in ("", "12345", "000000", "٣٢١٠٥٤", "\ud800"):
        assert codes.step_of(SECRET, text.encode("utf-8", "replace").decode(), NOW, None) is None


def test_the_address_for_an_app_names_the_person_and_the_secret() -> None:
    found = codes.address_of(SECRET, "ann@example.com")
    assert found == f"otpauth://totp/Coalition%3Aann%40example.com?secret={SECRET}&issuer=Coalition"
