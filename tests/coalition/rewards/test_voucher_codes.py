"""A voucher's code: how it is spelled, read, hashed and sealed."""

import pytest

from coalition.rewards.codes import digests_of, mint, open_code, seal_code, told
from coalition.sealing.encryption import Keyring, SealError

RING = Keyring(b"a pepper of thirty-two bytes, yes")


def test_a_code_spells_160_bits_in_groups_of_four() -> None:
    assert mint(bytes) == "-".join(["0000"] * 8)
    assert mint(lambda n: b"\xff" * n) == "-".join(["ZZZZ"] * 8)
    assert len({mint() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("spelled", ["upper", "lower", "bare", "spaced", "misread"])
def test_a_code_is_found_however_it_is_written(spelled: str) -> None:
    code = mint(lambda n: bytes(range(n)))
    written = {
        "upper": code,
        "lower": code.lower(),
        "bare": code.replace("-", ""),
        "spaced": f" {code.replace('-', ' ')} ",
        "misread": code.replace("0", "O").replace("1", "l"),
    }[spelled]
    assert seal_code(code, RING).digest in digests_of(written, RING)


def test_a_code_of_others_stands_as_it_is() -> None:
    assert told(" Gift-0o1l ") == "Gift-0o1l"
    assert told("abc") != told("ABC")


def test_a_sealed_code_opens_with_its_own_digest_alone() -> None:
    one, other = seal_code(mint(), RING), seal_code(mint(), RING)
    assert open_code(one, RING) != open_code(other, RING)
    with pytest.raises(SealError):
        open_code(one._replace(sealed=other.sealed), RING)


def test_a_code_that_was_hashed_with_an_older_key_is_found() -> None:
    code = mint()
    newer = Keyring(b"a pepper of thirty-two bytes, yes", {1: b"another key of thirty-two bytes!"})
    assert seal_code(code, RING).digest in digests_of(code, newer)
