"""What the environment says, read once at the start; nothing else reads environment variables."""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PEPPER_CHARACTERS_MIN = 32
# As PostgreSQL's own programs spell them, from no encryption to a server that proves who it is.
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Of a key for personal data; its version is one byte of what it sealed.
SECRET_CHARACTERS_MIN = 32
VERSION_MAX = 255

Network = IPv4Network | IPv6Network


class SettingsError(Exception):
    """What is wrong in the environment: every mistake, one a line, with what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """database_url None: the embedded server in data_folder. requests_per_second_max is per key.

    owner_url is the address that migrate and seal go by; None: the same as everything else.
    anchors_folder: where the sums of digests are noted, out of the reach of the database's owner.
    personal_keys: secrets by version that what names a person is sealed with, beside the one that
    is made of the pepper. retention_days: so long after a member's last movement it is kept who
    they are; 0: for good.
    trusted_proxies: whose X-Forwarded-For is believed.
    test_database_url: the test coalition's; None: there is none, or it is in the embedded server.
    """

    database_url: str | None
    data_folder: Path
    pepper: bytes
    merchants_folder: Path
    host: str
    port: int
    queue_max: int
    wait_s_max: int
    requests_per_second_max: int
    anchors_folder: Path
    owner_url: str | None = None
    personal_keys: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    retention_days: int = 0
    trusted_proxies: tuple[Network, ...] = ()
    test_database_url: str | None = None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsError with all mistakes at once; nothing is written where there is one."""
    mistakes: list[str] = []

    def number(name: str, default: int, least: int, most: int) -> int:
        value = environment.get(name, "").strip()
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            mistakes.append(f"{name} is {value!r}; right is a whole number, {least} to {most}")
            return default
        return int(value)

    database_url = _database_url("DATABASE_URL", environment, mistakes.append)
    owner_url = _database_url("COALITION_OWNER_URL", environment, mistakes.append)
    if owner_url is not None and not environment.get("DATABASE_URL", "").strip():
        mistakes.append(
            "COALITION_OWNER_URL is set and DATABASE_URL is not; right are both, or neither for "
            "the embedded server, whose owner is known"
        )
    test_database_url = _database_url("COALITION_TEST_DATABASE_URL", environment, mistakes.append)
    if test_database_url is not None and test_database_url == database_url:
        mistakes.append(
            "COALITION_TEST_DATABASE_URL is DATABASE_URL, and test keys would move real points; "
            "right is a database of its own"
        )
    given = environment.get("COALITION_PEPPER", "").strip()
    if given and len(given) < PEPPER_CHARACTERS_MIN:
        mistakes.append(
            f"COALITION_PEPPER has {len(given)} characters; "
            f"right are {PEPPER_CHARACTERS_MIN} or more, such as `openssl rand -hex 32` prints"
        )
    elif not given and environment.get("DATABASE_URL", "").strip():
        mistakes.append(
            "COALITION_PEPPER is missing; with DATABASE_URL it is required, the same for every "
            "process, such as `openssl rand -hex 32` prints"
        )
    data_folder = Path(environment.get("COALITION_DATA", "").strip() or ".coalition").absolute()
    merchants = environment.get("COALITION_MERCHANTS", "").strip() or "configs/merchants/alliance"
    anchors = environment.get("COALITION_ANCHORS", "").strip()
    port = number("COALITION_PORT", 8000, 1, 65_535)
    queue_max = number("COALITION_QUEUE_MAX", 10_000, 1, 1_000_000)
    wait_s_max = number("COALITION_WAIT_S_MAX", 5, 1, 300)
    rate_max = number("COALITION_REQUESTS_PER_SECOND_MAX", 0, 0, 1_000_000)
    retention_days = number("COALITION_RETENTION_DAYS", 0, 0, 36_500)
    personal_keys = _personal_keys(environment.get("COALITION_PERSONAL_KEYS", ""), mistakes.append)
    proxies = _networks(environment.get("COALITION_TRUSTED_PROXIES", ""), mistakes.append)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Settings(
        database_url=database_url,
        data_folder=data_folder,
        pepper=given.encode() if given else _kept_pepper(data_folder),
        merchants_folder=Path(merchants).absolute(),
        host=environment.get("COALITION_HOST", "").strip() or "127.0.0.1",
        port=port,
        queue_max=queue_max,
        wait_s_max=wait_s_max,
        requests_per_second_max=rate_max,
        owner_url=owner_url,
        anchors_folder=Path(anchors).absolute() if anchors else data_folder / "anchors",
        personal_keys=personal_keys,
        retention_days=retention_days,
        trusted_proxies=proxies,
        test_database_url=test_database_url,
    )


