"""Attacks that once took the server down, made from an address of their own while tills are served.

Run by attacks.py as a process of lower priority: the attacker's own work is not what a till waits
for where it has a machine to itself.
"""

import http.client
import json
import os
import random
import secrets
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.seed import card_of
from coalition.batches.cells import COLUMNS
from coalition.keys import key as keys
from coalition.members.card import make_card

# Linux answers on all of 127.0.0.0/8, so that an attacker's address is not the tills'.
ADDRESS = "127.0.0.66"
AT_ONCE = 8
SILENT, UPLOADS = 2_000, 60
NAMES = 8_500
GUESSED_ROWS = 20_000
TIMEOUT_S = 10
NICENESS = 10
# As a browser or a till would begin, and then no more.
_SAID = (b"", b"P", b"POST /v1/earns HTTP/1.1\r\nHost: bench\r\nX-More: and")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: what http.client sends."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Attack:
    """Where to, with whose key, and what came back: answers by status, or what broke.

    files: those that were taken in, and would go on when the attack is over.
    """

    port: int
    key: str
    answers: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def asked_without_end(self, requests: Callable[["Attack"], Iterator[Request]]) -> None:
        """On so many connections, each asking as soon as it is answered."""
        for _ in range(AT_ONCE):
            threading.Thread(target=self._ask, args=(requests(self),), daemon=True).start()

    def _ask(self, requests: Iterator[Request]) -> None:
        connection = self._connection()
        for one in requests:
            if self.is_over.is_set():
                return
            try:
                connection.request(one.method, one.path, one.body, one.headers)
                with connection.getresponse() as response:
                    content = response.read()
                    self.answers[str(response.status)] += 1
                    if response.status == HTTPStatus.ACCEPTED:
                        self.files.append(json.loads(content)["batch_id"])
            except (OSError, http.client.HTTPException):
                self.answers["broken off"] += 1
                connection.close()
                connection = self._connection()

    def cancel_files(self) -> None:
        """End what goes on without the attacker, so that the next attack is measured alone."""
        self.is_over.set()
        connection = self._connection()
        for batch_id in list(self.files):
            connection.request("POST", f"/v1/batches/{batch_id}/cancel", headers=_keyed(self))
            connection.getresponse().read()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=TIMEOUT_S, source_address=(ADDRESS, 0)
        )

    def hold_open(self, count: int, beginnings: tuple[bytes, ...], *, drip_s: float | None) -> None:
        """Keep so many connections that begin and never end; a closed one is opened again."""
        threading.Thread(target=self._hold, args=(count, beginnings, drip_s), daemon=True).start()

    def _hold(self, count: int, beginnings: tuple[bytes, ...], drip_s: float | None) -> None:
        held: dict[int, socket.socket] = {}
        dripped_at_s = time.monotonic()
        while True:
            for number in range(count):
                if number not in held:
                    held[number] = self._begun(beginnings[number % len(beginnings)])
            drips = drip_s is not None and time.monotonic() - dripped_at_s >= drip_s
            if drips:
                dripped_at_s = time.monotonic()
            for number in [n for n, one in held.items() if _is_over(one, drips=drips)]:
                held.pop(number).close()
                self.answers["closed"] += 1
            time.sleep(0.1)

    def _begun(self, beginning: bytes) -> socket.socket:
        one = socket.socket()
        one.bind((ADDRESS, 0))
        one.settimeout(1)
        with suppress(OSError):
            one.connect(("127.0.0.1", self.port))
            one.sendall(beginning)
        one.setblocking(False)
        return one


def _is_over(one: socket.socket, *, drips: bool) -> bool:
    try:
        if drips:
            one.send(b"x")
        return not one.recv(65_536)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _keyed(attack: Attack) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {attack.key}",
        "Idempotency-Key": secrets.token_hex(16),
        "Content-Type": "application/json",
    }


