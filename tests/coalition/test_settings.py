"""What the environment may say, and how its mistakes are reported."""

import stat
from pathlib import Path

import pytest

from coalition.settings import SettingsError, read_settings

PEPPER = "0123456789abcdef0123456789abcdef"


def test_nothing_set_means_the_embedded_database_and_a_pepper_kept_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = read_settings({}), read_settings({})
    assert first == second
    assert first.database_url is None
    assert first.data_folder == tmp_path / ".coalition"
    kept = tmp_path / ".coalition" / "pepper"
    assert first.pepper == kept.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["pepper"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_common_spelling_of_the_url_is_taken(scheme: str) -> None:
    given = {"DATABASE_URL": f"{scheme}://me:secret@db:5432/points", "COALITION_PEPPER": PEPPER}
    assert read_settings(given).database_url == "postgresql+asyncpg://me:secret@db:5432/points"


def test_numbers_are_read() -> None:
    given = {
        "COALITION_PEPPER": PEPPER,
        "COALITION_PORT": "80",
        "COALITION_QUEUE_MAX": "7",
        "COALITION_WAIT_S_MAX": "2",
        "COALITION_REQUESTS_PER_SECOND_MAX": "50",
    }
    settings = read_settings(given)
    assert (settings.port, settings.queue_max) == (80, 7)
    assert (settings.wait_s_max, settings.requests_per_second_max) == (2, 50)
    assert settings.pepper == PEPPER.encode()


def test_proxies_are_addresses_and_networks_with_commas_between_them() -> None:
    given = {"COALITION_PEPPER": PEPPER, "COALITION_TRUSTED_PROXIES": "10.0.0.7, 2001:db8::/64,"}
    found = read_settings(given).trusted_proxies
    assert [str(one) for one in found] == ["10.0.0.7/32", "2001:db8::/64"]
    assert read_settings({"COALITION_PEPPER": PEPPER}).trusted_proxies == ()


def test_all_mistakes_are_reported_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "mysql://me:secret@db/points",
        "COALITION_DATA": str(tmp_path / "data"),
        "COALITION_PORT": "65536",
        "COALITION_QUEUE_MAX": "0",
        "COALITION_WAIT_S_MAX": "1.5",
        "COALITION_REQUESTS_PER_SECOND_MAX": "-1",
        "COALITION_TRUSTED_PROXIES": "proxy.example",
    }
    with pytest.raises(SettingsError) as raised:
        read_settings(given)
    named = [line.split()[0] for line in str(raised.value).splitlines()]
    assert named == [
        "DATABASE_URL",
        "COALITION_PEPPER",
        "COALITION_PORT",
        "COALITION_QUEUE_MAX",
        "COALITION_WAIT_S_MAX",
        "COALITION_REQUESTS_PER_SECOND_MAX",
        "COALITION_TRUSTED_PROXIES",
    ]
    assert "right is" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"COALITION_PEPPER": "short"}, "has 5 characters"),
        ({"DATABASE_URL": "postgresql://db", "COALITION_PEPPER": PEPPER}, "names no database"),
        ({"DATABASE_URL": "postgresql://db:x/d", "COALITION_PEPPER": PEPPER}, "a port that is"),
        ({"DATABASE_URL": "points", "COALITION_PEPPER": PEPPER}, "begins with 'points'"),
    ],
)
def test_a_mistake_says_what_would_be_right(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read_settings(given)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="COALITION_DATA"):
        read_settings({"COALITION_DATA": str(tmp_path / "file" / "data")})


def test_an_address_may_say_how_it_is_encrypted(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    tls = f"sslmode=verify-full&sslrootcert={authority}"
    given = {"DATABASE_URL": f"postgres://me@db/points?{tls}", "COALITION_PEPPER": PEPPER}
    assert read_settings(given).database_url == f"postgresql+asyncpg://me@db/points?{tls}"


def test_mistakes_in_how_it_is_encrypted_are_told_without_the_password() -> None:
    url = "postgres://me:secret@db/points?sslmode=verify-all&sslrootcert=/nowhere.pem"
    with pytest.raises(SettingsError) as raised:
        read_settings({"DATABASE_URL": url, "COALITION_PEPPER": PEPPER})
    assert str(raised.value).splitlines() == [
        "DATABASE_URL has sslmode='verify-all'; right is one of disable, allow, prefer, require, "
        "verify-ca, verify-full",
        "DATABASE_URL: sslrootcert is '/nowhere.pem', which cannot be read; right is a PEM file",
    ]


def test_the_owners_address_is_its_own_and_stands_beside_the_applications() -> None:
    own = {"COALITION_OWNER_URL": "postgres://owner@db/points", "COALITION_PEPPER": PEPPER}
    assert (
        read_settings(own | {"DATABASE_URL": "postgres://app@db/points"}).owner_url
        == "postgresql+asyncpg://owner@db/points"
    )
    with pytest.raises(SettingsError, match="COALITION_OWNER_URL is set and DATABASE_URL is not"):
        read_settings(own)
