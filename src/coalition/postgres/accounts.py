"""Whom the embedded server runs as, and whom its files belong to.

PostgreSQL refuses root. For root the server runs as a user number that no account of this machine
has, so that no other program shares it: what runs as `nobody`, as many do, can neither read the
files nor signal the server. For everybody else it runs as themselves.
"""

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coalition.postgres import programs
from coalition.postgres.programs import Account, EmbeddedError

# Between the numbers that distributions and their programs hand out (systemd lists them: from 60578
# to 61183 nobody does), and small enough for containers, which often have 65,536.
OWN_NUMBERS = range(60_730, 60_780)


def account_of_servers() -> Account | None:
    """Whom a new server runs as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for number in OWN_NUMBERS:
        if not (_is_known(pwd.getpwuid, number) or _is_known(grp.getgrgid, number)):
            return Account(number, number)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and all user numbers from {OWN_NUMBERS[0]} to "
        f"{OWN_NUMBERS[-1]} are in use; run as an ordinary user, or set DATABASE_URL"
    )


def account_for(folder: Path) -> Account | None:
    """Whom the server of this folder runs as; None: as ourselves.

    Files that an earlier version gave to `nobody` are taken over first, unless their server runs.
    """
    place = folder / "postgres"
    if place.is_symlink() and not place.exists():
        raise EmbeddedError(
            f"{place} leads to {place.readlink()}, which is gone; bring it back, "
            f"or remove {place} to begin with an empty database"
        )
    owner = place.stat() if place.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedError(
                f"the database in {place} belongs to another user (uid {owner.st_uid}); "
                "run as that user or root, or give a folder of your own in COALITION_DATA"
            )
        return None
    if owner is not None and owner.st_uid != 0 and not _is_to_change_hands(folder, owner.st_uid):
        return Account(owner.st_uid, owner.st_gid)
    own = account_of_servers()
    if owner is not None and own is not None:
        hand_over(place.resolve(), own)
    return own


@contextmanager
def making(folder: Path, account: Account | None) -> Iterator[Account | None]:
    """Make a folder inside one of ours, as the account that is given here; it is `account`'s after.

    initdb asks the system for its user's name, and a number that is no account's has none. So it
    runs as `nobody`, with a group that no other program of nobody's has and that alone leads in.
    """
    if account is None or _is_known(pwd.getpwuid, account.uid):
        yield account
        return
    maker = Account(_nobody(), account.gid)
    folder.mkdir(mode=0o700)
    os.chown(folder, maker.uid, maker.gid)
    folder.parent.chmod(0o710)
    try:
        yield maker
        hand_over(folder, account)
    finally:
        folder.parent.chmod(0o700)


def hand_over(folder: Path, account: Account) -> None:
    """Give a folder and all that is in it to the account.

    It is root's until the end, so that whoever it belonged to changes nothing underneath, and so
    that one that was left half way is known.
    """
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(inside, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)


def _is_to_change_hands(folder: Path, uid: int) -> bool:
    """Whether root gave it to nobody, and it is at rest; what nobody made for itself stays so."""
    if folder.stat().st_uid != 0 or not _is_known(pwd.getpwnam, "nobody") or uid != _nobody():
        return False
    data_folder = (folder / "postgres").resolve() / "data"
    recorded = programs.recorded_postmaster(data_folder)
    return recorded is None or not programs.is_postmaster(recorded[0], data_folder)


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root and this machine has no user `nobody` to make its "
            "files as; run as an ordinary user, or set DATABASE_URL"
        ) from None


def _is_known(look_up: Callable[..., object], name: int | str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True
