"""Handing a command to the ledger: the idempotency key as ids, the outcome as answer or error."""

import time
from datetime import datetime
from hashlib import blake2b, sha256
from uuid import UUID

import msgspec

from coalition.api.admission import ApiRequest, check_rate
from coalition.api.bodies import Body
from coalition.errors import CoalitionError
from coalition.ledger.commands import Command, Done, Request


def request_id(merchant_id: int, operation: str, key: str) -> UUID:
    """The 128-bit name of an idempotency key: its scope is the merchant and the operation."""
    # No part holds a NUL, so that no two triples run together.
    return UUID(bytes=sha256(f"{merchant_id}\0{operation}\0{key}".encode()).digest()[:16])


def body_hash(body: Body, target: str = "") -> int:
    """63 bits and a sign that tell one body from another, whatever its white space and key order.

    `target` is the id in the path: the same key on another burn's capture is another body. Fields
    left at their default count as absent, so a field added later changes no hash made before it.
    """
    canonical = msgspec.json.encode([target, body], order="sorted")
    return int.from_bytes(blake2b(canonical, digest_size=8).digest(), signed=True)


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
