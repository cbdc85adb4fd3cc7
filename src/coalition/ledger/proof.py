"""Every movement's digest made again from the ledger's rows, and compared with the one stored.

Read block by block, in the order of members, from the caller's one snapshot.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import asyncpg

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.earned import Counted, ReversedLot
from coalition.ledger.sealed import content_of
from coalition.ledger.state import Lot, Posting
from coalition.sealing.digests import movement_digest

_MEMBERS_A_BLOCK = 2_000

_LAST = """
select max(member_id) from (
    select member_id from account where member_id > $1 order by member_id limit $2) block
"""
_MEMBER_MAX = (1 << 63) - 1
_POSTING_COLUMNS = ", ".join(
    {"card": "p.card_number", "kind": "p.kind::text"}.get(name, f"p.{name}")
    for name in Posting.__struct_fields__
)
_POSTINGS = f"""
select p.digest, e.digest, {_POSTING_COLUMNS}
from posting p left join earlier_digest e using (member_id, posting_no)
where p.member_id > $1 and p.member_id <= $2 order by p.member_id, p.posting_no
"""
_NOT_A_COLUMN = {"card": "null", "occurred_at": "null", "legs": "null"}
_TEXTS = {"kind": "kind::text", "status": "status::text"}


def _columns_of(row: type[Lot | BurnRow | Leg | ReversedLot | Counted]) -> str:
    names = [name for name in row.__struct_fields__ if name != "legs"]
    missing = _NOT_A_COLUMN if row is BurnRow else {}
    return ", ".join(missing.get(name) or _TEXTS.get(name, name) for name in names)


_BLOCK = "where member_id > $1 and member_id <= $2 order by member_id"
_LOTS = f"select {_columns_of(Lot)} from lot {_BLOCK}, lot_no"
_BURNS = f"select {_columns_of(BurnRow)} from burn {_BLOCK}, burn_no"
_LEGS = f"select {_columns_of(Leg)} from leg {_BLOCK}, leg_no, lot_no"
_BACK = f"select {_columns_of(ReversedLot)} from reversed_lot {_BLOCK}, lot_no"
# The program and the database may sort texts in two ways.
_COUNTED = (
    f'select {_columns_of(Counted)} from counted {_BLOCK}, rule collate "C", span collate "C"'
)
_ACCOUNTS = f"select member_id, digest from account {_BLOCK}"

_Of = tuple[int, int]


class StoredPosting(NamedTuple):
    """A posting with what it wrote. digest: written with it; earlier: by `coalition seal`."""

    posting: Posting
    digest: bytes | None
    earlier: bytes | None
    lots: list[Lot]
    burns: list[BurnRow]
    legs: list[Leg]
    back: list[ReversedLot]
    counted: list[Counted]

    @property
    def content(self) -> bytes:
        return content_of(self.posting, self.lots, self.burns, self.legs, self.back, self.counted)


class MemberRows(NamedTuple):
    """Consecutive members: the digest of each account, and every posting in order."""

    accounts: dict[int, bytes | None]
    postings: list[StoredPosting]


async def blocks(driver: asyncpg.Connection) -> AsyncIterator[MemberRows]:
    """The whole ledger, member by member."""
    after = -1
    while after < _MEMBER_MAX:
        # Behind the last account may be rows that have none.
        last = await driver.fetchval(_LAST, after, _MEMBERS_A_BLOCK) or _MEMBER_MAX
        yield await read_block(driver, after, last)
        after = last


async def read_block(driver: asyncpg.Connection, after: int, last: int) -> MemberRows:
    """The members after `after`, up to `last`."""
    lots: dict[_Of, list[Lot]] = defaultdict(list)
    burns: dict[_Of, BurnRow] = {}
    legs: dict[_Of, list[Leg]] = defaultdict(list)
    for row in await driver.fetch(_LOTS, after, last):
        lots[row[0], row[2]].append(Lot(*row))
    for row in await driver.fetch(_BURNS, after, last):
        burns[row[0], row[1]] = BurnRow(*row)
    for row in await driver.fetch(_LEGS, after, last):
        legs[row[0], row[2]].append(Leg(*row))
    back: dict[_Of, list[ReversedLot]] = defaultdict(list)
    for row in await driver.fetch(_BACK, after, last):
        back[row[0], row[2]].append(ReversedLot(*row))
    counted: dict[_Of, list[Counted]] = defaultdict(list)
    for row in await driver.fetch(_COUNTED, after, last):
        counted[row[0], row[2]].append(Counted(*row))
    postings = []
    for digest, earlier, *columns in await driver.fetch(_POSTINGS, after, last):
        posting = Posting(*columns)
        of = (posting.member_id, posting.posting_no)
        about = (posting.member_id, posting.target_no or 0) if posting.kind == "capture" else None
        made = [burns[one] for one in (about, of) if one in burns]
        postings.append(
            StoredPosting(
                posting,
                digest,
                earlier,
                lots.get(of, []),
                made,
                legs.get(of, []),
                back.get(of, []),
                counted.get(of, []),
            )
        )
    accounts = {row[0]: row[1] for row in await driver.fetch(_ACCOUNTS, after, last)}
    return MemberRows(accounts, postings)


async def false_digests(
    driver: asyncpg.Connection, key: bytes, on_progress: Callable[[int], None]
) -> AsyncIterator[str]:
    """Each posting whose digest does not follow from the rows, each account that names another
    than its last. on_progress: postings done."""
    async for block in blocks(driver):
        for false in _in_block(block, key):
            yield false
        on_progress(len(block.postings))


def _in_block(block: MemberRows, key: bytes) -> Iterator[str]:
    latest: dict[int, bytes] = {}
    sealed_later: set[int] = set()
    for stored in block.postings:
        member_id, number = stored.posting.member_id, stored.posting.posting_no
        before = latest.get(member_id)
        what = f"posting {number} of member {member_id}"
        found = stored.digest or stored.earlier
        if found is None:
            if before is not None:
                yield f"{what} has no digest, and the one before it has"
            continue
        if stored.digest is not None and stored.earlier is not None:
            yield f"{what} has two digests, one of them as if it had been posted without"
        befores = [before]
        if stored.digest is not None and member_id in sealed_later:
            # Where it was posted before the earlier ones were sealed, the chain began with it.
            befores.append(None)
            sealed_later.discard(member_id)
        if stored.digest is None:
            sealed_later.add(member_id)
        content = stored.content
        if not any(found == movement_digest(key, one, content) for one in befores):
            yield f"{what}, or what it wrote, is not what was posted after the one before it"
        latest[member_id] = found
    for member_id, at in block.accounts.items():
        if at != latest.get(member_id):
            yield f"member {member_id}: its account knows of another last posting than its rows"
