"""coalition rewards: load voucher codes that others made, and see which run low."""

from datetime import UTC, datetime
from pathlib import Path

import click

from coalition.audit.store import record
from coalition.commands.shared import (
    check_synced,
    example,
    opened,
    progress_bar,
    ring_of,
    runs,
    told,
    typed,
)
from coalition.jobs import tell_low_codes
from coalition.ledger.post import Ledger
from coalition.rewards.loading import add_codes, find_external, free_codes, read_codes

_AT_ONCE = 2_000


@click.group(epilog=example("coalition rewards load-codes retail gift-card codes.txt"))
def rewards() -> None:
    """Rewards: the voucher codes that come from outside."""


@rewards.command(
    "load-codes", epilog=example("coalition rewards load-codes retail gift-card codes.txt")
)
@click.argument("merchant")
@click.argument("reward")
@click.argument(
    "path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
def load_codes(merchant: str, reward: str, path: Path) -> None:
    """Load the codes in FILE, one a line, to be given out with REWARD of MERCHANT.

    They are kept sealed, and found by a keyed hash. A code that is there already is left as it is,
    so that a file may be loaded again.
    """
    with told():
        codes = read_codes(path.read_text(encoding="utf-8-sig"))
    _load(merchant, reward, codes)


@runs
async def _load(merchant: str, reward: str, codes: list[str]) -> None:
    now = datetime.now(UTC)
    async with opened() as (engine, settings):
        async with engine.connect() as connection:
            await check_synced(connection)
        ledger = Ledger(engine)
        await ledger.start()
        key = find_external(ledger.book, merchant, reward, now)
        added = 0
        with progress_bar() as bar:
            task = bar.add_task("Loading", total=len(codes), says="")
            for place in range(0, len(codes), _AT_ONCE):
                some = codes[place : place + _AT_ONCE]
                async with engine.begin() as connection:
                    new = await add_codes(connection, key, some, ring_of(settings), now)
                    after = {"merchant": merchant, "codes": new}
                    actor = typed("rewards")
                    await record(connection, actor, now, "codes.load", reward, after=after)
                added += new
                bar.update(task, advance=len(some))
        async with engine.connect() as connection:
            left = (await free_codes(connection)).get(key, 0)
    click.echo(f"{added} loaded, {len(codes) - added} were there already; {left} can be given out.")


@rewards.command("low", epilog=example("coalition rewards low"))
@runs
async def low() -> None:
    """Name each reward with fewer codes left than its terms want (voucher.low)."""
    async with opened() as (engine, _):
        found = await tell_low_codes(Ledger(engine), datetime.now(UTC))
    for one in found:
        click.echo(f"{one.merchant} {one.reward}: {one.left} codes are left, fewer than {one.low}")
    if not found:
        click.echo("No reward runs low of codes.")
