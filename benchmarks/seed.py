"""A coalition to measure on: merchants with terms and keys, members with cards, lots and journal.

Everything but the secrets follows from a member's number, so that two runs measure the same. The
rows satisfy `coalition verify`. Load is made elsewhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
from rich.progress import Progress

from benchmarks.place import Place, connected, create_database, settle, without_triggers
from coalition.clearing.service import ensure_first_window
from coalition.database import create_engine
from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.keys import store as key_store
from coalition.members.card import make_card
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms

MEMBERS_PER_STEP = 20_000
# The first two numbers are the house's and the pool's.
FIRST_MERCHANT_ID = 2
# Odd and no multiple of 5, so that different members have different accounts below 10^14; card
# numbers are spread as drawn ones are.
SPREAD = 61_803_398_874_989
# 0 to 20 lots a member, spread by Knuth's multiplicative hash.
LOTS = "((i * 2654435761 / 65536) % 21)"
POINTS = "(100 + (i % 9) * 50)"

_MEMBERS = """
insert into member (member_id, enrolled_by, enrolled_at)
select i, {first} + i % $3, $4::timestamptz from generate_series($1::bigint, $2::bigint) i
"""
_ACCOUNTS = f"""
insert into account (member_id, available, last_no, expires_next_on)
select i, {LOTS} * {POINTS}, 2 * {LOTS},
       case when {LOTS} > 0 then
           (date_trunc('month', $3::date + (14 + i % 14)::int) + interval '25 months')::date - 1
       end
from generate_series($1::bigint, $2::bigint) i
"""
_POSTINGS = f"""
insert into posting (member_id, posting_no, kind, merchant_id, card_number, change,
    available_after, occurred_at, recorded_at, window_id, amount, request_id, body_hash, reference)
select i, 2 * k - 1, 'earn', {{first}} + (i * 31 + k * 17) % $3, c.card_number, {POINTS},
       k * {POINTS}, at, at, 1, {POINTS} * 100, md5(i || '-' || k)::uuid, i, 'seed-' || k
from generate_series($1::bigint, $2::bigint) i
join card c on c.member_id = i
cross join lateral generate_series(1, {LOTS}) k
cross join lateral (select ($4::date + (k * 14 + i % 14)::int)::timestamptz) t (at)
"""
_LOT_ROWS = f"""
insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,
    earned_on, expires_on, window_id)
select i, 2 * k, 2 * k - 1, {{first}} + (i * 31 + k * 17) % $3, 'purchase', {POINTS}, {POINTS},
       on_day, on_day, (date_trunc('month', on_day) + interval '25 months')::date - 1, 1
from generate_series($1::bigint, $2::bigint) i
cross join lateral generate_series(1, {LOTS}) k
cross join lateral (select $4::date + (k * 14 + i % 14)::int) d (on_day)
"""
_SECONDARY = """
select i.indexdef, i.indexname from pg_indexes i
where i.schemaname = 'public' and i.tablename in ('posting', 'lot')
  and not exists (select from pg_constraint c where c.conname = i.indexname)
