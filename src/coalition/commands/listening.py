"""The address that a server is to listen at: whether there is one, and whether it is free."""

import errno
import socket

import click


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
