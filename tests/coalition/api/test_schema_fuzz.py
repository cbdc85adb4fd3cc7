"""Whatever the OpenAPI document lets a caller send is answered as the document says.

The requests are made from the document: so many of each operation, with a merchant's key and with
the house's, and every second one about cards, earns and burns that are there. In `make test` they
are the same ones in every run; `make fuzz` goes on with others, right and wrong ones, for as many
seconds as FUZZ_S says.
"""

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.coalition.api.conftest import BASE, World

FUZZ_S = float(os.environ.get("FUZZ_S", "0"))
RUN = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_NAMED = re.compile(r'"(card|earn_id|burn_id|lot_id|batch_id|window)":"([^"]{1,64})"')
_CARDS = ("card", "from_card", "to_card")


@dataclass
class Caller:
    """Asks what it is given with one key, and remembers what the answers name."""

    client: httpx.AsyncClient
    key: str
    loop: asyncio.AbstractEventLoop
    known: dict[str, list[str]] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    asked: int = 0

    def ask(self, case: Any) -> None:
        case.headers["Authorization"] = f"Bearer {self.key}"
        self.asked += 1
        if self.asked % 2:
            self._name_what_is_there(case)
        sent = case.as_transport_kwargs(base_url=BASE)
        # Hypothesis runs in a thread of its own, and the application in the loop of the test.
        answer = asyncio.run_coroutine_threadsafe(_send(self.client, sent), self.loop).result()
        self.statuses.add(answer.status_code)
        if answer.status_code == 201:
            for name, value in _NAMED.findall(answer.text):
                self.known.setdefault(name, []).append(value)
        case.validate_response(answer, checks=CHECKS)

    def _name_what_is_there(self, case: Any) -> None:
        for name in case.path_parameters or ():
            case.path_parameters[name] = self._known(name, case.path_parameters[name])
        if isinstance(case.body, dict):
            for name in _CARDS:
                if name in case.body:
                    case.body[name] = self._known("card", case.body[name])

    def _known(self, name: str, otherwise: Any) -> Any:
        there = self.known.get(name)
        return there[self.asked // 2 % len(there)] if there else otherwise


@pytest.mark.parametrize("code", ["telecom", "house"])
async def test_every_answer_is_one_the_document_names(world: World, code: str) -> None:
    document = (await world.client.get("/schema/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    caller = Caller(world.client, world.keys[code], asyncio.get_running_loop())
    await _found(world, caller)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        asked = given(case=found.ok().as_strategy())(caller.ask)
        await asyncio.to_thread(RUN(asked))
    # It got past the key and past the reading of bodies, and was not all refused.
    assert {200, 201, 404, 422} <= caller.statuses
    by_s = time.monotonic() + FUZZ_S
    while time.monotonic() < by_s:
        number = secrets.randbits(32)
        try:
            await asyncio.to_thread(_ask_others, schema, caller.ask, number, by_s)
        except BaseException:
            print(f"asked as {code} from the seed {number}")  # noqa: T201
            raise
    if FUZZ_S:
        print(f"asked {caller.asked} times as {code}: {sorted(caller.statuses)}")  # noqa: T201


def _ask_others(schema: Any, ask: Callable[[Any], None], number: int, by_s: float) -> None:
    """Some requests to each operation that no run before made; right ones, then wrong ones."""
    run = settings(RUN, derandomize=False, max_examples=20, phases=[Phase.generate])
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for found in schema.get_all_operations():
            if time.monotonic() < by_s:
                strategy = found.ok().as_strategy(generation_mode=mode)
                # There is nothing to get wrong where nothing is sent.
                with contextlib.suppress(Unsatisfiable):
                    seed(number)(run(given(case=strategy)(ask)))()


async def _found(world: World, caller: Caller) -> None:
    """Two cards with points, and what gave and took some of them, for the requests to be about."""
    telecom, retail = world.till("telecom"), world.till("retail")
    for _ in range(2):
        card = await telecom.enrol()
        earned = await telecom.earn(card, 900)
        await retail.earn(card, 900)
        burned = await telecom.burn(card, 300)
        for name, value in (
            ("card", card),
            ("earn_id", earned["earn_id"]),
            ("lot_id", earned["lots"][0]["lot_id"]),
            ("burn_id", burned["burn_id"]),
        ):
            caller.known.setdefault(name, []).append(value)
    caller.known |= {"window": ["2017-03"], "merchant": ["telecom"]}


async def _send(client: httpx.AsyncClient, sent: dict[str, Any]) -> httpx.Response:
    body = sent.pop("data", None)
    sent.pop("cookies", None)
    return await client.request(**sent, content=body)