"""


@dataclass(frozen=True, slots=True)
class Town:
    """A seeded database and what a till needs to know of it.

    cards and keys are files with one a line. large: it is the big one, too long to look at twice.
    """

    database: str
    members: int
    merchants: int
    cards: Path
    keys: Path


def house_terms(today: date) -> HouseTerms:
    """One window that holds all that is seeded and all that is measured."""
    return HouseTerms(
        name="House",
        currency="CNY",
        time_zone="UTC",
        first_window_on=today.replace(year=today.year - 1, month=1, day=1),
        window_rule="FREQ=YEARLY;INTERVAL=20",
    )


def merchant_terms(count: int, joined_on: date) -> list[Terms]:
    """Merchants with three rates each, points that lapse, a limit, and a price of their own."""
    return [
        Terms(
            code=f"m{number:04d}",
            name=f"Merchant {number}",
            currency="CNY",
            time_zone="UTC",
            joined_on=joined_on,
            rates=(
                Rate("*", Decimal(1), 100),
                Rate("food", Decimal(2), 100),
                Rate("fuel", Decimal("0.5"), 100),
            ),
            validity=Validity(months=24, until_month_end=True),
            prices=(
                Price(
                    f"m{number:04d}",
                    None,
                    joined_on,
                    burn_price=Decimal("0.01") + Decimal(number) / 1_000_000,
                ),
            ),
            points_per_earn_max=1_000_000,
        )
        for number in range(count)
    ]


async def sync_merchants(place: Place, name: str, house: HouseTerms, terms: list[Terms]) -> None:
    """The merchants and the first window, as `coalition merchants sync` makes them."""
    engine = create_engine(place.url(name), place.seal_key, pool_size=1)
    try:
        async with engine.begin() as connection:
            await sync(connection, house, terms, datetime.now(UTC))
            await ensure_first_window(connection, house)
    finally:
        await engine.dispose()


async def make_keys(place: Place, name: str, terms: list[Terms], *, house: bool = False) -> Path:
    """A key for each merchant, or for the house, in a file with one a line, in their order."""
    engine = create_engine(place.url(name), place.seal_key, pool_size=1)
    keys = []
    try:
        async with engine.begin() as connection:
            for code in ("house",) if house else (one.code for one in terms):
                key = await key_store.create(
                    connection,
                    pepper=place.pepper.encode(),
                    merchant=code,
                    scopes=("house",) if house else ("earn", "burn", "members", "statements"),
                    live=True,
                    label="benchmark",
                    now=datetime.now(UTC),
                )
                keys.append(key.text)
    finally:
        await engine.dispose()
    path = place.folder / f"{name}.keys"
    path.write_text("\n".join(keys) + "\n")
    return path


def card_of(member_id: int) -> int:
    """The one card of a seeded member."""
    return make_card(member_id * SPREAD % 10**14)


async def make_town(place: Place, name: str, members: int, merchants: int) -> Town:
    """A database with so many members, each with 0 to 20 open lots, and keys for all merchants."""
    today = datetime.now(UTC).date()
    house = house_terms(today)
    terms = merchant_terms(merchants, house.first_window_on)
    await create_database(place, name, migrated=True)
    await sync_merchants(place, name, house, terms)
    keys = await make_keys(place, name, terms)
    cards = place.folder / f"{name}.cards"
    with Progress(console=place.console, transient=True) as progress:
        task = progress.add_task(f"Seeding {members:,} members", total=members)
        async with connected(place, name) as connection, without_triggers(connection):
            await _fill(connection, members, merchants, today, lambda n: progress.advance(task, n))
            await settle(connection)
    with cards.open("w") as file:
        file.writelines(f"{card_of(member)}\n" for member in range(1, members + 1))
    return Town(name, members, merchants, cards, keys)


async def _fill(
    connection: asyncpg.Connection,
    members: int,
    merchants: int,
    today: date,
    on_step: Callable[[int], None],
) -> None:
    # Made once at the end: a random index that grows row by row would take most of the time.
    indexes = await connection.fetch(_SECONDARY)
    for index in indexes:
        await connection.execute(f'drop index "{index["indexname"]}"')
    base = today - timedelta(days=310)
    enrolled_at = datetime.combine(base, datetime.min.time(), UTC)
    for first, last in _steps(members):
        await connection.execute(_first(_MEMBERS), first, last, merchants, enrolled_at)
        await connection.copy_records_to_table(
            "card",
            columns=("card_number", "member_id", "issued_at"),
            records=((card_of(i), i, enrolled_at) for i in range(first, last + 1)),
        )
        await connection.execute(_ACCOUNTS, first, last, base)
        if first == 1:
            await connection.execute("analyze card")
        await connection.execute(_first(_POSTINGS), first, last, merchants, base)
        await connection.execute(_first(_LOT_ROWS), first, last, merchants, base)
        on_step(last - first + 1)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute(
        "select setval(pg_get_serial_sequence('member', 'member_id'), $1)", members
    )


def _first(statement: str) -> str:
    return statement.format(first=FIRST_MERCHANT_ID)


def _steps(members: int) -> Iterator[tuple[int, int]]:
    for first in range(1, members + 1, MEMBERS_PER_STEP):
        yield first, min(first + MEMBERS_PER_STEP - 1, members)
