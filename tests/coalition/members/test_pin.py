"""Which PINs will not do, and what is kept of one."""

import pytest

from coalition.members.pin import check_pin, hash_pin, is_pin

PEPPER = b"a pepper of thirty-two bytes, yes"


@pytest.mark.parametrize(
    "pin",
    [
        *("0000", "1111", "999999999999", "1212", "1122", "7777777", "700000"),
        *("1234", "0123", "6789", "7890", "4321", "9876", "0987", "123456", "654321"),
        *("2580", "0852"),
    ],
)
def test_a_pin_that_is_tried_first_is_refused_without_being_named(pin: str) -> None:
    with pytest.raises(ValueError, match="three different digits") as refused:
        check_pin(pin)
    assert pin not in str(refused.value)


@pytest.mark.parametrize("pin", ["7306", "1243", "120394", "135790", "730619283746"])
def test_any_other_pin_will_do(pin: str) -> None:
    check_pin(pin)


def test_what_is_kept_is_argon2id_of_that_member_and_this_installation() -> None:
    kept = hash_pin(PEPPER, 7, "7306")
    assert kept.startswith("$argon2id$")
    assert "7306" not in kept
    assert kept != hash_pin(PEPPER, 7, "7306")
    assert is_pin(PEPPER, 7, "7306", kept)
    assert not is_pin(PEPPER, 7, "7307", kept)
    assert not is_pin(PEPPER, 8, "7306", kept)
    assert not is_pin(PEPPER + b"!", 7, "7306", kept)
