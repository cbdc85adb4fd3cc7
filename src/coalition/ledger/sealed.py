"""What of a movement its digest covers, and the digests of all that a group decided. Pure.

Covered are the posting, the lots that it made, the legs that it wrote, the burn that it made or
captured, what a reversal took back of each of several lots, and what rules counted of it, each
column by its name: one that a later migration adds is covered by itself, and as long as it holds
its default the digests of earlier rows stay right.

What may change after a row is written is left out, and follows from what is covered: what remains
of a lot, and until when it is good, from legs; a burn's status and what was returned, from postings
and legs; a hold's own day and window, which its capture gives it, and covers. The rules of
`coalition verify` hold these.

A card's number names a person, so that it is in no digest: whether the card is its member's is a
rule as well. member_id names nobody once the member's data are erased.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec
from msgspec.structs import replace

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.earned import Counted, ReversedLot
from coalition.ledger.state import Lot, Posting, State
from coalition.sealing.digests import movement_digest

# Of the way of writing below.
_VERSION = 1
_NO_DAY = date.min
_encode = msgspec.json.Encoder().encode

_Of = tuple[int, int]


def content_of(
    posting: Posting,
    lots: Sequence[Lot],
    burns: Sequence[BurnRow],
    legs: Sequence[Leg],
    back: Sequence[ReversedLot] = (),
    counted: Sequence[Counted] = (),
) -> bytes:
    """What a movement's digest is made over: the same bytes from what was decided and from rows.

    lots: those that it made, in order; burns: those that it made or captured, in order; legs: those
    that it wrote, in the order of leg_no; back: what it took back of several lots, in their order;
    counted: what rules counted of it, in the order of rule and span.
    """
    is_hold = posting.kind == "hold"
    return _encode(
        (
            _VERSION,
            replace(
                posting,
                card=None,
                occurred_at=_utc(posting.occurred_at),
                recorded_at=_utc(posting.recorded_at),
            ),
            [_lot(lot) for lot in lots],
            [_burn(burn, is_hold=is_hold) for burn in burns],
            [_held(leg) for leg in legs] if is_hold else legs,
            # Where there is none, it is written as it was before there ever were any.
            *((back,) if back or counted else ()),
            *((counted,) if counted else ()),
        )
    )


def seal(state: State, key: bytes) -> None:
    """Give every posting of a group its digest, each after its member's one before."""
    lots: dict[_Of, list[Lot]] = defaultdict(list)
    burns: dict[_Of, list[BurnRow]] = defaultdict(list)
    legs: dict[_Of, list[Leg]] = defaultdict(list)
    for lot in state.new_lots:
        lots[lot.member_id, lot.earn_no].append(lot)
    for burn in state.new_burns:
        burns[burn.member_id, burn.burn_no].append(burn)
    for leg in state.new_legs:
        legs[leg.member_id, leg.posting_no].append(leg)
    back: dict[_Of, list[ReversedLot]] = defaultdict(list)
    for one in state.new_reversed:
        back[one.member_id, one.posting_no].append(one)
    counted: dict[_Of, list[Counted]] = defaultdict(list)
    for count in sorted(state.new_counted, key=lambda count: (count.rule, count.span)):
        counted[count.member_id, count.posting_no].append(count)
    for posting in state.new_postings:
        member_id = posting.member_id
        member = state.changed_members[member_id]
        of = (member_id, posting.posting_no)
        made = burns.get(of, ())
        if posting.kind == "capture":
            assert posting.target_no is not None, "a capture is about a hold"
            made = [member.burns[posting.target_no], *made]
        content = content_of(
            posting,
            lots.get(of, ()),
            made,
            legs.get(of, ()),
            back.get(of, ()),
            counted.get(of, ()),
        )
        member.account.digest = movement_digest(key, member.account.digest, content)
        state.digests.append(member.account.digest)


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _lot(lot: Lot) -> Lot:
    return replace(
        lot,
        remaining=0,
        earned_at=_utc(lot.earned_at),
        expires_on=lot.granted_until,
        first_expires_on=None,
    )


def _burn(burn: BurnRow, *, is_hold: bool) -> BurnRow:
    at = burn.hold_expires_at
    same = replace(
        burn,
        returned=0,
        status="",
        hold_expires_at=None if at is None else _utc(at),
        card=None,
        occurred_at=None,
        legs=[],
    )
    return replace(same, points=0, occurred_on=_NO_DAY, window_id=None) if is_hold else same


def _held(leg: Leg) -> Leg:
    return replace(leg, occurred_on=_NO_DAY, window_id=None)
