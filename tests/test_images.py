"""The image and docker-compose.yml: what may run there, from where, and with which rights."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml  # type: ignore[import-untyped]

from coalition import database
from coalition.postgres import server as embedded

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
TAG = re.compile(r"^[a-z0-9./-]+:[0-9]+\.[0-9]+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?$")
DIGEST = "sha256:" + "0123456789abcdef" * 4


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return services


def _images(folder: Path = ROOT) -> set[str]:
    """Of others: what is built here has a name that no registry is asked for."""
    built = {one["image"] for one in _services().values() if "build" in one}
    compose = yaml.safe_load((folder / COMPOSE.name).read_text())["services"].values()
    froms = re.findall(r"(?m)^FROM (\S+)", (folder / "Dockerfile").read_text())
    return {*froms, *(one["image"] for one in compose)} - built


def test_images_are_named_by_an_exact_version_or_a_digest() -> None:
    assert _images()
    assert [image for image in _images() if not TAG.match(image)] == []


@pytest.mark.parametrize("name", _services())
def test_what_runs_in_a_container_writes_little_has_no_rights_and_has_limits(name: str) -> None:
    service = _services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_only_the_migration_knows_the_owners_password_and_nothing_the_superusers() -> None:
    for name, service in _services().items():
        if name == "postgres":
            continue
        told = str(service["environment"])
        assert ("COALITION_OWNER_PASSWORD" in told) is (name == "migrate")
        assert "POSTGRES_PASSWORD" not in told
        if name == "proxy":
            assert "DATABASE_URL" not in told
            continue
        assert service["environment"]["DATABASE_URL"].startswith(
            f"postgresql://{database.APPLICATION}:"
        )


def test_the_database_is_on_a_network_that_leads_nowhere_and_has_no_port_outside() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    postgres = compose["services"]["postgres"]
    assert postgres["networks"] == ["database"]
    assert compose["networks"]["database"]["internal"] is True
    assert "ports" not in postgres


def test_the_image_runs_as_a_user_of_its_own_and_holds_nothing_that_installs_packages() -> None:
    *_, last = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    assert re.search(r"(?m)^USER coalition$", last)
    assert "pip install" not in last
    assert "pip uninstall" in last


def test_pinning_writes_the_registrys_digest_beside_every_tag_and_again(tmp_path: Path) -> None:
    for name in ("Dockerfile", COMPOSE.name):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "pin_images", tmp_path / "tools")
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho {DIGEST}\n")
    docker.chmod(0o755)
    before = _images(tmp_path)
    for _ in range(2):
        subprocess.run(
            [tmp_path / "tools" / "pin_images"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            check=True,
            capture_output=True,
        )
    assert _images(tmp_path) == {f"{image.partition('@')[0]}@{DIGEST}" for image in before}
    assert all(TAG.match(image) for image in _images(tmp_path))


async def test_the_roles_of_docker_compose_are_made_with_their_passwords_and_again() -> None:
    with embedded.scratch(options={"fsync": "off", "shared_buffers": "16MB"}) as server:
        environment = {
            "PATH": f"{server.binaries}:{os.environ['PATH']}",
            "PGHOST": str(server.socket_folder),
            "PGPORT": str(embedded.PORT),
            "POSTGRES_USER": embedded.SUPERUSER,
            "POSTGRES_DB": "postgres",
            "ROLES_SQL": str(ROOT / "src/coalition/postgres/roles.sql"),
            "COALITION_OWNER_PASSWORD": "it's the owner's",
            "COALITION_APP_PASSWORD": "the application's",
        }
        command = ["sh", str(ROOT / "tools" / "make_roles")]
        for _ in range(2):
            await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
        url = embedded.url(server, "postgres").replace("+asyncpg", "")
        connection = await asyncpg.connect(url)
        rows = await connection.fetch(
            "select rolname, rolcanlogin, rolsuper, rolpassword like 'SCRAM-SHA-256$%'"
            " from pg_authid where rolname ~ '^coalition_' order by 1"
        )
        await connection.close()
    assert [tuple(row) for row in rows] == [
        (database.APPLICATION, True, False, True), (database.OWNER, True, False, True),
    ]  # fmt: skip
