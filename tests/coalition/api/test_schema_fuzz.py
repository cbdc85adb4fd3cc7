"""Whatever the OpenAPI document lets a caller send is answered as the document says.

The requests are made from the document, the same ones in every run: so many of each operation, with
a merchant's key and with the house's.
"""

import asyncio
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.coalition.api.conftest import BASE, World

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


@pytest.mark.parametrize("code", ["telecom", "house"])
async def test_every_answer_is_one_the_document_names(world: World, code: str) -> None:
    document = (await world.client.get("/schema/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    loop = asyncio.get_running_loop()

    def call(case: Any) -> None:
        case.headers["Authorization"] = f"Bearer {world.keys[code]}"
        sent = case.as_transport_kwargs(base_url=BASE)
        answer = asyncio.run_coroutine_threadsafe(_send(world.client, sent), loop).result()
        answered.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    answered: set[int] = set()
    for found in schema.get_all_operations():
        # Hypothesis runs in a thread of its own, and the application in the loop of the test.
        assert isinstance(found, Ok), found
        asked = given(case=found.ok().as_strategy())(call)
        await asyncio.to_thread(RUN(asked))
    # It got past the key and past the reading of bodies, and was not all refused.
    assert {200, 201, 404, 422} <= answered


async def _send(client: httpx.AsyncClient, sent: dict[str, Any]) -> httpx.Response:
    body = sent.pop("data", None)
    sent.pop("cookies", None)
    return await client.request(**sent, content=body)
