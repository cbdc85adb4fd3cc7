"""Who the embedded server lets in: which user of this machine may be which role, and nobody else.

A unix socket tells the server who stands at its other end, so nothing has to be kept secret
(docs/decisions/0025-who-may-connect.md). The two files are ours alone and written anew at each
start, so that a data folder of before, which trusted everybody, is closed by its next one.
"""

import os
import pwd
from pathlib import Path

_WHO = """\
# Written by coalition at each start: whoever {ident} names, and nobody else.
local  all          all  peer map=coalition
local  replication  all  peer map=coalition
"""
_IDENT = "# Written by coalition at each start: these users of this machine may be any role.\n"


def write(data_folder: Path) -> bool:
    """Let in the user that the data folder belongs to, and root; whether that changed anything."""
    owner = data_folder.stat()
    names = [name for uid in sorted({0, owner.st_uid}) if (name := _name(uid)) is not None]
    contents = {
        "pg_ident.conf": _IDENT + "".join(f'coalition  "{name}"  all\n' for name in names),
        "pg_hba.conf": _WHO.format(ident="pg_ident.conf"),
    }
    stale = {
        data_folder / file: content
        for file, content in contents.items()
        if not _says(data_folder / file, content)
    }
    for path, content in stale.items():
        making = path.with_name(f"{path.name}.making")
        making.unlink(missing_ok=True)
        # Anew, and never through a link: the folder is the server's, and we may be root.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(making, flags, 0o600), "w") as file:
            file.write(content)
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        making.replace(path)
    return bool(stale)


def _says(path: Path, content: str) -> bool:
    try:
        return path.read_text() == content
    except (OSError, UnicodeDecodeError):
        return False


def _name(uid: int) -> str | None:
    """None for a number that is no user's: the server itself may run as one, and never connects."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
