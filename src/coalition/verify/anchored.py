"""What the anchors outside the database counted, and what of it the database still holds."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.sealing.anchors import BEGINS_AT, UNSEALED, Anchor, is_ours, lines_of
from coalition.sealing.digests import PART_SQL, added
from coalition.sealing.history import PRICES, TERMS, History

# How much lies between each two anchors; the last is what no anchor counts yet.
_BETWEEN = f"""
select width_bucket(mark, cast(:cuts as bigint[])), count(*), sum({PART_SQL.format("digest")})
from (select mark, digest from posting where digest is not null
      union all select mark, digest from earlier_digest) d
group by 1
"""
_SETTLED = "select mark_settled(), pg_is_in_recovery()"
_NAMED_MAX = 100
_WITHOUT = f"""
select p.member_id, p.posting_no from posting p where {UNSEALED} order by 1, 2 limit {_NAMED_MAX}
"""
_WINDOWS = "select label, encode(digest, 'hex') from settlement_window where digest is not null"
_DIGESTS = "select encode(digest, 'hex') from {table} where digest is not null"


class Anchors(NamedTuple):
    """The anchors that can be counted by, in order, and what is none."""

    lines: list[Anchor]
    false: list[str]


class Anchored(NamedTuple):
    """false: what falls short of an anchor, or is no anchor. last: the last one; None: none is.

    unprotected: how many movements no anchor counts yet.
    """

    false: list[str]
    last: Anchor | None
    unprotected: int


async def compare(connection: AsyncConnection, read: Anchors) -> Anchored:
    """Hold everything that anchors counted against the database.

    They were read before the connection's database transaction began, which sees all they count. A
    replica may be behind them: those it has not come to are left out.
    """
    false = list(read.false)
    settled, is_replica = (await connection.execute(text(_SETTLED))).one()
    anchors = [one for one in read.lines if settled is not None and one.until <= settled]
    if len(anchors) < len(read.lines) and not is_replica:
        ahead = read.lines[len(anchors)]
        false.append(
            f"{_named(ahead)} counts up to a transaction that this database has not come to: it "
            "was restored from before that, or it is another one"
        )
    cuts = [anchor.until for anchor in anchors]
    between: dict[int, tuple[int, int]] = {}
    # Movements without a mark (width_bucket answers null) have no digest of their own time.
    for place, count, total in await connection.execute(text(_BETWEEN), {"cuts": cuts}):
        between[place] = (count, added(int(total)))
    before: Anchor | None = None
    for place, anchor in enumerate(anchors):
        wanted = (
            anchor.count - (before.count if before else 0),
            added(anchor.total, -(before.total if before else 0)),
        )
        found = between.get(place, (0, 0))
        if found != wanted:
            false.append(_short(anchor, wanted[0], found[0]))
        before = anchor
    false += await _moved(connection, anchors) + await _stripped(connection, anchors)
    false += await _vanished(connection, anchors)
    return Anchored(false, before, between.get(len(cuts), (0, 0))[0])


def read_anchors(folder: Path, key: bytes) -> Anchors:
    """The anchors in a folder. To be read before what they are compared with."""
    anchors: list[Anchor] = []
    false: list[str] = []
    before: Anchor | None = None
    for place, anchor in lines_of(folder):
        if not is_ours(anchor, before, key):
            false.append(f"{place}: this anchor, or the one before it, is not as it was written")
        elif not anchors or anchor.until > anchors[-1].until:
            anchors.append(anchor)
        elif anchor.until == anchors[-1].until:
            # Nothing was posted in between; a window was closed.
            anchors[-1] = anchor
        before = anchor
    return Anchors(anchors, false)


def _short(anchor: Anchor, counted: int, found: int) -> str:
    at = _named(anchor)
    if counted == found:
        return f"{at} counted {counted} movements since the one before: they are not the same"
    return f"{at} counted {counted} movements since the one before: {found} are there"


def _named(anchor: Anchor) -> str:
    return f"the anchor of {anchor.at:%Y-%m-%d %H:%M:%S}Z"


async def _moved(connection: AsyncConnection, anchors: Sequence[Anchor]) -> list[str]:
    """Since when digests are, where an anchor knew of another moment: nothing older has to have
    one, so that whoever moves it on can invent what is older."""
    begins_at = await connection.scalar(text(BEGINS_AT))
    known = {one.begins_at: one for one in reversed(anchors) if one.begins_at is not None}
    return [
        f"{_named(one)}: digests are since {before} by it, and since {begins_at} by the database"
        for before, one in known.items()
        if before != begins_at
    ]


async def _stripped(connection: AsyncConnection, anchors: Sequence[Anchor]) -> list[str]:
    """Movements that pass for older than digests and have none, where an anchor knew of no such."""
    sealed = next((one for one in anchors if one.is_sealed), None)
    if sealed is None:
        return []
    return [
        f"posting {number} of member {member_id} has no digest, and all had one by {_named(sealed)}"
        for member_id, number in await connection.execute(text(_WITHOUT))
    ]


async def _vanished(connection: AsyncConnection, anchors: Sequence[Anchor]) -> list[str]:
    """Windows, prices and terms that an anchor knew of and that are not there."""
    rows = await connection.execute(text(_WINDOWS))
    there = {(label, digest) for label, digest in rows}
    known = {(one.window, one.window_digest): one for one in anchors if one.window}
    false = [
        f"window {label} had the digest {digest} by {_named(one)}"
        for (label, digest), one in known.items()
        if (label, digest) not in there
    ]
    false += await _gone(connection, PRICES, (one.price_digest for one in anchors))
    return false + await _gone(connection, TERMS, (one.terms_digest for one in anchors))


async def _gone(
    connection: AsyncConnection, history: History, known: Iterable[str | None]
) -> list[str]:
    there = set(await connection.scalars(text(_DIGESTS.format(table=history.table))))
    return [
        f"a row of {history.table}, with the digest {one}, is not there any more"
        for one in dict.fromkeys(known)
        if one is not None and one not in there
    ]
