"""Digests: another key, another predecessor or another purpose is another digest."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.sealing.digests import (
    PART_SQL,
    added,
    digest,
    movement_digest,
    part,
    seal_key,
)

KEY = seal_key(b"a pepper")


def test_a_digest_hangs_on_its_key_its_predecessor_and_its_content() -> None:
    first = movement_digest(KEY, None, b"content")
    others = {
        movement_digest(seal_key(b"another pepper"), None, b"content"),
        movement_digest(KEY, first, b"content"),
        movement_digest(KEY, None, b"contenT"),
    }
    assert len(others) == 3
    assert first not in others


def test_what_is_digested_for_one_purpose_passes_for_no_other() -> None:
    of_window = digest(KEY, "window 1", None, b"content")
    assert of_window != digest(KEY, "anchor 1", None, b"content")
    # Where the predecessor ends and the content begins is no question.
    assert digest(KEY, "x", b"ab", b"c") != digest(KEY, "x", b"a", b"bc")


def test_digests_once_made_are_made_again_for_ever() -> None:
    """What is stored, and printed on statements, is of this make."""
    assert KEY.hex() == "3a408cd6485fbbace1b7e743a1175536142b436c01216a0b7c4daa193c97b6f4"
    assert movement_digest(KEY, None, b"content").hex() == "1e0534ec204e9a4d60ada83dc216c05e"
    assert (
        digest(KEY, "window 1", None, b"content").hex()
        == "919371842e1f5ae68869a6c69f383ab4ccc0495754a6ce416ed75db2d242c98c"
    )


@pytest.mark.parametrize("of", [bytes(16), b"\xff" * 16, bytes(range(16)), b"\x80" + bytes(31)])
async def test_the_database_adds_up_the_same_part_of_a_digest(
    engine: AsyncEngine, of: bytes
) -> None:
    async with engine.connect() as connection:
        found = await connection.scalar(
            text(f"select {PART_SQL.format('cast(:of as bytea)')}"), {"of": of}
        )
    assert found == part(of)


def test_sums_are_modulo_two_to_the_64th_power() -> None:
    assert added(2**63, 2**63) == 0
    assert added(-1) == 2**64 - 1
    assert added(added(-5, 3), -added(3)) == added(-5)
