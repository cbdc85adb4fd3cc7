"""Plain rows of NDJSON, read in a fraction of the time: what almost every row of a file looks like.

Whatever is not plain (an escape, a take, a hold, a field too many, a key that stands twice,
anything wrong) is None here and read by rows.py. What is read here comes out as rows.py has it,
which a property test holds; docs/decisions/0011-batches.md has the figures that pay for it.
"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from coalition.errors import CoalitionError
from coalition.ledger.commands import CLOCK_DRIFT, Burn, Earn, Request
from coalition.members.card import parse_card
from coalition.wire.bodies import Amount, BurnBody, EarnBody, Points
from coalition.wire.keys import canonical, digest, is_key, request_id
from coalition.wire.movements import EARLIEST
from coalition.wire.read import Asker
from coalition.wire.times import exact

_Reference = Annotated[str, Meta(min_length=1, max_length=255)]
_At = Annotated[datetime, Meta(tz=True)]


class _Earn(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag_field="op", tag="earn"
):
    card: str
    key: str
    amount: Amount | None = None
    currency: str | None = None
    points: Points | None = None
    occurred_at: str | None = None
    reference: _Reference | None = None


class _Burn(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag_field="op", tag="burn"
):
    card: str
    key: str
    points: Points
    occurred_at: str | None = None
    reference: _Reference | None = None


_Meaning = tuple[str, Earn | Burn, EarnBody | BurnBody]
_decoder = msgspec.json.Decoder(_Earn | _Burn)


class QuickReader:
    """Reads plain rows for one asker; made anew when the book or the clock moves on."""

    def __init__(self, asker: Asker) -> None:
        merchant = asker.book.merchants.get(asker.merchant_id)
        self._asker = asker
        self._may_earn = merchant is not None and asker.may("earn")
        self._may_burn = merchant is not None and asker.may("burn")
        if merchant is not None:
            self._currency = merchant.terms.currency

    def read(self, line: bytes) -> Request | None:
        """The row's request; None where rows.py must look at it."""
        # Without an escape a text is what stands in the line, and no NUL can hide.
        if b"\\" in line:
            return None
        try:
            row = _decoder.decode(line)
            card = parse_card(row.card)
            at = None if row.occurred_at is None else self._time(row.occurred_at)
        except (msgspec.DecodeError, ValueError, CoalitionError):
            return None
        found = self._meaning(row, card, at)
        if found is None or not is_key(row.key):
            return None
        op, command, body = found
        told = canonical(body)
        # A name stands before each colon that no text holds, and op and key are not in the body:
        # one colon more, and some name stands twice.
        if line.count(b":") != told.count(b":") + 2 + row.key.count(":"):
            return None
        asker = self._asker
        name = request_id(asker.merchant_id, op, row.key)
        return Request(
            command=command,
            merchant_id=asker.merchant_id,
            now=asker.now,
            request_id=name,
            body_hash=digest(told),
            actor=asker.actor,
        )

    def _meaning(self, row: _Earn | _Burn, card: int, at: datetime | None) -> _Meaning | None:
        """What the row asks for, and the body that a request over HTTP would have."""
        occurred_at = self._asker.now if at is None else at.astimezone(UTC)
        reference = row.reference
        if type(row) is _Burn:
            if not self._may_burn:
                return None
            burned = BurnBody(card=row.card, points=row.points, occurred_at=at, reference=reference)
            burn = Burn(card=card, points=row.points, occurred_at=occurred_at, reference=reference)
            return "burn", burn, burned
        assert type(row) is _Earn
        if not self._is_plain_earn(row):
            return None
        earned = EarnBody(
            card=row.card,
            amount=row.amount,
            currency=row.currency,
            points=row.points,
            occurred_at=at,
            reference=reference,
        )
        earn = Earn(
            card=card,
            occurred_at=occurred_at,
            amount=row.amount,
            points=row.points,
            reference=reference,
        )
        return "earn", earn, earned

    def _is_plain_earn(self, row: _Earn) -> bool:
        return (
            self._may_earn
            and (row.amount is None) != (row.points is None)
            and (row.currency is None or row.currency == self._currency)
        )

    def _time(self, text: str) -> datetime:
        """Raises ValueError unless it is well within bounds and spelt with the body's colons."""
        at = msgspec.convert(exact(text), _At)
        is_late = at > self._asker.now + CLOCK_DRIFT
        # The body spells UTC as Z, and any other offset with a colon; RFC 3339 is read more widely.
        colons = 3 if at.utcoffset() else 2
        if is_late or at < EARLIEST or text.count(":") != colons:
            raise ValueError(text)
        return at
