"""What sslmode in an address means, tried on a server that says it speaks TLS."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.world import SEAL_KEY

from coalition import database
from coalition.postgres.tls import connecting, is_verified

BASE = "postgresql+asyncpg://me:secret@db:5432/points"


def test_an_address_without_a_word_of_tls_is_taken_as_it_is() -> None:
    address, encryption = connecting(f"{BASE}?host=/run")
    assert address.render_as_string(hide_password=False) == f"{BASE}?host=%2Frun"
    assert encryption == {}


def test_what_says_tls_is_taken_out_of_the_address() -> None:
    address, encryption = connecting(f"{BASE}?sslmode=verify-full&sslrootcert=system")
    assert address.render_as_string(hide_password=False) == BASE
    context = encryption["ssl"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    ("mode", "checks_name", "checks_authority"),
    [
        ("require", False, False),
        ("require&sslrootcert=system", False, True),
        ("verify-ca", False, True),
        ("verify-full", True, True),
    ],
)
def test_each_mode_checks_as_much_as_in_postgresql_itself(
    mode: str, checks_name: bool, checks_authority: bool
) -> None:
    context = connecting(f"{BASE}?sslmode={mode}")[1]["ssl"]
    assert context.check_hostname is checks_name
    assert (context.verify_mode is ssl.CERT_REQUIRED) is checks_authority


def test_disable_speaks_none_and_prefer_leaves_it_to_the_server() -> None:
    assert connecting(f"{BASE}?sslmode=disable")[1] == {"ssl": False}
    assert connecting(f"{BASE}?sslmode=prefer")[1] == {"ssl": "prefer"}


def test_only_verify_full_makes_the_server_prove_who_it_is() -> None:
    assert is_verified(f"{BASE}?sslmode=verify-full")
    assert not is_verified(f"{BASE}?sslmode=require")
    assert not is_verified(BASE)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `localhost`, which is its own authority, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "server.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    files = ("-keyout", str(folder / "key"), "-out", str(folder / "cert"))
    subprocess.run([*command, *files], check=True, capture_output=True)
    made.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return made


@asynccontextmanager
async def _server(certificate: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that begins as PostgreSQL does, and keeps what it is told once TLS holds."""
    told: list[bytes] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readexactly(8) == b"\0\0\0\x08\x04\xd2\x16\x2f"
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(context)
            told.append(await reader.read(1_000))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], told


async def _connect(url: str) -> None:
    engine = database.create_engine(url, SEAL_KEY, pool_size=1)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    finally:
        await engine.dispose()


async def test_verify_full_talks_to_a_server_that_its_authority_vouches_for(
    certificate: Path,
) -> None:
    async with _server(certificate) as (port, told):
        where = f"postgresql+asyncpg://me:secret@localhost:{port}/points"
        # It speaks no more of PostgreSQL than that, so that what comes next fails.
        with pytest.raises(Exception, match="clos"):
            await _connect(f"{where}?sslmode=verify-full&sslrootcert={certificate}")
        assert b"points" in told[0]


@pytest.mark.parametrize(
    ("host", "authority"), [("localhost", "system"), ("127.0.0.1", "own")], ids=["who", "where"]
)
async def test_verify_full_tells_nothing_to_a_server_that_nobody_vouches_for(
    certificate: Path, host: str, authority: str
) -> None:
    root = "system" if authority == "system" else certificate
    async with _server(certificate) as (port, told):
        where = f"postgresql+asyncpg://me:secret@{host}:{port}/points"
        with pytest.raises(ssl.SSLCertVerificationError):
            await _connect(f"{where}?sslmode=verify-full&sslrootcert={root}")
        assert told == []
