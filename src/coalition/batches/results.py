"""What became of each row: packed small while a file is posted, spelt out when somebody reads it.

Pure. An id is spelt at reading only, so that a file that nobody asks about costs no more than its
postings. Where the packed bytes are kept is store.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from coalition.ledger.commands import BurnAnswer, Done, EarnAnswer, Outcome, Refused, ReversalAnswer
from coalition.wire import ids

# (is replayed, prefix of the id, member, number, points), or (code, detail).
_Moved = tuple[bool, str, int, int, int]
_Not = tuple[str, str]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[list[object]])


class RowResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the results. row counts from 1, blank lines and a header left out.

    points is what the row moved: earned, burned or held, or given or taken back.
    """

    row: int
    status: str
    code: str | None = None
    detail: str | None = None
    id: str | None = None
    points: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    posted: int = 0
    replayed: int = 0
    refused: int = 0


def count(outcomes: Iterable[Outcome]) -> Counts:
    posted = replayed = refused = 0
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            refused += 1
        elif outcome.replayed:
            replayed += 1
        else:
            posted += 1
    return Counts(posted, replayed, refused)


def pack(outcomes: Sequence[Outcome]) -> bytes:
    """The outcomes of consecutive rows, some 20 bytes a posted row."""
    return _encoder.encode([_packed(outcome) for outcome in outcomes])


def _packed(outcome: Outcome) -> _Moved | _Not:
    if not isinstance(outcome, Done):
        return outcome.code.value, outcome.detail
    answer = outcome.answer
    match answer:
        case EarnAnswer():
            return outcome.replayed, ids.EARN, answer.member_id, answer.earn_no, answer.points
        case BurnAnswer():
            return outcome.replayed, ids.BURN, answer.member_id, answer.burn_no, answer.points
        case ReversalAnswer():
            prefix, number = ids.REVERSAL, answer.reversal_no
            return outcome.replayed, prefix, answer.member_id, number, answer.points
    raise AssertionError(f"no row asks for what {answer} answers")


def unpack(first_row: int, packed: bytes) -> Iterator[RowResult]:
    """The results that pack() made of the rows from first_row on."""
    for row, fields in enumerate(_decoder.decode(packed), start=first_row):
        if len(fields) == 2:
            code, detail = fields
            yield RowResult(row, "refused", code=str(code), detail=str(detail))
            continue
        is_replayed, prefix, member_id, number, points = fields
        assert isinstance(prefix, str)
        assert isinstance(member_id, int)
        assert isinstance(number, int)
        assert isinstance(points, int)
        status = "replayed" if is_replayed else "posted"
        yield RowResult(row, status, id=ids.encode(prefix, member_id, number), points=points)
