"""Anchors: how many movements there were, and the sum of their digests, noted outside the database.

A digest shows what was changed; what was taken away without a trace, the last movements of a member
with their account, is missed only by who remembers that it was there. So each minute a line goes to
a file that the database's owner cannot write. It counts what is there for good: the movements whose
mark lies below that of every database transaction that still runs.

A line is JSON: the count and the sum from the beginning, up to the mark `until`, the digests of the
last window, price and terms, and its own digest, over the line before, so that none can be made up.
Since when digests are stands there too, and whether all that is older is sealed: whatever somebody
invents could pass for older else.
A file holds a day (UTC), and is only ever appended to.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.sealing.digests import PART_SQL, added, digest
from coalition.sealing.history import PRICES, TERMS, latest

_WHAT = "anchor 1"
# One of several schedulers writes the anchor of a minute.
_ALONE = "select pg_try_advisory_xact_lock(hashtext('coalition anchor'))"
_SETTLED = "select mark_settled()"
SUMS = f"""
select count(*), coalesce(sum({PART_SQL.format("digest")}), 0)
from (select digest from posting where mark >= :since and mark < :until
      union all
      select digest from earlier_digest where mark >= :since and mark < :until) d
"""
_MOVE_ON = """
update sealing set mark_offset = mark_offset + behind.by
from (select 1 + greatest(
          cast(:anchored as bigint), (select max(mark) from posting),
          (select max(mark) from earlier_digest)) - mark_now() as by) behind
where behind.by > 1
"""
# Movements of before there were digests, and without one: `coalition seal` has not come to them.
# What was posted since digests are has one, or was stripped of it: that is not made good.
UNSEALED = """
p.digest is null and p.recorded_at < (select begins_at from sealing)
and not exists (select from earlier_digest e
                where e.member_id = p.member_id and e.posting_no = p.posting_no)
"""
_ALL_SEALED = f"select not exists (select from posting p where {UNSEALED})"
BEGINS_AT = "select cast(begins_at as text) from sealing"
_LAST_WINDOW = """
select label, digest from settlement_window where digest is not null
order by window_id desc limit 1
"""


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line. count and total (modulo 2^64) are of all movements whose mark is below `until`.

    The digests are hexadecimal; its own is over all the rest and the line before. begins_at is as
    PostgreSQL writes it, in UTC; None: the line is older than that was noted.
    is_sealed: there was no movement without a digest any more.
    """

    at: datetime
    until: int
    count: int
    total: int
    window: str | None = None
    window_digest: str | None = None
    price_digest: str | None = None
    terms_digest: str | None = None
    begins_at: str | None = None
    is_sealed: bool = False
    digest: str = ""


class AnchorError(Exception):
    """No anchor can be written: says why, and what would be right."""


_NOTHING = Anchor(datetime.min.replace(tzinfo=UTC), 0, 0, 0)


def lines_of(folder: Path) -> Iterator[tuple[str, Anchor]]:
    """Every line of a folder's files in order, with where it stands."""
    for path in _files(folder):
        yield from _lines(path)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ndjson"))


def _lines(path: Path) -> Iterator[tuple[str, Anchor]]:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        # What a crash tore, or was never a line, is missed by the line after it.
        with contextlib.suppress(msgspec.DecodeError):
            yield f"{path.name}, line {number}", msgspec.json.decode(line, type=Anchor)


def is_ours(anchor: Anchor, before: Anchor | None, key: bytes) -> bool:
    """Whether whoever has the key wrote this line after that one."""
    return anchor.digest == _digest(anchor, before, key)


