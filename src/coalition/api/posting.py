"""Handing a request to the ledger under its idempotency key: the outcome as answer or error."""

import time

from msgspec.structs import replace

from coalition.edge.access import Caller
from coalition.edge.admission import ApiRequest, check_rate
from coalition.edge.services import Services
from coalition.edge.unknown_cards import check_familiar, note_unknown
from coalition.errors import CoalitionError
from coalition.ledger.commands import (
    Burn,
    Command,
    Done,
    Earn,
    Refused,
    Request,
    ReverseBurnCalled,
    ReverseEarnCalled,
    Transfer,
    Wanted,
)
from coalition.rewards.codes import mint, seal_code
from coalition.terms.rewards import VOUCHERS_PER_BURN_MAX
from coalition.wire.bodies import Body, BurnBody, EarnBody, TransferBody
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
    if isinstance(asked.command, Burn) and asked.command.wants is not None:
        asked = _with_codes(asked, asked.command, asked.command.wants, services)
    pin = body.pin if isinstance(body, BurnBody | TransferBody) else None
    return await post(services, caller, operation, asked, pin)


def _with_codes(asked: Request, command: Burn, wants: Wanted, services: Services) -> Request:
    """The request with a code for each voucher that may come of it."""
    merchant = services.book.merchants.get(asked.merchant_id)
    rewards = services.book.terms_today(merchant, asked.now).rewards if merchant else ()
    named = next((reward for reward in rewards if reward.code == wants.reward), None)
    if named is None or named.voucher is None or named.voucher.external:
        return asked
    count = min(wants.quantity, VOUCHERS_PER_BURN_MAX)
    codes = tuple(seal_code(mint(), services.ring) for _ in range(count))
    wants = replace(wants, codes=codes)
    return replace(asked, command=replace(command, wants=wants))


def _spender(asked: Request) -> int:
    """The card whose points a burn or a transfer takes."""
    command = asked.command
    assert isinstance(command, Burn | Transfer), "only these are asked with a PIN"
    return command.card if isinstance(command, Burn) else command.from_card


def asker_of(caller: Caller, services: Services) -> Asker:
    """Who asks, as wire/read.py wants it, at this moment."""
    return Asker(
        merchant_id=caller.merchant_id,
        scopes=caller.scopes,
        book=services.book,
        now=services.clock(),
        actor=caller.actor,
    )


async def post(
    services: Services,
    caller: Caller,
    operation: str,
    asked: Request,
    pin: str | None = None,
) -> Done:
    """Post a request and count what became of it. Raises whatever refuses it.

    pin is what was sent with it; the ledger is told what was found of it.
    """
    check_rate(caller)
    started_s = time.perf_counter()
    label = "failed"
    try:
        if services.guessing.wait_s(caller.key_id):
            await check_familiar(services, caller, *_cards_of(asked.command))
        if pin is not None:
            # After who may ask for the card: nobody else has a guess, nor the time that it takes.
            asked = replace(asked, pin=await services.pins.check(_spender(asked), pin, asked))
        outcome = await services.group_commit.post(asked)
        if not isinstance(outcome, Done):
            raise CoalitionError(outcome.code, outcome.detail)
        label = "replayed" if outcome.replayed else "posted"
        return outcome
    except CoalitionError as error:
        label = error.code
        note_unknown(services, caller, error)
        raise
    finally:
        services.meters.count_post(operation, label, time.perf_counter() - started_s)


async def preview(request: ApiRequest, body: EarnBody) -> Done:
    """What an earn would come to now. Raises whatever would refuse it; nothing is written."""
    services, caller = request.services, request.caller
    # No key is looked for: a preview replays nothing.
    asked = read("earn", body, "preview", asker_of(caller, services))
    if isinstance(asked, Refused):
        raise CoalitionError(asked.code, asked.detail)
    check_rate(caller)
    try:
        if services.guessing.wait_s(caller.key_id):
            await check_familiar(services, caller, *_cards_of(asked.command))
        outcome = await services.ledger.preview(replace(asked, request_id=None))
        if isinstance(outcome, Refused):
            raise CoalitionError(outcome.code, outcome.detail)
        return outcome
    except CoalitionError as error:
        note_unknown(services, caller, error)
        raise


def _cards_of(command: Command) -> tuple[int, ...]:
    match command:
        case Transfer():
            return command.from_card, command.to_card
        case Earn() | Burn() | ReverseEarnCalled() | ReverseBurnCalled():
            return (command.card,)
    return ()
