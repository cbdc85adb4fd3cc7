"""The two files that say who may connect."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from coalition.postgres import peers


def test_whom_the_files_belong_to_and_root_may_connect_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "pg_hba.conf").write_text("local all all trust\n")
    assert peers.write(tmp_path)
    lines = [
        line.split()
        for file in ("pg_hba.conf", "pg_ident.conf")
        for line in (tmp_path / file).read_text().splitlines()
        if not line.startswith("#")
    ]
    names = sorted({f'"{pwd.getpwuid(uid).pw_name}"' for uid in (0, os.geteuid())})
    assert lines[:2] == [
        ["local", "all", "all", "peer", "map=coalition"],
        ["local", "replication", "all", "peer", "map=coalition"],
    ]
    assert sorted(line[1] for line in lines[2:]) == names
    assert stat.S_IMODE((tmp_path / "pg_hba.conf").stat().st_mode) == 0o600


def test_what_is_right_already_is_left_alone(tmp_path: Path) -> None:
    assert peers.write(tmp_path)
    assert not peers.write(tmp_path)
    (tmp_path / "pg_ident.conf").write_text('coalition "mallory" all\n')
    assert peers.write(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_server_whose_user_has_no_name_lets_root_in_alone(tmp_path: Path) -> None:
    os.chown(tmp_path, 60_730, 60_730)
    peers.write(tmp_path)
    told = (tmp_path / "pg_ident.conf").read_text()
    assert [line for line in told.splitlines() if not line.startswith("#")] == [
        'coalition  "root"  all'
    ]
    assert (tmp_path / "pg_hba.conf").stat().st_uid == 60_730
