"""Runs all that `coalition verify` checks, and names each row that breaks a rule."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.seal import false_windows
from coalition.clearing.service import differs
from coalition.database import raw
from coalition.ledger.proof import false_digests
from coalition.sealing.history import PRICES, TERMS, false_rows
from coalition.sealing.key import key_of
from coalition.verify.memory import MEMORY
from coalition.verify.rewards import REWARDS
from coalition.verify.rules import RULES
from coalition.verify.sides import SIDES
from coalition.verify.validity import VALIDITY

MOVEMENTS = "every movement is what was posted, after the one before it"
AGREED = "every price, and all terms, are what was recorded, after what was before it"
WINDOWS = "every closed window is what it was closed with, after the one before it"
BREACHES_MAX = 100


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that breaks a rule."""

    rule: str
    row: str


async def verify(
    connection: AsyncConnection,
    *,
    on_rule: Callable[[str], None] = lambda says: None,
    on_movements: Callable[[int], None] = lambda count: None,
) -> list[Breach]:
    """Check every rule and every digest, and that every closed window still comes to what it was
    closed with.

    on_rule is told each rule before it is checked, on_movements how many more of the movements'
    digests are done. At most BREACHES_MAX rows are named a rule.
    """
    breaches: list[Breach] = []
    for rule in (*RULES, *SIDES, *VALIDITY, *MEMORY, *REWARDS):
        on_rule(rule.says)
        rows = await connection.execute(
            text(f"select * from ({rule.statement}) found limit {BREACHES_MAX}")
        )
        breaches += [Breach(rule.says, row[0]) for row in rows]
    on_rule(MOVEMENTS)
    false = false_digests(await raw(connection), key_of(connection), on_movements)
    breaches += await _first(MOVEMENTS, false)
    on_rule(AGREED)
    for history in (PRICES, TERMS):
        false_ones = await false_rows(connection, history, key_of(connection))
        breaches += [Breach(AGREED, row) for row in false_ones[:BREACHES_MAX]]
    on_rule(WINDOWS)
    breaches += await _first(WINDOWS, false_windows(connection, key_of(connection)))
    labels = await connection.scalars(
        text("select label from settlement_window where netted_at is not null order by window_id")
    )
    for label in labels.all():
        says = f"window {label} is what its ledger rows come to"
        on_rule(says)
        breaches += [Breach(says, difference) for difference in await differs(connection, label)]
    return breaches


async def _first(says: str, rows: AsyncIterator[str]) -> list[Breach]:
    """At most BREACHES_MAX of them, but all of them are read."""
    breaches: list[Breach] = []
    async for row in rows:
        if len(breaches) < BREACHES_MAX:
            breaches.append(Breach(says, row))
    return breaches
