"""What the settlement routes answer: windows, paths, positions, and who sees which of them."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from coalition.api.answers import utc
from coalition.edge.access import Caller
from settlement.documents.text import price_text
from settlement.obligation import PathLine, Result
from settlement.window import Window


class WindowOut(msgspec.Struct, frozen=True):
    window: str
    opens_at: datetime
    closes_at: datetime
    status: str


class WindowPage(msgspec.Struct, frozen=True):
    items: tuple[WindowOut, ...]
    next_cursor: str | None


class PathOut(msgspec.Struct, frozen=True):
    """about names the earlier window that a correction (negative points) or a late item is of."""

    origin: str
    redeemer: str
    kind: str
    points: int
    price: str
    amount: int
    currency: str
    about: str | None


class PathPage(msgspec.Struct, frozen=True):
    items: tuple[PathOut, ...]
    next_cursor: str | None


class PositionOut(msgspec.Struct, frozen=True):
    """In minor units; positive: owed to the party. closing = opening + net - instructed."""

    party: str
    receivable: int
    payable: int
    net: int
    currency: str
    opening: int
    instructed: int
    closing: int


class PositionPage(msgspec.Struct, frozen=True):
    items: tuple[PositionOut, ...]
    next_cursor: str | None


class CloseOut(msgspec.Struct, frozen=True):
    """What a window came to. dry_run: what it would come to; nothing was stored."""

    window: str
    dry_run: bool
    positions: tuple[PositionOut, ...]


def window_out(window: Window) -> WindowOut:
    return WindowOut(window.label, utc(window.opens_at), utc(window.closes_at), window.status)


def close_out(label: str, result: Result, *, is_dry_run: bool) -> CloseOut:
    return CloseOut(label, is_dry_run, tuple(_positions(result)))


def positions_out(result: Result, caller: Caller) -> list[PositionOut]:
    """All positions for the house, its own for a merchant."""
    return [at for at in _positions(result) if caller.is_house or at.party == caller.code]


def paths_out(result: Result, caller: Caller) -> list[PathOut]:
    """All paths for the house; for a merchant those of its points and those to its till."""
    if caller.is_house:
        return [_path(line) for line in result.paths]
    # What an origin pays for its point is between it and the house; a redeemer reads its own price.
    seen = [line for line in result.paths if line.origin == caller.code]
    seen += [line for line in result.tills if line.redeemer == caller.code]
    return [_path(line) for line in sorted(seen, key=lambda line: line.path_no)]


def _path(line: PathLine) -> PathOut:
    return PathOut(
        line.origin,
        line.redeemer,
        line.kind,
        line.quantity,
        price_text(line.price),
        line.amount,
        line.currency,
        line.about,
    )


def _positions(result: Result) -> Iterable[PositionOut]:
    for at in result.positions:
        yield PositionOut(
            at.party,
            at.receivable,
            at.payable,
            at.net,
            at.currency,
            at.opening,
            at.instructed,
            at.closing,
        )
