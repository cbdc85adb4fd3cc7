"""What is sealed opens with its key, in its place, and nowhere else."""

import pytest

from coalition.sealing.encryption import Keyring, SealError, version_of

PEPPER = b"a pepper of thirty-two bytes, yes"
OLD, NEW = b"1" * 32, b"2" * 32


def test_what_is_sealed_opens_and_never_looks_the_same_twice() -> None:
    ring = Keyring(PEPPER)
    one, two = (ring.seal("+8613800138000", "phone of member 7") for _ in range(2))
    assert one != two
    assert b"138" not in one
    assert ring.open(one, "phone of member 7") == ring.open(two, "phone of member 7")


def test_a_value_that_is_moved_to_another_member_or_column_does_not_open() -> None:
    ring = Keyring(PEPPER)
    sealed = ring.seal("+8613800138000", "phone of member 7")
    for elsewhere in ("phone of member 8", "external_ref of member 7"):
        with pytest.raises(SealError, match=elsewhere):
            ring.open(sealed, elsewhere)


def test_a_value_that_was_changed_does_not_open() -> None:
    ring = Keyring(PEPPER)
    sealed = ring.seal("1990-02-28", "birthday of member 7")
    with pytest.raises(SealError, match="was changed"):
        ring.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "birthday of member 7")


def test_what_is_sealed_now_is_sealed_with_the_newest_key_and_older_ones_still_open() -> None:
    before = Keyring(PEPPER, {1: OLD}).seal("c-1", "x")
    ring = Keyring(PEPPER, {1: OLD, 2: NEW})
    assert [version_of(ring.seal("c-1", "x")), version_of(before)] == [2, 1]
    assert ring.open(before, "x") == "c-1"
    assert ring.open(Keyring(PEPPER).seal("c-1", "x"), "x") == "c-1"


def test_a_key_that_is_gone_is_told_by_its_version() -> None:
    sealed = Keyring(PEPPER, {1: OLD}).seal("c-1", "x")
    with pytest.raises(SealError, match="key 1, which is not there"):
        Keyring(PEPPER, {2: NEW}).open(sealed, "x")


def test_a_look_up_tries_every_live_key_and_no_two_columns_share_a_hash() -> None:
    before, ring = Keyring(PEPPER, {1: OLD}), Keyring(PEPPER, {1: OLD, 2: NEW})
    assert ring.digests("c-1", "external_ref")[0] == ring.digest("c-1", "external_ref")
    assert before.digest("c-1", "external_ref") in ring.digests("c-1", "external_ref")
    assert ring.digest("c-1", "external_ref") != ring.digest("c-1", "phone")
    assert Keyring(b"another pepper, thirty-two bytes!").digest("c-1", "phone") not in ring.digests(
        "c-1", "phone"
    )
