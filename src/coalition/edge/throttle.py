"""How fast an address may ask for what needs no right key: pages, /metrics, and guesses at keys.

Tills ask with a key, whose rate is access.py's; an address that guesses takes nothing from them.
The table is bounded: what does not fit into it shares one bucket.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from litestar.types import HTTPScope

from coalition.settings import Network

# So many at once, and then so many a second: plenty for people and Prometheus, few for a guesser.
AT_ONCE_MAX = 100
PER_S_MAX = 20
# Some 2 MB of addresses.
ADDRESSES_MAX = 10_000
# Who has one address of IPv6 has all of its network.
_IPV6_PREFIX = 64
_FORWARDED_FOR = b"x-forwarded-for"

_Address = IPv4Address | IPv6Address


@dataclass(slots=True)
class _Bucket:
    """What an address may still ask at once, as of at_s."""

    tokens: float
    at_s: float


class Throttle:
    """The addresses that asked lately without a right key, in this process."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        # In the order of their last request, so that those that are full again stand first.
        self._buckets: dict[str, _Bucket] = {}
        self._crowd = _Bucket(AT_ONCE_MAX, monotonic_s())

    @property
    def is_calm(self) -> bool:
        """Whether no address at all is watched."""
        return not self._buckets

    def wait_s(self, address: str) -> int:
        """Seconds until this address may ask again; 0: it may now. Nothing is spent."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) < ADDRESSES_MAX:
                return 0
            bucket = self._crowd
        tokens = self._refilled(bucket, self._monotonic_s())
        return 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / PER_S_MAX))

    def spend(self, address: str) -> None:
        """Count one request of this address."""
        now_s = self._monotonic_s()
        bucket = self._buckets.pop(address, None)
        if bucket is None:
            self._forget(now_s)
            is_room = len(self._buckets) < ADDRESSES_MAX
            bucket = _Bucket(AT_ONCE_MAX, now_s) if is_room else self._crowd
        bucket.tokens = max(0.0, self._refilled(bucket, now_s) - 1)
        bucket.at_s = now_s
        if bucket is not self._crowd:
            self._buckets[address] = bucket

    def _refilled(self, bucket: _Bucket, now_s: float) -> float:
        return min(AT_ONCE_MAX, bucket.tokens + (now_s - bucket.at_s) * PER_S_MAX)

    def _forget(self, now_s: float) -> None:
        """Drop addresses whose buckets must be full again by now."""
        full_before_s = now_s - AT_ONCE_MAX / PER_S_MAX
        while self._buckets:
            oldest = next(iter(self._buckets))
            if self._buckets[oldest].at_s > full_before_s:
                return
            del self._buckets[oldest]


def address_of(scope: HTTPScope, proxies: Sequence[Network]) -> str:
    """Who asks, as it is counted: an IPv6 address stands for its network of 64 bits."""
    found = _found(scope, proxies)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _IPV6_PREFIX), strict=False))
    return "" if found is None else str(found)


def place_of(scope: HTTPScope, proxies: Sequence[Network]) -> str:
    """The very address that asks; empty where it has none."""
    found = _found(scope, proxies)
    return "" if found is None else str(found)


def _found(scope: HTTPScope, proxies: Sequence[Network]) -> _Address | None:
    """The address that connects or, where that is a proxy we trust, the one that it names.

    X-Forwarded-For counts from its end, where our own proxies write; what stands before them was
    sent by the client, and may be anything.
    """
    client = scope["client"]
    found = _read(client[0]) if client is not None else None
    if proxies and found is not None:
        sent = [value for name, value in scope["headers"] if name == _FORWARDED_FOR]
        named = b",".join(sent).decode("latin-1").split(",") if sent else []
        while named and any(found in network for network in proxies):
            before = _read(named.pop().strip(" \t"))
            if before is None:
                break
            found = before
    return found


def _read(text: str) -> _Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A server that listens on IPv6 sees IPv4 so.
    return getattr(found, "ipv4_mapped", None) or found
