"""Opaque ids, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.wire import ids

PREFIXES = (ids.EARN, ids.BURN, ids.LOT, ids.REVERSAL, ids.TRANSFER, ids.MEMBER)
members = st.integers(0, 2**63 - 1)
numbers = st.integers(0, 2**31 - 1)


@given(st.sampled_from(PREFIXES), members, numbers)
def test_an_id_names_what_it_was_made_of(prefix: str, member_id: int, number: int) -> None:
    assert ids.decode(prefix, ids.encode(prefix, member_id, number)) == (member_id, number)


@given(members, numbers)
def test_an_id_of_one_kind_is_none_of_another(member_id: int, number: int) -> None:
    body = ids.encode(ids.EARN, member_id, number).removeprefix("ern")
    assert ids.decode(ids.BURN, f"brn{body}") is None
    assert ids.decode(ids.BURN, f"ern{body}") is None


@given(members, numbers, st.integers(4, 30), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
def test_a_mistyped_id_is_refused(member_id: int, number: int, place: int, digit: str) -> None:
    right = ids.encode(ids.LOT, member_id, number)
    place = min(place, len(right) - 1)
    wrong = right[:place] + digit + right[place + 1 :]
    # Whichever digit it is: a prime divides no difference of one digit.
    assert wrong == right or ids.decode(ids.LOT, wrong) is None


@pytest.mark.parametrize(
    "text",
    ["", "brn", "brn_", "brn_000", "brn_ilou", "brn_" + "0" * 50, "brn_\x00abc", "BRN_123", "é_1"],
)
def test_garbage_is_no_id(text: str) -> None:
    assert ids.decode(ids.BURN, text) is None


def test_there_is_one_spelling_of_an_id() -> None:
    right = ids.encode(ids.BURN, 5, 7)
    assert ids.decode(ids.BURN, right.replace("_", "_0")) is None
    assert ids.decode(ids.BURN, right.upper()) is None
