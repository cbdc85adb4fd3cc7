"""Listening: whether the address is there and free, and how many connections are held how long."""

import errno
import socket
import sys

import click

# A connection that sends no head of a request for so long is closed: it never began, it trickles,
# or it waits for its next request. Clients keep idle ones for 5 s and more, proxies ours for less.
HEAD_TIMEOUT_S = 10
# A key, an idempotency key and what browsers and proxies add are 2 KiB. Bodies are read through
# the same buffer.
HEAD_BYTES_MAX = 16_384
# Connections that one process holds: what silent ones take from it for HEAD_TIMEOUT_S is memory
# only: 60 MB, and 400 MB where each has sent as much of a head as it may.
CONNECTIONS_MAX = 16_384
# Connections that the system completes while a process is busy.
BACKLOG = 4_096
# Open files of a process that are no client's: the database, files of rows, what it logs to.
_FILES_KEPT = 512


def connections_max() -> int:
    """How many connections a process may hold. Raises its limit of open files, as far as allowed.

    Processes that it starts inherit the limit.
    """
    if sys.platform == "win32":
        return CONNECTIONS_MAX
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + _FILES_KEPT
    soft, hard = (wanted if one == resource.RLIM_INFINITY else one for one in limits)
    files_max = max(soft, min(wanted, hard))
    if files_max > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, limits[1]))
        except (ValueError, OSError):
            # Some systems allow less than they say.
            files_max = soft
    return min(CONNECTIONS_MAX, files_max - min(_FILES_KEPT, files_max // 2))


def free_address(host: str, port: int) -> str:
    """The host as a number that can be listened at. Raises ClickException, which says why not.

    The web server lets several processes listen at one port, so that its own workers can. Two
    servers would share the requests then, each before its own ledger; so we look first.
    """
    right = "right is 127.0.0.1 for this machine only, or 0.0.0.0 for whoever reaches it"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(
            f"there is no host {host!r}; {right} (--host or COALITION_HOST)"
        ) from error
    family, _, _, _, address = found[0]
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections of a server that has just ended do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise click.ClickException(_why(error, host, port, right)) from error
    return str(address[0])


def _why(error: OSError, host: str, port: int, right: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; end that server or choose another with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; {right} (--host or COALITION_HOST)"
    if error.errno == errno.EACCES:
        return f"port {port} is for root only; choose one from 1024 on with --port"
    return f"cannot listen at {host}, port {port}: {error.strerror}"