def _wide_bodies(_attack: Attack) -> Iterator[Request]:
    """65,536 bytes that are all names, from nobody."""
    body = "{" + ",".join(f'"{number}":1' for number in range(NAMES)) + "}"
    while True:
        yield Request("POST", "/v1/earns", body[:65_536].encode())


def _open_pages(_attack: Attack) -> Iterator[Request]:
    while True:
        yield Request("GET", "/schema/openapi.yaml")
        yield Request("GET", "/metrics")


def _unknown_keys(attack: Attack) -> Iterator[Request]:
    body = json.dumps({"card": str(card_of(1)), "points": 10}).encode()
    while True:
        headers = _keyed(attack) | {"Authorization": f"Bearer {keys.mint(live=True).text}"}
        yield Request("POST", "/v1/earns", body, headers)


def _guessed_cards(attack: Attack) -> Iterator[Request]:
    while True:
        card = make_card(random.randrange(10**14))
        yield Request("GET", f"/v1/cards/{card}", headers=_keyed(attack))


def _one_card(attack: Attack) -> Iterator[Request]:
    """Burns from one card at once: all want its one row."""
    body = json.dumps({"card": str(card_of(20)), "points": 10}).encode()
    while True:
        yield Request("POST", "/v1/burns", body, _keyed(attack))


def _files_of_guesses(attack: Attack) -> Iterator[Request]:
    """The same file again and again: making one takes the attacker longer than sending it."""
    blank = dict.fromkeys(COLUMNS, "") | {"op": "earn", "points": "10"}
    rows = (
        blank | {"key": secrets.token_hex(16), "card": str(make_card(random.randrange(10**14)))}
        for _ in range(GUESSED_ROWS)
    )
    lines = [",".join(COLUMNS), *(",".join(row.values()) for row in rows)]
    body = "\n".join(lines).encode()
    while True:
        headers = _keyed(attack) | {"Content-Type": "text/csv"}
        yield Request("POST", "/v1/batches", body, headers)


def _long_heads(_attack: Attack) -> Iterator[Request]:
    while True:
        yield Request("GET", "/healthz", headers={"X-More": "a" * 60_000})


def _silent(attack: Attack) -> None:
    attack.hold_open(SILENT, _SAID, drip_s=None)


def _uploads(attack: Attack) -> None:
    """60 files held open by one byte in six seconds."""
    beginning = (
        "POST /v1/batches HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {attack.key}\r\nContent-Type: text/csv\r\n"
        "Idempotency-Key: {}\r\nContent-Length: 1000000\r\n\r\nop,key\n"
    )
    texts = tuple(beginning.format(secrets.token_hex(16)).encode() for _ in range(UPLOADS))
    attack.hold_open(UPLOADS, texts, drip_s=6)


def _asking(requests: Callable[[Attack], Iterator[Request]]) -> Callable[[Attack], None]:
    return lambda attack: attack.asked_without_end(requests)


ATTACKS: dict[str, Callable[[Attack], None]] = {
    "2,000 silent connections": _silent,
    "heads of 60 kB": _asking(_long_heads),
    "bodies of 8,500 names": _asking(_wide_bodies),
    "the schema and the metrics": _asking(_open_pages),
    "unknown keys": _asking(_unknown_keys),
    "guessed cards": _asking(_guessed_cards),
    "files of guessed cards": _asking(_files_of_guesses),
    "60 slow uploads": _uploads,
    "burns from one card": _asking(_one_card),
}


def main() -> None:
    """NAME PORT, and the key as the first line of input; attacks until the input ends."""
    name, port = sys.argv[1], int(sys.argv[2])
    os.nice(NICENESS)
    attack = Attack(port, sys.stdin.readline().strip())
    ATTACKS[name](attack)
    sys.stdin.read()
    attack.cancel_files()
    sys.stdout.write(json.dumps(attack.answers))
    sys.stdout.flush()
    # The threads are still asking.
    os._exit(0)


if __name__ == "__main__":
    main()
