"""Handing a command to the ledger under its idempotency key: the outcome as answer or error."""

import time
from datetime import datetime

from coalition.api.admission import ApiRequest, check_rate
from coalition.api.bodies import Body
from coalition.api.idempotency import body_hash, request_id
from coalition.errors import CoalitionError
from coalition.ledger.commands import Command, Done, Request


async def ask(
    request: ApiRequest,
    operation: str,
    command: Command,
    body: Body,
    now: datetime,
    target: str = "",
) -> Done:
    """Post a command as the request's caller, under its key. Raises whatever refuses it."""
    caller = request.caller
    assert request.idempotency_key is not None, "the route's opt says that a key is required"
    check_rate(caller)
    desk = request.desk
    started_s = time.perf_counter()
    label = "failed"
    try:
        outcome = await desk.group_commit.post(
            Request(
                command=command,
                merchant_id=caller.merchant_id,
                now=now,
                request_id=request_id(caller.merchant_id, operation, request.idempotency_key),
                body_hash=body_hash(body, target),
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
        desk.meters.count_post(operation, label, time.perf_counter() - started_s)
