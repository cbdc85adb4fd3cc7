"""TLS on the way to a PostgreSQL elsewhere: what sslmode in its address means.

The words are libpq's, and mean what they mean there, but that without sslrootcert the authorities
are those that this machine trusts. How the connection is made is database.py.
"""

import ssl
from typing import Any

from sqlalchemy.engine import URL, make_url

_PARTS = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def connecting(url: str) -> tuple[URL, dict[str, Any]]:
    """The address without what it says of TLS, and that as arguments of the driver.

    Raises OSError (ssl.SSLError is one) where a certificate's file cannot be used.
    """
    address = make_url(url)
    said = {part: value for part in _PARTS if isinstance(value := address.query.get(part), str)}
    if not said:
        return address, {}
    mode = said.get("sslmode", "prefer")
    bare = address.difference_update_query(_PARTS)
    if mode == "disable":
        return bare, {"ssl": False}
    if mode in ("allow", "prefer") and len(said) == 1:
        return bare, {"ssl": mode}
    return bare, {"ssl": _context(mode, said)}


def _context(mode: str, said: dict[str, str]) -> ssl.SSLContext:
    authorities = said.get("sslrootcert")
    context = ssl.create_default_context(cafile=None if authorities == "system" else authorities)
    # As in libpq: authorities that are named are asked, whether the mode says so or not.
    if mode not in ("verify-ca", "verify-full") and authorities is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif mode != "verify-full":
        context.check_hostname = False
    if "sslcert" in said:
        context.load_cert_chain(said["sslcert"], said.get("sslkey"))
    return context


def is_verified(url: str) -> bool:
    """Whether the server has to prove that it is the one the address names."""
    return make_url(url).query.get("sslmode") == "verify-full"
