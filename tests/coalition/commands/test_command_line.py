"""What each command says and leaves with, where all is well and where something is wrong."""

import asyncio
import codecs
import json
import re
import shutil
import socket
from io import BytesIO
from pathlib import Path

import asyncpg
import click
import openpyxl
import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url
from tests.coalition.commands.terminal import ALLIANCE, Type, typing
from tests.owner import superuser_url

from coalition.cli import main
from coalition.database import OWNER

NOBODY = "postgresql://somebody:sesame@127.0.0.1:1/none"


def _open_window(terminal: Type) -> str:
    found = re.search(r"(?m)^ *(\S+) .* open", terminal("windows", "list").stdout)
    assert found is not None
    return found[1]


def _execute(database_url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(superuser_url(database_url).replace("+asyncpg", ""))
        try:
            await connection.execute("set session_replication_role = replica")
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _commands(command: click.Command, path: str = "") -> dict[str, click.Command]:
    found = {path: command}
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            found |= _commands(inner, f"{path} {name}".strip())
    return found


COMMANDS = _commands(main)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_says_what_a_command_does_and_shows_an_example(path: str) -> None:
    told = CliRunner().invoke(main, [*path.split(), "--help"])
    assert told.exit_code == 0
    assert COMMANDS[path].help
    assert isinstance(COMMANDS[path], click.Group) or "Example:\n" in told.output


def test_migrating_twice_changes_nothing(bare: Type) -> None:
    assert bare("migrate").stdout == bare("migrate").stdout


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"DATABASE_URL": "mysql://a@b/c"}, ["'mysql'", "postgresql://user:password@host:5432"]),
        ({"DATABASE_URL": NOBODY}, ["The database cannot be used", "Check DATABASE_URL"]),
        ({"DATABASE_URL": NOBODY, "COALITION_PEPPER": ""}, ["COALITION_PEPPER is missing"]),
        (
            {"DATABASE_URL": "mysql://a@b/c", "COALITION_PEPPER": "short", "COALITION_PORT": "x"},
            ["DATABASE_URL begins", "COALITION_PEPPER has 5", "COALITION_PORT is 'x'"],
        ),
    ],
    ids=["another database", "unreachable", "no pepper", "every mistake at once"],
)
@pytest.mark.parametrize(
    "command", ["migrate", "keys list", "windows list", "verify", "serve", "jobs"]
)
def test_a_wrong_environment_is_told_with_what_would_be_right(
    command: str, environment: dict[str, str], says: list[str]
) -> None:
    told = typing(**{"database_url": "", **environment})(*command.split(), leaves_with=1)
    assert [part for part in says if part not in told.stderr] == []
    assert "sesame" not in told.output, "a password"


@pytest.mark.parametrize("command", ["keys list", "windows list", "verify", "windows close"])
def test_a_database_that_was_never_migrated_names_the_command_to_run(
    server_url: str, command: str
) -> None:
    told = typing(server_url)(*command.split(), leaves_with=1)
    assert "coalition migrate" in told.stderr
    assert "select" not in told.stderr


def test_a_folder_that_is_right_is_called_right(bare: Type) -> None:
    assert "all files are right" in bare("merchants", "check", ALLIANCE).stdout


@pytest.mark.parametrize("command", ["check", "sync"])
def test_every_mistake_in_a_folder_is_told_by_file_and_line_and_nothing_is_changed(
    bare: Type, tmp_path: Path, command: str
) -> None:
    folder = shutil.copytree(ALLIANCE, tmp_path / "merchants")
    retail = (folder / "retail.toml").read_text()
    (folder / "retail.toml").write_text(
        retail.replace('"CNY"', '"YUAN"').replace('"0.008"', '"a penny"')
    )
    (folder / "telecom.toml").write_text("name = \n")
    told = bare("merchants", command, folder, leaves_with=1)
    currency, price = (
        1 + next(n for n, line in enumerate(retail.splitlines()) if line.startswith(key))
        for key in ("currency", "burn_price")
    )
    for place in (f"retail.toml:{currency}", f"retail.toml:{price}", "telecom.toml:1"):
        assert place in told.stderr
    assert "There are none yet" in bare("windows", "list").stdout


