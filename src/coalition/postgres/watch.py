"""Looking after the embedded PostgreSQL while a server runs on it: where it dies, it starts again.

How it is started, shared and stopped is server.py; here is only the looking, once a second.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog

from coalition.postgres import programs
from coalition.postgres import server as embedded
from coalition.postgres.server import EmbeddedError, EmbeddedServer

log = structlog.get_logger()

LOOK_EVERY_S = 1


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Keep the server of this folder running, at the address that it has, until the end.

    It is told once that it is gone and once that it is back. Raises EmbeddedError as start() does.
    """
    server = embedded.start(folder)
    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(server, ended), name="postgres", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
        embedded.stop(server)


def _look(server: EmbeddedServer, ended: threading.Event) -> None:
    told = ""
    while not ended.wait(LOOK_EVERY_S):
        if not told and not _is_gone(server):
            continue
        if not told:
            told = "gone"
            log.error("embedded PostgreSQL is gone, starting it again", folder=str(server.folder))
        try:
            again = embedded.start(server.folder)
        except (EmbeddedError, OSError) as error:
            if told != str(error):
                told = str(error)
                log.error("embedded PostgreSQL does not start", error=told)
            continue
        # Our share is the one we had all along.
        again.presence.close()
        told = ""
        log.info("embedded PostgreSQL is back", folder=str(server.folder))


def _is_gone(server: EmbeddedServer) -> bool:
    if programs.listens(embedded.socket_path(server)):
        return False
    # One that lives and is only too busy to answer is never started over.
    recorded = programs.recorded_postmaster(server.data_folder)
    return recorded is None or not programs.is_postmaster(recorded[0], server.data_folder)
