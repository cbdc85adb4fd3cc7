"""The one reader of a movement: from a body that is well-formed to a request of the ledger. Pure.

The routes, the till's lane and the rows of files all read here, so that the same body asks for the
same, replays the same and is refused in the same words by whichever door it comes. The quick reader
of plain rows (batches/quick.py) stands beside it, and a property test holds it to this one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from coalition.errors import CoalitionError
from coalition.ledger.commands import (
    Capture,
    Command,
    Refused,
    Request,
    ReverseBurn,
    ReverseBurnCalled,
    ReverseEarn,
    ReverseEarnCalled,
    Void,
)
from coalition.terms.book import Book
from coalition.wire import ids
from coalition.wire.bodies import (
    Body,
    ReverseBurnBody,
    ReverseBurnCalledBody,
    ReverseEarnBody,
    ReverseEarnCalledBody,
)
from coalition.wire.keys import body_hash, request_id
from coalition.wire.movements import (
    invalid,
    read_burn,
    read_card,
    read_earn,
    read_time,
    read_transfer,
)
from coalition.wire.targets import read_target

Operation = Literal["earn", "burn", "capture", "void", "reverse_earn", "reverse_burn", "transfer"]
# The scope that a key needs for an operation.
SCOPES: dict[Operation, str] = {
    "earn": "earn",
    "reverse_earn": "earn",
    "burn": "burn",
    "capture": "burn",
    "void": "burn",
    "reverse_burn": "burn",
    "transfer": "transfer",
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, what its key may do, and what a body is read against. now is the clock.

    actor is which key or command asks, as audit/actor.py spells it; None: not known.
    """

    merchant_id: int
    scopes: frozenset[str]
    book: Book
    now: datetime
    actor: str | None = None

    def may(self, operation: Operation) -> bool:
        return SCOPES[operation] in self.scopes or "house" in self.scopes


def read(
    operation: Operation, body: Body, key: str, asker: Asker, target: str = ""
) -> Request | Refused:
    """What `body` asks for under its idempotency key, or why it is refused.

    `body` is the operation's own struct; `target` the id of the earn or burn that it is about,
    empty where it is about none or names it by its reference. The asker's scope and the key were
    looked at before the body was decoded.
    """
    try:
        command = _command(operation, body, asker, target)
    except CoalitionError as error:
        return refusal(error)
    return Request(
        command=command,
        merchant_id=asker.merchant_id,
        now=asker.now,
        request_id=request_id(asker.merchant_id, operation, key),
        body_hash=body_hash(body, target),
        actor=asker.actor,
    )


def refusal(error: CoalitionError) -> Refused:
    """The outcome of a request that is refused before the ledger sees it."""
    return Refused(error.code, error.detail)


# Which struct an operation has is its door's to know: Any, or each line would state it again.
def _command(operation: Operation, body: Any, asker: Asker, target: str) -> Command:
    match operation:
        case "earn":
            return read_earn(body, asker.book, asker.merchant_id, asker.now)
        case "burn":
            return read_burn(body, asker.book, asker.merchant_id, asker.now)
        case "transfer":
            return read_transfer(body, asker.book)
        case "reverse_earn":
            return _reverse_earn(body, asker, target)
        case "reverse_burn":
            return _reverse_burn(body, asker, target)
    member_id, burn_no = read_target(ids.BURN, target)
    match operation:
        case "capture":
            return Capture(member_id=member_id, burn_no=burn_no, points=body.points)
        case "void":
            return Void(member_id=member_id, burn_no=burn_no)


def _reverse_earn(
    body: ReverseEarnBody | ReverseEarnCalledBody, asker: Asker, target: str
) -> Command:
    if body.points is not None and body.amount is not None:
        raise invalid("points and amount: one of the two, or none for all of it")
    at = _returned_at(body.occurred_at, asker)
    if isinstance(body, ReverseEarnCalledBody):
        card = _called(body.card, asker, "earns")
        return ReverseEarnCalled(card, body.reference, body.points, body.amount, at)
    member_id, earn_no = read_target(ids.EARN, target)
    return ReverseEarn(member_id, earn_no, body.points, body.amount, at)


def _reverse_burn(
    body: ReverseBurnBody | ReverseBurnCalledBody, asker: Asker, target: str
) -> Command:
    at = _returned_at(body.occurred_at, asker)
    if isinstance(body, ReverseBurnCalledBody):
        card = _called(body.card, asker, "burns")
        return ReverseBurnCalled(card, body.reference, body.points, at)
    member_id, burn_no = read_target(ids.BURN, target)
    return ReverseBurn(member_id, burn_no, body.points, at)


def _called(card: str, asker: Asker, what: str) -> int:
    """The card of a movement that is named by its reference, which is its merchant's own."""
    number = read_card(card)
    if asker.merchant_id not in asker.book.merchants:
        raise invalid(f"the house itself makes no {what}: reverse by id, or use a merchant's key")
    return number


def _returned_at(at: datetime | None, asker: Asker) -> datetime | None:
    # Absent it stays so: a till's clock may run ahead of ours, and a sale be later than now.
    return None if at is None else read_time(at, asker.now)
