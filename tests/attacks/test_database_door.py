"""The attack: come to the members' phones, or to history, by the database and not by the program.

First as another user of the machine: the embedded server let in whoever came to its socket, ran as
`nobody`, as many programs do, and trusted each as its superuser. Then from inside the program, by a
statement that was smuggled into it: the program was the superuser, who deletes history, disables
triggers, reads the server's files and runs programs.
"""

import asyncio
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.world import SEAL_KEY

from coalition import database
from coalition.postgres import accounts
from coalition.postgres import server as embedded
from coalition.postgres.programs import Account
from coalition.settings import Settings, read_settings

OPTIONS = {"fsync": "off", "shared_buffers": "16MB"}
ROLES = (embedded.SUPERUSER, database.OWNER, database.APPLICATION)
only_root_becomes_others = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can try the door as somebody else"
)
# As initdb wrote it for us before.
TRUSTING = "local all all trust\nhost all all 127.0.0.1/32 trust\nlocal replication all trust\n"


@pytest.fixture
def settings() -> Iterator[Settings]:
    """No DATABASE_URL, and a data folder that everybody may walk into."""
    with tempfile.TemporaryDirectory(prefix="coalition-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield read_settings({"COALITION_DATA": name})


def _as_nobody(*command: object) -> subprocess.CompletedProcess[str]:
    nobody = pwd.getpwnam("nobody")
    return subprocess.run(
        [str(word) for word in command],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _psql(server: embedded.EmbeddedServer, role: str) -> subprocess.CompletedProcess[str]:
    where = ("-h", server.socket_folder, "-p", embedded.PORT, "-U", role, "-d", "postgres")
    return _as_nobody(server.binaries / "psql", *where, "-c", "select 'got in'")


def _open_the_way(server: embedded.EmbeddedServer) -> None:
    """Let everybody walk to the socket, so that the server alone is left to refuse them."""
    server.socket_folder.parent.chmod(0o711)
    server.socket_folder.chmod(0o711)
    embedded.socket_path(server).chmod(0o777)


@only_root_becomes_others
def test_another_user_comes_neither_to_the_socket_nor_to_the_files() -> None:
    with embedded.scratch(options=OPTIONS) as server:
        assert "Permission denied" in _psql(server, embedded.SUPERUSER).stderr
        for command in (("ls", server.data_folder), ("cat", server.data_folder / "PG_VERSION")):
            assert "Permission denied" in _as_nobody(*command).stderr


@only_root_becomes_others
def test_the_server_shares_its_user_with_no_other_program() -> None:
    with embedded.scratch(options=OPTIONS) as server:
        with pytest.raises(KeyError):
            pwd.getpwuid(server.data_folder.stat().st_uid)
        recorded = (server.data_folder / "postmaster.pid").read_text().splitlines()[0]
        assert _as_nobody("/bin/sh", "-c", f"kill -0 {recorded}").returncode != 0


@only_root_becomes_others
async def test_another_user_who_comes_to_the_socket_is_refused_in_every_role() -> None:
    with embedded.scratch(options=OPTIONS) as server:
        await database.set_up(server, "coalition")
        _open_the_way(server)
        for role in ROLES:
            tried = _psql(server, role)
            assert "got in" not in tried.stdout
            assert f'Peer authentication failed for user "{role}"' in tried.stderr


def _make_as_before(folder: Path) -> None:
    """A data folder as an older version left it: trusting, the superuser's, and nobody's files."""
    server = embedded.start(folder, options=OPTIONS)

    async def migrate() -> None:
        maintenance = embedded.url(server, "postgres").replace("+asyncpg", "")
        connection = await asyncpg.connect(maintenance)
        await connection.execute("create database coalition")
        await connection.close()
        await database.migrate(embedded.url(server, "coalition"))

    try:
        asyncio.run(migrate())
    finally:
        embedded.stop(server)
    (server.data_folder / "pg_hba.conf").write_text(TRUSTING)
    (server.data_folder / "pg_ident.conf").write_text("")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        accounts.hand_over(folder / "postgres", Account(nobody.pw_uid, nobody.pw_gid))


def test_a_data_folder_that_trusted_everybody_is_closed_by_its_next_start(
    settings: Settings,
) -> None:
    _make_as_before(settings.data_folder)

    async def look() -> tuple[set[str], bool]:
        async with database.open_database(settings) as url:
            await database.migrate(database.owner_url(settings, url))
            engine = database.create_engine(url, SEAL_KEY)
            async with engine.connect() as connection:
                driver = await database.raw(connection)
                owners = await driver.fetch(
                    "select distinct relowner::regrole::text from pg_class"
                    " where relnamespace = 'public'::regnamespace"
                )
                reads = await driver.fetchval("select count(*) from posting") == 0
            await engine.dispose()
            if os.geteuid() == 0:
                server = embedded.start(settings.data_folder)
                assert "Permission denied" in _psql(server, embedded.SUPERUSER).stderr
                _open_the_way(server)
                assert "got in" not in _psql(server, embedded.SUPERUSER).stdout
                embedded.stop(server)
        return {row[0] for row in owners}, reads

    assert asyncio.run(look()) == ({database.OWNER}, True)


@only_root_becomes_others
def test_a_server_of_before_that_still_runs_lets_nobody_else_in_from_now_on(
    settings: Settings,
) -> None:
    _make_as_before(settings.data_folder)
    first = embedded.start(settings.data_folder, options=OPTIONS)
    try:
        (first.data_folder / "pg_hba.conf").write_text(TRUSTING)
        embedded.stop(embedded.start(settings.data_folder, options=OPTIONS))
        _open_the_way(first)
        assert "got in" not in _psql(first, embedded.SUPERUSER).stdout
    finally:
        embedded.stop(first)


SMUGGLED = {
    "deletes history": "delete from posting",
    "truncates it": "truncate leg",
    "changes it": "update posting set amount = 1",
    "changes a price in use": "update price set burn_price = 0",
    "moves a lot's origin": "update lot set origin_id = 2",
    "disables the triggers": "alter table lot disable trigger all",
    "disables the triggers for itself": "set session_replication_role = replica",
    "drops a table": "drop table posting",
    "replaces a function": "create or replace function refuse_change() returns trigger"
    " language plpgsql as 'begin return new; end'",
    "makes a table": "create table mine (n int)",
    "becomes the owner": "set role coalition_owner",
    "becomes the superuser": "set session authorization coalition",
    "makes itself the superuser": "alter role coalition_app superuser",
    "makes a role": "create role thief login superuser",
    "gives its rights away": "grant coalition_owner to coalition_app",
    "opens the tables to all": "alter table member owner to coalition_app",
    "changes a key's secret": "update api_key set secret_hmac = sha256('mine')",
    "changes a key's scopes": "update api_key set scopes = array['house']",
    "gives itself another card": "update card set member_id = 1",
    "reads the roles' passwords": "select rolpassword from pg_authid",
    "reads the server's files": "select pg_read_file('PG_VERSION')",
    "lists the server's folders": "select pg_ls_dir('.')",
    "writes a file": "copy (select 1) to '/tmp/mine'",
    "runs a program": "copy (select 1) to program 'id'",
    "reads from a program": "copy batch_chunk from program 'id'",
    "imports a file": "select lo_import('/etc/passwd')",
    "loads a library": "load '/tmp/mine.so'",
    "changes the server": "alter system set fsync = off",
    "tells the server to read its files again": "select pg_reload_conf()",
    "claims another version of the schema": "update alembic_version set version_num = '0001'",
}


@pytest.mark.parametrize("statement", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_a_statement_smuggled_into_the_program_is_refused(
    engine: AsyncEngine, statement: str
) -> None:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_application_comes_to_no_other_database_of_the_server() -> None:
    with embedded.scratch(options=OPTIONS) as server:
        await database.set_up(server, "coalition")
        for name, role in (("postgres", database.APPLICATION), ("postgres", database.OWNER)):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(embedded.url(server, name, role).replace("+asyncpg", ""))
