"""A window's digest: over what it came to, and the sum of its movements' digests.

Chained to the window before, and printed on statements. The database adds up; no movement and no
line travels. Its lines are hashed one by one and their hashes added up, so that no window is too
large for it: what they have to be follows from legs and lots, which `coalition verify` holds.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.sealing.digests import PART_SQL, added, digest

_WHAT = "window 1"
# From this format of statements on a window gets its digest when it is netted.
_FORMAT_MIN = 3

_WINDOWS = """
select window_id, label, digest, statement_format,
       netted_at >= (select begins_at from sealing) as is_since
from settlement_window where netted_at is not null order by window_id
"""
_DIGEST_OF = "select digest from settlement_window where window_id = :window_id"
_SET_DIGEST = "update settlement_window set digest = :digest where window_id = :window_id"
# Whoever is told to sum up a window that was netted before digests were counts those made since.
_EARLIER = """
union all select e.digest from earlier_digest e join posting p using (member_id, posting_no)
where p.window_id = :window_id
"""
_MOVEMENTS = f"""
select count(*), sum({PART_SQL.format("digest")})
from (select digest from posting where window_id = :window_id and digest is not null {{}}) d
"""
# Times as the session's zone writes them, which database.create_engine sets to UTC.
_RESULTS = f"""
select jsonb_build_object(
    'window', (select jsonb_build_object(
            'window_id', window_id, 'label', label, 'opens_at', opens_at, 'closes_at', closes_at,
            'closed_at', closed_at, 'netted_at', netted_at, 'rule_version', rule_version,
            'statement_format', statement_format, 'opens_offset_s', opens_offset_s,
            'closes_offset_s', closes_offset_s)
        from settlement_window where window_id = :window_id),
    'terms', (select jsonb_agg(jsonb_build_array(merchant_id, terms_no) order by merchant_id)
        from window_terms where window_id = :window_id),
    'positions', (select jsonb_agg(jsonb_build_array(
            party_id, party_name, currency, receivable, payable, net, opening, instructed, closing)
            order by party_id, currency)
        from position where window_id = :window_id),
    'passed_nets', (select jsonb_agg(jsonb_build_array(
            party_id, debtor_id, creditor_id, amount, currency) order by party_id, currency)
        from passed_net where window_id = :window_id),
    'paths', (select jsonb_build_array(count(*), sum({PART_SQL.format("sha256(line)")}))
        from (select convert_to(cast(row(
                  origin_id, redeemer_id, kind, about_window_id, points, debtor_id, creditor_id,
                  price, amount, currency, reason, onward_id, onward_reason) as text), 'UTF8')
              as line from path where window_id = :window_id) lines))
"""


class _Netted(NamedTuple):
    window_id: int
    label: str
    digest: bytes | None
    statement_format: int
    is_since: bool

    @property
    def is_sealed_later(self) -> bool:
        """Whether it was netted before digests were, so that `coalition seal` gives it one."""
        return self.statement_format < _FORMAT_MIN


async def seal_window(connection: AsyncConnection, window_id: int, key: bytes) -> None:
    """Give a window that is just netted its digest."""
    before: bytes | None = await connection.scalar(text(_DIGEST_OF), {"window_id": window_id - 1})
    is_later: Any = await connection.scalar(
        text(
            "select statement_format < :format from settlement_window where window_id = :window_id"
        ),
        {"format": _FORMAT_MIN, "window_id": window_id},
    )
    content = await _content(connection, window_id, is_sealed_later=bool(is_later))
    found = digest(key, _WHAT, before, content)
    await connection.execute(text(_SET_DIGEST), {"digest": found, "window_id": window_id})


async def seal_earlier_windows(connection: AsyncConnection, key: bytes) -> list[str]:
    """Give each window that was netted before digests were its digest, the oldest first; labels.

    Their movements have their digests by then.
    """
    sealed = []
    for window in await _netted(connection):
        if window.digest is None and window.is_sealed_later:
            await seal_window(connection, window.window_id, key)
            sealed.append(window.label)
    return sealed


async def false_windows(connection: AsyncConnection, key: bytes) -> AsyncIterator[str]:
    """Each netted window that is not what it was closed with, by its digest; read in order."""
    before: _Netted | None = None
    for window in await _netted(connection):
        befores = [before.digest if before else None]
        if before is not None and before.is_sealed_later and not window.is_sealed_later:
            # Where it was netted before the earlier ones were sealed, the chain began with it.
            befores.append(None)
        if window.digest is not None:
            content = await _content(
                connection, window.window_id, is_sealed_later=window.is_sealed_later
            )
            if all(window.digest != digest(key, _WHAT, one, content) for one in befores):
                yield f"window {window.label}, or one of its movements, or the window before it"
        elif window.is_since or not window.is_sealed_later or befores != [None]:
            yield f"window {window.label} has no digest"
        before = window


async def unsealed_windows(connection: AsyncConnection) -> int:
    """How many netted windows wait for `coalition seal`."""
    return sum(one.digest is None for one in await _netted(connection))


async def _netted(connection: AsyncConnection) -> list[_Netted]:
    return [_Netted(*row) for row in await connection.execute(text(_WINDOWS))]


async def _content(connection: AsyncConnection, window_id: int, *, is_sealed_later: bool) -> bytes:
    values = {"window_id": window_id}
    movements = _MOVEMENTS.format(_EARLIER if is_sealed_later else "")
    count, total = (await connection.execute(text(movements), values)).one()
    results: str = await connection.scalar(text(f"select cast(({_RESULTS}) as text)"), values)
    return f"{count} {added(int(total or 0))}\n{results}".encode()
