"""What a GET answers about cards, burns and lots: the structs, and how the read side becomes them.

What a caller may see of each is decided here, where it is shown.
"""

from datetime import date, datetime
from typing import Literal

import msgspec

from coalition.api.answers import CollectOut, card_text, rule_said, utc
from coalition.edge.access import Caller
from coalition.ledger.read import BurnView, CardView, HistoryLine, LegOfBurn, LotView
from coalition.terms.book import Book
from coalition.wire import ids


class OriginOut(msgspec.Struct, frozen=True):
    origin: str
    points: int


class PendingOut(msgspec.Struct, frozen=True):
    """`on` is the first day on which these points can be burned."""

    on: date
    points: int


class ExpiringOut(msgspec.Struct, frozen=True):
    """`on` is the last day these points are good."""

    on: date
    points: int


class CardOut(msgspec.Struct, frozen=True):
    """A card and what its member has. held is reserved and in neither available nor origins; nor is
    pending, which can be burned from the days in pending_from on. expiring has both.

    owed: what the next points of that origin pay first. A card that was replaced shows zeros and
    empty lists: what its member has is the new card's to show.
    """

    card: str
    status: Literal["active", "blocked", "replaced"]
    available: int
    held: int
    tier: str | None
    origins: tuple[OriginOut, ...]
    expiring: tuple[ExpiringOut, ...]
    owed: tuple[OriginOut, ...]
    pending: int
    pending_from: tuple[PendingOut, ...]


class HistoryOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A movement. points is signed: what it did to the balance, pending points included.

    imported, which is there only where it is true: it came with the history that the coalition
    brought along before it began. by, where it is known: who asked for it, such as key:<id>. A
    merchant sees its own keys there only, the house everybody.
    """

    type: str
    id: str
    at: datetime
    merchant: str
    points: int
    reference: str | None
    imported: bool = False
    by: str | None = None


class HistoryPage(msgspec.Struct, frozen=True):
    items: tuple[HistoryOut, ...]
    next_cursor: str | None


class BurnLegOut(msgspec.Struct, frozen=True):
    """earned_at and earn_reference are there for the caller's own origin only, and only where the
    caller gave the points itself.
    """

    lot_id: str
    origin: str
    points: int
    earned_at: datetime | msgspec.UnsetType = msgspec.UNSET
    earn_reference: str | msgspec.UnsetType | None = msgspec.UNSET


class LegWrittenOut(msgspec.Struct, frozen=True):
    """A leg as a burn, hold, capture, void or reversal (movement) wrote it, for ever.

    points is negative where they went back. window is where the leg is settled, null while it is
    held only; about names the earlier window it belongs to. business_date is the day whose price
    counts.
    """

    lot_id: str
    origin: str
    movement: str
    points: int
    at: datetime
    business_date: date
    window: str | None
    about: str | None


class BurnViewOut(msgspec.Struct, frozen=True):
    """A burn as it stands: legs are what is left, and add up to points - returned.

    history is every leg that was written for it, in order: what a line of a closed window counts.
    """

    burn_id: str
    card: str | None
    merchant: str
    kind: str
    status: Literal["held", "posted", "voided"]
    points: int
    returned: int
    legs: tuple[BurnLegOut, ...]
    history: tuple[LegWrittenOut, ...]
    occurred_at: datetime
    recorded_at: datetime
    hold_expires_at: datetime | None
    reference: str | None
    window: str | None
    reward: str | msgspec.UnsetType = msgspec.UNSET
    quantity: int | msgspec.UnsetType = msgspec.UNSET
    collect: CollectOut | msgspec.UnsetType = msgspec.UNSET


class LotLegOut(msgspec.Struct, frozen=True):
    """points is negative where the movement gave points back."""

    burn_id: str
    redeemer: str
    kind: str
    points: int
    at: datetime
    window: str | None


class LotViewOut(msgspec.Struct, frozen=True):
    """A lot and every leg that took from it: points = remaining + the sum of its legs.

    rule names the rule that gave it. earn_id is null where no earn made it, or another merchant's.
    """

    lot_id: str
    origin: str
    kind: str
    points: int
    remaining: int
    earned_at: datetime
    expires_on: date | None
    active_from: date | None
    earn_id: str | None
    rule: str | None
    window: str
    legs: tuple[LotLegOut, ...]


def card_out(card: int, view: CardView, book: Book) -> CardOut:
    if view.status == "replaced":
        return CardOut(card_text(card), "replaced", 0, 0, None, (), (), (), 0, ())
    origins = ((book.codes[origin_id], points) for origin_id, points in view.origins.items())
    owed = ((book.codes[origin_id], points) for origin_id, points in view.owed.items())
    return CardOut(
        card=card_text(card),
        status=view.status,  # type: ignore[arg-type]  # the column's enum has these values
        available=view.available,
        held=view.held,
        tier=view.tier,
        origins=tuple(OriginOut(code, points) for code, points in sorted(origins)),
        expiring=tuple(ExpiringOut(on, points) for on, points in view.expiring.items()),
        owed=tuple(OriginOut(code, points) for code, points in sorted(owed)),
        pending=view.pending,
        pending_from=tuple(PendingOut(on, points) for on, points in view.pending_from.items()),
    )


# What a line of the history names: its own earn, burn, ...; a capture and a void name their burn.
_NAMED = {
    "earn": ids.EARN,
    "burn": ids.BURN,
    "hold": ids.BURN,
    "capture": ids.BURN,
    "void": ids.BURN,
    "use_voucher": ids.BURN,
    "cancel_voucher": ids.REVERSAL,
    "expire": ids.BURN,
    "reverse_earn": ids.REVERSAL,
    "reverse_burn": ids.REVERSAL,
    "transfer_out": ids.TRANSFER,
    "transfer_in": ids.TRANSFER,
}


def history_out(member_id: int, line: HistoryLine, book: Book) -> HistoryOut:
    is_about_burn = line.kind in ("capture", "void", "use_voucher") and line.target_no is not None
    number = line.target_no if is_about_burn and line.target_no is not None else line.posting_no
    return HistoryOut(
        type=line.kind,
        id=ids.encode(_NAMED[line.kind], member_id, number),
        at=utc(line.occurred_at),
        merchant=book.codes[line.merchant_id],
        points=line.change,
        reference=line.reference,
        imported=line.imported,
        by=line.actor,
    )


def burn_view_out(
    member_id: int, burn_no: int, view: BurnView, caller: Caller, book: Book
) -> BurnViewOut:
    return BurnViewOut(
        burn_id=ids.encode(ids.BURN, member_id, burn_no),
        card=None if view.card is None else card_text(view.card),
        merchant=book.codes[view.redeemer_id],
        kind=view.kind,
        status=view.status,  # type: ignore[arg-type]  # the column's enum has these values
        points=view.points,
        returned=view.returned,
        legs=tuple(_leg(member_id, leg, caller, book) for leg in view.legs),
        history=tuple(
            LegWrittenOut(
                lot_id=ids.encode(ids.LOT, member_id, leg.lot_no),
                origin=book.codes[leg.origin_id],
                movement=leg.movement,
                points=leg.points,
                at=utc(leg.at),
                business_date=leg.on,
                window=leg.window,
                about=leg.about,
            )
            for leg in view.history
        ),
        occurred_at=utc(view.occurred_at),
        recorded_at=utc(view.recorded_at),
        hold_expires_at=None if view.hold_expires_at is None else utc(view.hold_expires_at),
        reference=view.reference,
        window=view.window,
        reward=msgspec.UNSET if view.reward is None else view.reward,
        quantity=msgspec.UNSET if view.quantity is None else view.quantity,
        collect=msgspec.UNSET if view.store is None else CollectOut(view.store),
    )


def _leg(member_id: int, leg: LegOfBurn, caller: Caller, book: Book) -> BurnLegOut:
    lot_id, origin = ids.encode(ids.LOT, member_id, leg.lot_no), book.codes[leg.origin_id]
    # When and where a member shops at another merchant is that merchant's to know.
    if not caller.is_house and (leg.origin_id != caller.merchant_id or leg.is_paid):
        return BurnLegOut(lot_id, origin, leg.points)
    return BurnLegOut(lot_id, origin, leg.points, utc(leg.earned_at), leg.earn_reference)


def lot_view_out(
    member_id: int, lot_no: int, view: LotView, caller: Caller, book: Book
) -> LotViewOut:
    earn_no = view.earn_no
    # Who pays for points that another merchant gave knows the points, not the purchase.
    if not caller.is_house and view.earned_with != caller.merchant_id:
        earn_no = None
    return LotViewOut(
        lot_id=ids.encode(ids.LOT, member_id, lot_no),
        origin=book.codes[view.origin_id],
        kind=view.kind,
        points=view.points,
        remaining=view.remaining,
        earned_at=utc(view.earned_at),
        expires_on=view.expires_on,
        active_from=view.active_from,
        earn_id=None if earn_no is None else ids.encode(ids.EARN, member_id, earn_no),
        rule=rule_said(view.rule, view.kind),
        window=view.window,
        legs=tuple(
            LotLegOut(
                burn_id=ids.encode(ids.BURN, member_id, leg.burn_no),
                redeemer=book.codes[leg.redeemer_id],
                kind=leg.kind,
                points=leg.points,
                at=utc(leg.at),
                window=leg.window,
            )
            for leg in view.legs
        ),
    )