async def write_anchor(
    connection: AsyncConnection, folder: Path, key: bytes, now: datetime
) -> Anchor | None:
    """Append an anchor of now, in a database transaction of its own; None where all was anchored
    before, or somebody else is at it. Raises AnchorError, and OSError for the file."""
    if not await connection.scalar(text(_ALONE)):
        return None
    lines = await asyncio.to_thread(_last_two, folder)
    before = lines[-1] if lines else None
    if before is not None and not is_ours(before, lines[0] if len(lines) == 2 else None, key):
        raise AnchorError(
            f"the last line in {folder} was not written under this pepper: set the pepper that it "
            "was written under, or move the folder away and keep it"
        )
    anchor = await _anchor(connection, before or _NOTHING, now)
    if anchor is None:
        return None
    anchor = msgspec.structs.replace(anchor, digest=_digest(anchor, before, key))
    await asyncio.to_thread(_append, folder, anchor)
    return anchor


async def _anchor(connection: AsyncConnection, before: Anchor, now: datetime) -> Anchor | None:
    until: int | None = await connection.scalar(text(_SETTLED))
    if until is None or until < before.until:
        raise AnchorError(
            "the database counts its transactions from before the last anchor, as one does that "
            "was restored: run coalition seal"
        )
    values = {"since": before.until, "until": until}
    count, total = (await connection.execute(text(SUMS), values)).one()
    window = (await connection.execute(text(_LAST_WINDOW))).one_or_none()
    anchor = Anchor(
        at=now,
        until=until,
        count=before.count + count,
        total=added(before.total, int(total)),
        window=window.label if window else None,
        window_digest=window.digest.hex() if window else None,
        price_digest=_hex(await latest(connection, PRICES)),
        terms_digest=_hex(await latest(connection, TERMS)),
        begins_at=await connection.scalar(text(BEGINS_AT)),
        # Asked until it is so, and never again: all of the journal is looked through for it.
        is_sealed=before.is_sealed or bool(await connection.scalar(text(_ALL_SEALED))),
    )
    same = msgspec.structs.replace(before, at=anchor.at, until=anchor.until, digest=anchor.digest)
    return None if anchor == same else anchor


async def move_marks_on(connection: AsyncConnection, folder: Path) -> bool:
    """Have marks go on behind all that were given and anchored; whether that changed anything.

    It does where the database was restored from a dump, and counts transactions from the beginning.
    """
    lines = await asyncio.to_thread(_last_two, folder)
    anchored = max((anchor.until for anchor in lines), default=0)
    moved = await connection.execute(text(_MOVE_ON), {"anchored": anchored})
    return bool(moved.rowcount)


async def check_seal(unsealed: int, folder: Path) -> None:
    """Raise AnchorError where so many movements wait for a seal, and an anchor says that none did.

    Whoever made them, or stripped them of their digests, would have them made good.
    """
    lines = await asyncio.to_thread(_last_two, folder)
    if unsealed and lines and lines[-1].is_sealed:
        raise AnchorError(
            f"all movements had digests by the anchors in {folder}, and {unsealed} movements have "
            "none: they are invented, or were stripped. coalition verify names them"
        )


def _last_two(folder: Path) -> list[Anchor]:
    files = _files(folder)
    lines: list[Anchor] = []
    while files and len(lines) < 2:
        lines = [anchor for _, anchor in _lines(files.pop())] + lines
    return lines[-2:]


def _digest(anchor: Anchor, before: Anchor | None, key: bytes) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(anchor, digest=""))
    previous = bytes.fromhex(before.digest) if before else None
    return digest(key, _WHAT, previous, content).hex()


def _append(folder: Path, anchor: Anchor) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The order of the files is that of their lines, also where a clock is set back.
    days = [path.stem for path in _files(folder)[-1:]]
    path = folder / f"{max([*days, f'{anchor.at:%Y-%m-%d}'])}.ndjson"
    with path.open("ab") as file:
        # After what a crash tore a line begins anew.
        torn = b"\n" if file.tell() and not path.read_bytes().endswith(b"\n") else b""
        file.write(torn + msgspec.json.encode(anchor) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _hex(found: bytes | None) -> str | None:
    return found.hex() if found else None
