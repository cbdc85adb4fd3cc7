"""Whom the server's files belong to, and how they change hands."""

import os
import pwd
from pathlib import Path

import pytest

from coalition.postgres import accounts
from coalition.postgres.programs import Account

OWN = accounts.OWN_NUMBERS[0]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def _owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data folder as an older version left it."""
    nobody = pwd.getpwnam("nobody")
    place = tmp_path / "postgres"
    (place / "data" / "base").mkdir(parents=True)
    (place / "data" / "base" / "1").touch()
    (place / "data" / "link").symlink_to(tmp_path / "elsewhere")
    accounts.hand_over(place, Account(nobody.pw_uid, nobody.pw_gid))
    return place


def test_what_belonged_to_nobody_is_taken_over_whole(place: Path) -> None:
    (place.parent / "elsewhere").touch()
    assert accounts.account_for(place.parent) == Account(OWN, OWN)
    assert _owners(place) == {OWN}
    # A link is handed over, and not what it leads to.
    assert (place.parent / "elsewhere").stat().st_uid == 0


def test_a_taking_over_that_was_broken_off_is_finished_by_the_next(place: Path) -> None:
    os.chown(place, 0, 0)
    os.chown(place / "data", OWN, OWN)
    accounts.account_for(place.parent)
    assert _owners(place) == {OWN}


def test_what_somebody_has_for_themselves_stays_theirs(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(place.parent, nobody.pw_uid, nobody.pw_gid)
    assert accounts.account_for(place.parent) == Account(nobody.pw_uid, nobody.pw_gid)
    assert _owners(place) == {nobody.pw_uid}


def test_a_number_that_became_somebodys_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pwd.getpwnam("nobody")
    taken = OWN

    def look_up(uid: int) -> pwd.struct_passwd:
        if uid == taken:
            return known
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", look_up)
    assert accounts.account_of_servers() == Account(OWN + 1, OWN + 1)
