"""What is known of a person, from the command line: shown, erased, sealed anew."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.coalition.commands.terminal import Type, typing
from tests.world import PEPPER, SEAL_KEY

from coalition.database import create_engine
from coalition.members.store import Enrolled, Enrolment, enrol
from coalition.sealing.encryption import Keyring
from coalition.terms.book import HOUSE_ID

KNOWN = Enrolment(external_ref="c-17", phone="+8613800138000")
KEYS = f"1:{'a' * 32}"


@pytest.fixture
def member(terminal: Type, database_url: str) -> Enrolled:
    """A member of the house's, of whom something is known."""
    return asyncio.run(_enrol(database_url))


async def _enrol(url: str) -> Enrolled:
    engine = create_engine(url, SEAL_KEY, pool_size=1)
    async with engine.begin() as connection:
        ring = Keyring(PEPPER.encode())
        made = await enrol(connection, KNOWN, HOUSE_ID, datetime.now(UTC), ring=ring)
    await engine.dispose()
    return made


def test_what_is_kept_is_written_for_us_alone(
    terminal: Type, member: Enrolled, tmp_path: Path
) -> None:
    out = tmp_path / "person.json"
    assert "Wrote" in terminal("privacy", "export", member.card, "--out", out).stdout
    assert out.stat().st_mode & 0o777 == 0o600
    told = json.loads(out.read_text())
    assert (told["external_ref"], told["phone"]) == ("c-17", "+8613800138000")
    assert json.loads(terminal("privacy", "export", told["member_id"]).stdout) == told


def test_whoever_is_erased_is_asked_about_first_and_erased_once(
    terminal: Type, member: Enrolled
) -> None:
    terminal("privacy", "erase", member.card, leaves_with=1)
    assert "c-17" in terminal("privacy", "export", member.card).stdout, "nobody said yes"
    assert "names nobody any more" in terminal("privacy", "erase", member.card, "--yes").stdout
    assert "was erased at" in terminal("privacy", "erase", member.card).stdout
    assert json.loads(terminal("privacy", "export", member.card).stdout)["external_ref"] is None


def test_a_member_that_there_is_none_of_is_told_with_what_would_be_right(terminal: Type) -> None:
    for name in ("9000000000000001", "mem_1", "ann"):
        told = terminal("privacy", "export", name, leaves_with=1)
        assert "by its id, mem_..., or by a card's 16 digits" in told.stderr
    assert "check digit" in terminal("privacy", "erase", "9000000000000002", leaves_with=1).stderr


def test_what_is_sealed_anew_needs_its_new_key(
    terminal: Type, member: Enrolled, database_url: str
) -> None:
    newer = typing(database_url, COALITION_PERSONAL_KEYS=KEYS)
    assert "1 member is sealed with key 1 now" in newer("privacy", "rotate").stdout
    assert "0 members are sealed" in newer("privacy", "rotate").stdout
    assert "c-17" in newer("privacy", "export", member.card).stdout
    refused = terminal("privacy", "export", member.card, leaves_with=1)
    assert "sealed with key 1, which is not there" in refused.stderr
