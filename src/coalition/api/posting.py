"""Handing a request to the ledger under its idempotency key: the outcome as answer or error."""

import time

from coalition.edge.access import Caller
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.services import Services
from coalition.errors import CoalitionError
from coalition.ledger.commands import Done, Refused, Request
from coalition.wire.bodies import Body
from coalition.wire.read import Asker, Operation, read


async def ask(request: ApiRequest, operation: Operation, body: Body, target: str = "") -> Done:
    """Post what `body` asks for as the request's caller, under its key. Raises whatever refuses it.

    `target` is the id in the path.
    """
    services, caller = request.services, request.caller
    key = request.idempotency_key
    assert key is not None, "the route's opt says that a key is required"
    asked = read(operation, body, key, asker_of(caller, services), target)
    if isinstance(asked, Refused):
        raise CoalitionError(asked.code, asked.detail)
    return await post(services, caller, operation, asked)


def asker_of(caller: Caller, services: Services) -> Asker:
    """Who asks, as wire/read.py wants it, at this moment."""
    return Asker(
        merchant_id=caller.merchant_id,
        scopes=caller.scopes,
        book=services.book,
        now=services.clock(),
        actor=caller.actor,
    )


async def post(services: Services, caller: Caller, operation: Operation, asked: Request) -> Done:
    """Post a request and count what became of it. Raises whatever refuses it."""
    check_rate(caller)
    started_s = time.perf_counter()
    label = "failed"
    try:
        outcome = await services.group_commit.post(asked)
        if not isinstance(outcome, Done):
            raise CoalitionError(outcome.code, outcome.detail)
        label = "replayed" if outcome.replayed else "posted"
        return outcome
    except CoalitionError as error:
        label = error.code
        raise
    finally:
        services.meters.count_post(operation, label, time.perf_counter() - started_s)