def _personal_keys(given: str, mistake: Callable[[str], None]) -> dict[int, bytes]:
    keys: dict[int, bytes] = {}
    for part in filter(None, (part.strip() for part in given.split(","))):
        version, separator, secret = part.partition(":")
        is_version = version.isascii() and version.isdigit() and 1 <= int(version) <= VERSION_MAX
        if not (separator and is_version and len(secret) >= SECRET_CHARACTERS_MIN):
            # Never the value itself: it is a secret.
            mistake(
                "COALITION_PERSONAL_KEYS is not a list such as 1:SECRET,2:SECRET, where each "
                f"version is 1 to {VERSION_MAX} and each secret {SECRET_CHARACTERS_MIN} characters "
                "or more, such as `openssl rand -hex 32` prints"
            )
            return {}
        if int(version) in keys:
            mistake(f"COALITION_PERSONAL_KEYS names version {version} twice; a key has one version")
            return {}
        keys[int(version)] = secret.encode()
    return keys


def _database_url(
    name: str, environment: Mapping[str, str], mistake: Callable[[str], None]
) -> str | None:
    given = environment.get(name, "").strip()
    if not given:
        return None
    scheme, separator, rest = given.partition("://")
    right = "right is postgresql://user:password@host:5432/database"
    if scheme not in ("postgres", "postgresql", "postgresql+asyncpg") or not separator:
        # Never the whole value: it holds a password.
        mistake(f"{name} begins with {scheme[:20]!r}; {right}")
        return None
    try:
        parts = urlsplit(f"postgresql://{rest}")
        complete = bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        complete = False
    if not complete:
        mistake(f"{name} names no database, or a port that is none; {right}")
        return None
    query = parse_qs(parts.query, keep_blank_values=True)
    for mode in query.get("sslmode", []):
        if mode not in SSL_MODES:
            mistake(f"{name} has sslmode={mode[:20]!r}; right is one of {', '.join(SSL_MODES)}")
    for part in ("sslrootcert", "sslcert", "sslkey"):
        for file in query.get(part, []):
            if not (os.access(file, os.R_OK) or (part, file) == ("sslrootcert", "system")):
                mistake(f"{name}: {part} is {file!r}, which cannot be read; right is a PEM file")
    return f"postgresql+asyncpg://{rest}"


def _networks(given: str, mistake: Callable[[str], None]) -> tuple[Network, ...]:
    found: list[Network] = []
    for one in filter(None, (part.strip() for part in given.split(","))):
        try:
            found.append(ip_network(one))
        except ValueError:
            mistake(
                f"COALITION_TRUSTED_PROXIES names {one[:50]!r}; right are addresses or networks "
                "with commas between them, such as 10.0.0.7, 10.1.0.0/24"
            )
    return tuple(found)


def _kept_pepper(data_folder: Path) -> bytes:
    """Made once, beside the embedded database whose keys are worth nothing without it."""
    path = data_folder / "pepper"
    try:
        if not path.exists():
            data_folder.mkdir(parents=True, exist_ok=True)
            making = data_folder / f"pepper.{secrets.token_hex(8)}"
            with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(secrets.token_hex(32))
            # A link is made whole or not at all, and never over another process's pepper.
            with contextlib.suppress(FileExistsError):
                os.link(making, path)
            making.unlink()
        pepper = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            f"COALITION_DATA: {path} cannot be used ({error.strerror}); "
            "right is a folder of your own"
        ) from error
    if len(pepper) < PEPPER_CHARACTERS_MIN:
        raise SettingsError(f"{path} holds {len(pepper)} characters; right are 64: restore it")
    return pepper
