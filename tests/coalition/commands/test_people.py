"""People at the command line: made, given a password, signed out, disabled; what is proposed."""

import os
import shutil
from pathlib import Path

from click.testing import CliRunner
from tests.coalition.commands.terminal import ALLIANCE, Type
from tests.world import PEPPER

from coalition.cli import main

PASSWORD = "correct horse battery"


def _create(terminal: Type, email: str, role: str, *more: str) -> str:
    """The one-time secret, which stands alone on standard output."""
    words = ("people", "create", "--email", email, "--name", "Ann Example", "--role", role)
    return str(terminal(*words, *more).stdout.strip())


def _set_password(database_url: str, setup: str) -> str:
    told = CliRunner().invoke(
        main,
        ["people", "set-password", "--password-stdin"],
        input=f"{setup}\n{PASSWORD}\n",
        env={"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER},
    )
    assert told.exit_code == 0, told.output
    return told.stdout


def test_the_first_operator_is_made_at_the_terminal_and_its_password_is_never_an_argument(
    terminal: Type, database_url: str
) -> None:
    setup = _create(terminal, "ann@example.com", "operator")
    assert "invited" in terminal("people", "list").stdout
    told = _set_password(database_url, setup)
    assert "otpauth://totp/" in told
    assert "can sign in now" in told
    assert "active" in terminal("people", "list").stdout
    acts = terminal("audit").stdout
    assert "command:people" in acts
    assert "ann@example.com" not in acts


def test_what_cannot_be_is_told_in_a_sentence(terminal: Type) -> None:
    _create(terminal, "bo@example.com", "manager", "--merchant", "telecom")
    for words, right in (
        (("bo@example.com", "counter", "telecom"), "an address is one person's"),
        (("x@example.com", "manager", "house"), "right is one of operator"),
        (("x@example.com", "counter", "nobody"), "there is no merchant"),
        (("no address", "counter", "telecom"), "an address such as"),
    ):
        email, role, merchant = words
        more = ("--email", email, "--name", "X", "--role", role, "--merchant", merchant)
        assert right in terminal("people", "create", *more, leaves_with=1).stderr
    assert "no such person" in terminal("people", "disable", "per_0", leaves_with=1).stderr


def test_a_person_is_reset_signed_out_and_disabled_by_its_address(terminal: Type) -> None:
    first = _create(terminal, "cleo@example.com", "care")
    second = terminal("people", "reset", "Cleo@Example.com").stdout.strip()
    assert first != second
    assert "0 sessions ended" in terminal("people", "end-sessions", "--all").stdout
    assert "0 sessions ended" in terminal("people", "end-sessions", "cleo@example.com").stdout
    assert "--all" in terminal("people", "end-sessions", leaves_with=2).stderr
    assert "is disabled" in terminal("people", "disable", "cleo@example.com").stdout
    assert "for good" in terminal("people", "reset", "cleo@example.com", leaves_with=1).stderr


def test_from_the_first_approver_on_the_command_line_proposes(
    terminal: Type, tmp_path: Path
) -> None:
    labels = [line.split()[0] for line in terminal("windows", "list").stdout.splitlines()[1:]]
    label = labels[-1]
    _create(terminal, "paula@example.com", "approver")
    told = terminal("windows", "close", label, "--early").stdout
    assert "Proposed as apr_" in told
    assert "open" in terminal("windows", "list").stdout.splitlines()[-1]
    # Files that change nothing are synced as ever; one that does is proposed.
    assert "0 things changed" in terminal("merchants", "sync", ALLIANCE).stdout
    changed = tmp_path / "alliance"
    shutil.copytree(ALLIANCE, changed)
    file = changed / "telecom.toml"
    os.chmod(file, 0o644)
    file.write_text(file.read_text().replace('name = "', 'name = "New ', 1))
    assert "Proposed as apr_" in terminal("merchants", "sync", changed).stdout
    assert "1 thing would change" in terminal("merchants", "sync", changed, "--dry-run").stdout