def test_a_sync_changes_what_its_dry_run_said_and_a_second_one_nothing(bare: Type) -> None:
    said = bare("merchants", "sync", ALLIANCE, "--dry-run").stdout
    assert "There are none yet" in bare("windows", "list").stdout
    did = bare("merchants", "sync", ALLIANCE).stdout
    assert said == did.replace("changed.", "would change.")
    assert "telecom: added" in did
    listed = bare("windows", "list").stdout
    # By the house's clock, where the month begins at midnight: the alliance is at home in Shanghai.
    assert re.search(r"2026-01 +2026-01-01 00:00\+08:00 +2026-02-01 00:00\+08:00", listed)
    assert "0 things changed" in bare("merchants", "sync", ALLIANCE).stdout


def test_a_new_key_is_alone_on_standard_output_and_never_shown_again(terminal: Type) -> None:
    assert "There are no keys yet" in terminal("keys", "list").stdout
    told = terminal("keys", "create", "telecom", "--scopes", "earn, burn", "--label", "till 4")
    key = told.stdout.strip()
    assert re.fullmatch(r"coal_live_[0-9A-Za-z]{12}_?[0-9A-Za-z]+", key)
    assert "only time" in told.stderr
    key_id, secret = key[10:22], key[22:].strip("_")
    listed = terminal("keys", "list").stdout
    assert key_id in listed
    assert secret not in listed
    assert "till 4" in listed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("create telecom --scopes earn,hosue", "hosue: no such scope; the scopes are earn, burn"),
        ("create telecom --scopes house", "only the house's own keys"),
        ("create telecom --scopes ,", "at least one scope"),
        ("create tele --scopes earn", "no merchant 'tele'"),
        ("rotate telecom", "create one instead"),
        ("rotate tele", "no merchant 'tele'"),
        ("revoke 0Ab3dEf6hIj9", "no key with the id '0Ab3dEf6hIj9'"),
        ("create telecom --scopes earn --test", "there is no test coalition"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_what_can(
    terminal: Type, words: str, says: str
) -> None:
    told = terminal("keys", *words.split(), leaves_with=1)
    assert says in told.stderr
    assert told.stdout == ""
    assert "There are no keys yet" in terminal("keys", "list").stdout


def test_a_key_that_was_used_in_the_last_day_is_revoked_only_by_a_yes(
    terminal: Type, database_url: str
) -> None:
    key_id = terminal("keys", "create", "retail", "--scopes", "earn").stdout[10:22]
    assert "never" in terminal("keys", "list").stdout
    _execute(database_url, "update api_key set last_used_at = now() - interval '20 hours'")
    told = terminal("keys", "revoke", key_id, leaves_with=1)
    assert f"Key {key_id} of retail was used at" in told.stdout
    assert "add --yes" in told.stderr
    assert "in use" in terminal("keys", "list").stdout
    assert "is revoked" in terminal("keys", "revoke", key_id, "--yes").stdout


def test_a_key_has_a_last_day_where_one_is_given(terminal: Type) -> None:
    made = terminal("keys", "create", "retail", "--scopes", "earn", "--expires-on", "2999-03-31")
    key_id = made.stdout[10:22]
    assert "2999-03-31" in terminal("keys", "list").stdout
    told = terminal("keys", "expire", key_id, "2999-04-30").stdout
    assert told == f"Key {key_id} of retail is good until 2999-04-30.\n"
    assert "has no last day" in terminal("keys", "expire", key_id, "never").stdout
    assert "in use" in terminal("keys", "list").stdout
    past = terminal("keys", "expire", key_id, "2001-01-01", leaves_with=1)
    assert "2001-01-01 is past" in past.stderr
    assert "right is 2027-03-31" in terminal("keys", "expire", key_id, "soon", leaves_with=2).stderr


def test_the_audit_names_who_typed_what_from_where(terminal: Type) -> None:
    key_id = terminal("keys", "create", "retail", "--scopes", "earn").stdout[10:22]
    *_, last = terminal("audit").stdout.splitlines()
    host = re.escape(socket.gethostname())
    assert re.match(rf"\S+ command:keys \S+@{host} key.create {key_id} null -> {{", last), last
    assert "Nothing was changed" in terminal("audit", "--since", "2999-01-01").stdout


@pytest.fixture
def with_sandbox(database_url: str, another_database_url: str) -> Type:
    """A terminal on the alliance, with a test coalition beside it."""
    terminal = typing(database_url, COALITION_TEST_DATABASE_URL=another_database_url)
    terminal("merchants", "sync", ALLIANCE)
    terminal("windows", "close", "--all")
    return terminal


def test_a_test_key_is_made_in_the_test_coalition_and_handled_by_its_id(
    with_sandbox: Type, database_url: str
) -> None:
    made = with_sandbox("keys", "create", "telecom", "--scopes", "earn", "--test").stdout
    assert made.startswith("coal_test_")
    first = made[10:22]
    second = with_sandbox("keys", "rotate", "telecom", "--test").stdout[10:22]
    live = with_sandbox("keys", "create", "telecom", "--scopes", "earn").stdout
    assert live.startswith("coal_live_")
    listed = with_sandbox("keys", "list").stdout
    for key_id in (first, second, live[10:22]):
        assert key_id in listed
    assert first not in typing(database_url)("keys", "list").stdout
    assert "good until 2999-03-31" in with_sandbox("keys", "expire", first, "2999-03-31").stdout
    assert "is revoked" in with_sandbox("keys", "revoke", first).stdout
    assert "is revoked" in with_sandbox("keys", "revoke", live.strip()).stdout


def test_a_test_coalition_that_is_away_hinders_no_live_key(
    terminal: Type, database_url: str
) -> None:
    key_id = terminal("keys", "create", "telecom", "--scopes", "earn").stdout[10:22]
    halved = typing(database_url, COALITION_TEST_DATABASE_URL=NOBODY)
    listed = halved("keys", "list")
    assert key_id in listed.stdout
    assert "test coalition's database cannot be read" in listed.stderr
    assert "sesame" not in listed.stderr
    assert "is revoked" in halved("keys", "revoke", key_id).stdout


def test_one_database_is_not_both_coalitions(database_url: str, another_database_url: str) -> None:
    terminal = typing(database_url, COALITION_TEST_DATABASE_URL=another_database_url)
    terminal("merchants", "sync", ALLIANCE)
    swapped = typing(another_database_url, COALITION_TEST_DATABASE_URL=database_url)
    told = swapped("merchants", "sync", ALLIANCE, leaves_with=1)
    assert "DATABASE_URL names the database of a test coalition" in told.stderr
    told = swapped("keys", "create", "telecom", "--scopes", "earn", "--test", leaves_with=1)
    assert "not known as a test coalition's" in told.stderr
    same = typing(database_url, COALITION_TEST_DATABASE_URL=database_url)
    assert "a database of its own" in same("keys", "list", leaves_with=1).stderr


def test_a_third_key_is_refused_until_one_of_the_two_is_revoked(terminal: Type) -> None:
    first = terminal("keys", "create", "retail", "--scopes", "earn").stdout[10:22]
    second = terminal("keys", "rotate", "retail").stdout[10:22]
    for words in (("create", "retail", "--scopes", "earn"), ("rotate", "retail")):
        told = terminal("keys", *words, leaves_with=1)
        assert first in told.stderr
        assert second in told.stderr
        assert "revoke one of them" in told.stderr
    assert f"{first} of retail is revoked" in terminal("keys", "revoke", first).stdout
    terminal("keys", "rotate", "retail")
    listed = terminal("keys", "list").stdout
    assert listed.count("in use") == 2


def test_keys_that_asked_for_many_unknown_cards_are_listed_with_how_many_and_when(
    terminal: Type, database_url: str
) -> None:
    key_id = terminal("keys", "create", "retail", "--scopes", "earn").stdout[10:22]
    assert "that there are none of" not in terminal("keys", "list").stdout
    _execute(
        database_url,
        "insert into unknown_cards values"
        f" ('{key_id}', '2026-03-01T09:30Z', 311, '2026-03-01T09:45Z', '2026-03-01T10:59Z',"
        " '2026-03-01T09:31Z'),"
        # Nobody had to be told of a till's few mistakes.
        f" ('{key_id}', '2026-03-02T09:30Z', 3, '2026-03-02T09:45Z', '2026-03-02T09:50Z', null)",
    )
    listed = terminal("keys", "list").stdout
    told = listed[listed.index("that there are none of") :].split()
    for word in ("retail", key_id, "311", "09:30", "09:45", "longer"):
        assert word in told
    assert "2026-03-02" not in told


def test_many_due_windows_are_listed_and_closed_only_when_confirmed(bare: Type) -> None:
    bare("merchants", "sync", ALLIANCE)
    # Nobody is there to answer.
    told = bare("windows", "close", leaves_with=1)
    assert "windows are due: 2026-01, 2026-02, " in told.stdout
    assert "add --all" in told.stderr
    assert _open_window(bare) == "2026-01"
    closed = bare("windows", "close", "--all").stdout
    assert closed.startswith("Closed: 2026-01, 2026-02, ")
    assert re.findall(r"due: (.*)\.", told.stdout) == re.findall(r"Closed: (.*)\.", closed)


def test_a_window_closes_once_and_says_the_same_each_time(terminal: Type) -> None:
    assert "No window is due" in terminal("windows", "close").stdout
    label = _open_window(terminal)
    refused = terminal("windows", "close", label, leaves_with=1)
    assert re.search(rf"{label} ends at \d{{4}}-\d\d-01 00:00\+08:00 ", refused.stderr)
    assert "--early" in refused.stderr
    dry = terminal("windows", "close", label, "--dry-run").stdout
    assert "nothing was changed" in dry
    assert _open_window(terminal) == label
    first = terminal("windows", "close", label, "--early").stdout
    assert dry.endswith(first)
    next_label = _open_window(terminal)
    assert next_label != label
    for options in ((), ("--early",), ("--dry-run",)):
        assert terminal("windows", "close", label, *options).stdout.endswith(first)
    assert _open_window(terminal) == next_label


@pytest.mark.parametrize("options", [[], ["--early"], ["--dry-run"]], ids=str)
def test_an_unknown_window_is_told_as_unknown(terminal: Type, options: list[str]) -> None:
    assert (
        "no window '1999-01'"
        in terminal("windows", "close", "1999-01", *options, leaves_with=1).stderr
    )


@pytest.mark.parametrize("option", ["--early", "--dry-run"])
def test_closing_early_or_dry_wants_the_windows_name(terminal: Type, option: str) -> None:
    assert "Name the window" in terminal("windows", "close", option, leaves_with=2).stderr


def test_a_statement_is_the_same_on_the_terminal_and_in_a_file(
    terminal: Type, tmp_path: Path
) -> None:
    shown = terminal("statement", "2026-01", "telecom").stdout_bytes
    for kind in ("csv", "json", "xlsx"):
        out = tmp_path / f"telecom.{kind}"
        terminal("statement", "2026-01", "telecom", "--format", kind, "--out", out)
    assert (tmp_path / "telecom.csv").read_bytes() == shown
    marked = terminal("statement", "2026-01", "telecom", "--bom").stdout_bytes
    assert marked == codecs.BOM_UTF8 + shown
    printed = terminal("statement", "2026-01", "telecom", "--format", "json").stdout
    assert json.loads((tmp_path / "telecom.json").read_bytes()) == json.loads(printed)
    book = openpyxl.load_workbook(BytesIO((tmp_path / "telecom.xlsx").read_bytes()))
    assert book.sheetnames


def test_a_statement_that_cannot_be_says_why(terminal: Type) -> None:
    label = _open_window(terminal)
    told = terminal("statement", label, "telecom", leaves_with=1)
    assert "it is open and ends at" in told.stderr
    told = terminal("statement", "2026-01", "tele", leaves_with=1)
    assert "no merchant called 'tele'" in told.stderr
    told = terminal("statement", "2026-01", "telecom", "--format", "xlsx", leaves_with=2)
    assert "--out telecom.xlsx" in told.stderr
    told = terminal("statement", "2026-01", "telecom", "--format", "json", "--bom", leaves_with=2)
    assert "--bom is for --format csv only" in told.stderr
    told = terminal("statement", "telecom", "2026-01", leaves_with=2)
    assert "The window comes first, then the merchant" in told.stderr
    assert "coalition statement 2026-01 telecom" in told.stderr


def test_verify_leaves_with_1_and_names_the_row_that_is_wrong(
    terminal: Type, database_url: str
) -> None:
    assert "rules hold" in terminal("verify").stdout
    _execute(database_url, "delete from settlement_window where label = '2026-03'")
    told = terminal("verify", leaves_with=1)
    assert "breaks the rule" in told.stdout
    assert "2026-04" in told.stdout or "2026-02" in told.stdout


def test_verify_says_what_no_anchor_counts_and_a_seal_finds_nothing_to_do(
    terminal: Type, database_url: str
) -> None:
    assert "counts in this database" in terminal("verify").stdout
    owner = make_url(database_url).set(username=OWNER, drivername="postgresql")
    type_ = typing(database_url, COALITION_OWNER_URL=owner.render_as_string(hide_password=False))
    sealed = "Sealed 0 movements, 0 windows, 0 prices and 0 rows of terms."
    assert type_("seal").stdout.strip() == sealed


def test_a_seal_is_the_owners_and_the_application_is_told_so(terminal: Type) -> None:
    told = terminal("seal", leaves_with=1)
    assert "the role coalition_app may not vouch for older rows" in told.stderr
    assert "COALITION_OWNER_URL" in told.stderr
