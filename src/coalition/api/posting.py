"""Handing a command to the ledger under its idempotency key: the outcome as answer or error."""

import time
from datetime import datetime

from coalition.edge.access import Caller
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.services import Services
from coalition.errors import CoalitionError
from coalition.ledger.commands import Command, Done, Request
from coalition.wire.bodies import Body
from coalition.wire.keys import body_hash, request_id


async def ask(
    request: ApiRequest,
    operation: str,
    command: Command,
    body: Body,
    now: datetime,
    target: str = "",
) -> Done:
    """Post a command as the request's caller, under its key. Raises whatever refuses it."""
    key = request.idempotency_key
    assert key is not None, "the route's opt says that a key is required"
    told = body_hash(body, target)
    return await post_under_key(
        request.services, request.caller, operation, key, command, told, now
    )


async def post_under_key(
    services: Services,
    caller: Caller,
    operation: str,
    key: str,
    command: Command,
    body_hash: int,
    now: datetime,
) -> Done:
    """Post a command and count what became of it. Raises whatever refuses it."""
    check_rate(caller)
    started_s = time.perf_counter()
    label = "failed"
    try:
        outcome = await services.group_commit.post(
            Request(
                command=command,
                merchant_id=caller.merchant_id,
                now=now,
                request_id=request_id(caller.merchant_id, operation, key),
                body_hash=body_hash,
            )
        )
        if not isinstance(outcome, Done):
            raise CoalitionError(outcome.code, outcome.detail)
        label = "replayed" if outcome.replayed else "posted"
        return outcome
    except CoalitionError as error:
        label = error.code
        raise
    finally:
        services.meters.count_post(operation, label, time.perf_counter() - started_s)
