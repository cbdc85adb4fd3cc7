"""What became of each row: packed small while a file is posted, spelt out when somebody reads it.

Pure. An id is spelt at reading only, so that a file that nobody asks about costs no more than its
postings. Where the packed bytes are kept is store.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from coalition.ledger.commands import BurnAnswer, Done, EarnAnswer, Outcome, Refused, ReversalAnswer
from coalition.wire import ids

# (is replayed, prefix of the id, member, number, points, key), or (code, detail, key). Those packed
# before results had keys lack it.
_Moved = tuple[bool, str, int, int, int, str | None]
_Not = tuple[str, str, str | None]
_REFUSED_WIDTHS = (2, 3)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[list[object]])


class RowResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the results. row counts from 1, blank lines and a header left out.

    points is what the row moved: earned, burned or held, or given or taken back. key is the row's,
    where it states one.
    """

    row: int
    status: str
    code: str | None = None
    detail: str | None = None
    id: str | None = None
    points: int | None = None
    key: str | None = None


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


def pack(outcomes: Sequence[Outcome], keys: Sequence[str | None]) -> bytes:
    """The outcomes of consecutive rows and their keys, some 20 bytes a posted row and its key."""
    packed = [_packed(outcome, key) for outcome, key in zip(outcomes, keys, strict=True)]
    return _encoder.encode(packed)


def _packed(outcome: Outcome, key: str | None) -> _Moved | _Not:
    if not isinstance(outcome, Done):
        return outcome.code.value, outcome.detail, key
    answer, replayed = outcome.answer, outcome.replayed
    match answer:
        case EarnAnswer():
            return replayed, ids.EARN, answer.member_id, answer.earn_no, answer.points, key
        case BurnAnswer():
            return replayed, ids.BURN, answer.member_id, answer.burn_no, answer.points, key
        case ReversalAnswer():
            prefix, number = ids.REVERSAL, answer.reversal_no
            return replayed, prefix, answer.member_id, number, answer.points, key
    raise AssertionError(f"no row asks for what {answer} answers")


def unpack(first_row: int, packed: bytes) -> Iterator[RowResult]:
    """The results that pack() made of the rows from first_row on."""
    for row, fields in enumerate(_decoder.decode(packed), start=first_row):
        if len(fields) in _REFUSED_WIDTHS:
            code, detail, *stated = fields
            key = _key(stated)
            yield RowResult(row, "refused", code=str(code), detail=str(detail), key=key)
            continue
        is_replayed, prefix, member_id, number, points, *stated = fields
        assert isinstance(prefix, str)
        assert isinstance(member_id, int)
        assert isinstance(number, int)
        assert isinstance(points, int)
        status = "replayed" if is_replayed else "posted"
        name = ids.encode(prefix, member_id, number)
        yield RowResult(row, status, id=name, points=points, key=_key(stated))


def _key(stated: Sequence[object]) -> str | None:
    key = stated[0] if stated else None
    assert key is None or isinstance(key, str)
    return key
