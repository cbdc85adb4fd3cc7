"""An address has one form, a name shows nothing hidden, and a role is its party's."""

import pytest

from coalition.errors import CoalitionError
from coalition.people.person import check_role, read_email, read_name


@pytest.mark.parametrize("sent", ["ann@example.com", " Ann@Example.COM ", "ａnn@example.com"])
def test_an_address_has_one_form(sent: str) -> None:
    assert read_email(sent) == "ann@example.com"


@pytest.mark.parametrize(
    "sent",
    ["", "ann", "ann@", "@example.com", "a b@example.com", "ann@example", "a\u202enn@example.com",
     "ann@exa\x00mple.com", "<ann@example.com>", "a" * 250 + "@b.cn"],
)  # fmt: skip
def test_what_is_no_address_is_refused(sent: str) -> None:
    with pytest.raises(CoalitionError):
        read_email(sent)


@pytest.mark.parametrize("sent", ["Ann", "李 小明", "O'Neil <b>", "Zoë de Vries-Łuk"])
def test_a_name_is_kept_as_it_is_written(sent: str) -> None:
    assert read_name(f"  {sent} ") == sent


@pytest.mark.parametrize(
    "sent", ["", "  ", "Ann\u202eexe", "Ann\u200b", "a\nb", "a\x00", "x" * 101]
)
def test_a_name_with_what_nobody_sees_is_refused(sent: str) -> None:
    with pytest.raises(CoalitionError):
        read_name(sent)


@pytest.mark.parametrize(
    ("role", "is_house", "is_right"),
    [
        ("operator", True, True),
        ("operator", False, False),
        ("manager", False, True),
        ("manager", True, False),
        ("finance", True, True),
        ("finance", False, True),
        ("king", True, False),
    ],
)
def test_a_role_is_one_of_its_party(role: str, is_house: bool, is_right: bool) -> None:
    if is_right:
        check_role(role, is_house=is_house)
        return
    with pytest.raises(CoalitionError):
        check_role(role, is_house=is_house)
