"""Members in the database."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner

from coalition import migrations
from coalition.errors import CoalitionError, Code
from coalition.members import cards, store
from coalition.members.card import make_card
from coalition.privacy.store import seal_rest
from coalition.sealing.encryption import Keyring

NOW = datetime(2017, 3, 10, tzinfo=UTC)
NOTHING = store.Enrolment()
KEY = UUID(int=7)
RING = Keyring(b"a pepper of thirty-two bytes, yes")
_MIGRATION = Path(migrations.__file__).parent / "versions" / "0006_external_refs.sql"


@pytest.fixture
async def house(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "insert into merchant values (0, 'house', 'House', 'CNY', 'UTC', '2017-01-01',"
                " false, '{}', now())"
            )
        )
    return engine


async def _enrol(engine: AsyncEngine) -> store.Enrolled:
    async with engine.begin() as connection:
        return await store.enrol(connection, NOTHING, 0, NOW)


async def test_a_new_member_has_an_empty_account_and_an_active_card(house: AsyncEngine) -> None:
    ann = store.Enrolment("m-1", "+86101234567", date(1990, 2, 28), "zh-CN")
    async with house.begin() as connection:
        made = await store.enrol(connection, ann, 0, NOW, ring=RING)
        row = (
            await connection.execute(
                text(
                    "select a.available, a.held, a.owed, c.status::text, m.birth_month, m.locale"
                    " from member m join account a using (member_id) join card c using (member_id)"
                    " where c.card_number = :card"
                ),
                {"card": made.card},
            )
        ).one()
    assert tuple(row) == (0, 0, 0, "active", 2, "zh-CN")
    async with house.connect() as connection:
        assert await store.find_member(connection, made.card) == made.member_id
        assert await store.find_member(connection, make_card(3)) is None


async def test_the_same_request_enrols_one_member(house: AsyncEngine) -> None:
    async def enrol() -> store.Enrolled:
        async with house.begin() as connection:
            return await store.enrol(connection, NOTHING, 0, NOW, request_id=KEY, body_hash=-5)

    found = await asyncio.gather(*(enrol() for _ in range(4)))
    assert len({(one.member_id, one.card) for one in found}) == 1
    assert sorted(one.replayed for one in found) == [False, True, True, True]


async def test_a_merchants_reference_names_one_member_however_many_enrol_at_once(
    house: AsyncEngine,
) -> None:
    async def enrol(ref: str, by: int = 0) -> store.Enrolled:
        async with house.begin() as connection:
            return await store.enrol(connection, store.Enrolment(ref), by, NOW, ring=RING)

    async with house.begin() as connection:
        await connection.execute(
            text("insert into merchant select 2, 'shop', name, currency, time_zone, joined_on,"
                 " suspended, terms, synced_at from merchant")
        )  # fmt: skip
    found = await asyncio.gather(*(enrol("m-1") for _ in range(4)))
    assert len({(one.member_id, one.card) for one in found}) == 1
    assert sorted(one.is_new for one in found) == [False, False, False, True]
    async with house.begin() as connection:
        new = await cards.replace(connection, found[0].card, 0, NOW)
    assert await enrol("m-1") == store.Enrolled(found[0].member_id, new.card, is_new=False)
    others = [await enrol("m-2"), await enrol("m-1", by=2)]
    assert [one.is_new for one in others] == [True, True]


async def test_members_that_share_a_reference_from_before_are_kept_and_the_first_is_answered(
    house: AsyncEngine,
) -> None:
    async with owner(house).begin() as connection:
        await connection.execute(text("alter table member drop column repeats_ref"))
        await connection.execute(
            text("insert into member (member_id, enrolled_by, external_ref, enrolled_at)"
                 " values (8, 0, 'm-1', '2017-01-02'), (9, 0, 'm-1', '2017-01-01'),"
                 " (10, 0, null, '2017-01-01'), (11, 0, null, '2017-01-01')")
        )  # fmt: skip
        for member_id in (8, 9):
            await cards.issue(connection, member_id, 0, NOW)
    url = owner(house).url.set(drivername="postgresql")
    driver = await asyncpg.connect(url.render_as_string(False))
    try:
        await driver.execute(_MIGRATION.read_text(encoding="utf-8"))
    finally:
        await driver.close()
    async with owner(house).begin() as connection:
        # The column took the index of sealed references with it.
        await connection.execute(
            text("create unique index on member (enrolled_by, external_ref_digest)"
                 " where not repeats_ref")
        )  # fmt: skip
    assert await seal_rest(house, RING) == 2
    async with house.begin() as connection:
        done = await store.enrol(connection, store.Enrolment("m-1"), 0, NOW, ring=RING)
        assert (done.member_id, done.is_new) == (9, False)
        assert await connection.scalar(text("select count(*) from member")) == 4


async def test_another_body_under_the_same_request_is_refused(house: AsyncEngine) -> None:
    async with house.begin() as connection:
        await store.enrol(connection, NOTHING, 0, NOW, request_id=KEY, body_hash=1)
    with pytest.raises(CoalitionError) as refused:
        async with house.begin() as connection:
            await store.enrol(connection, NOTHING, 0, NOW, request_id=KEY, body_hash=2)
    assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_members_numbers_are_drawn_and_tell_no_order(house: AsyncEngine) -> None:
    numbers = [(await _enrol(house)).member_id for _ in range(20)]
    assert all(number >= 2**61 for number in numbers)
    assert numbers != sorted(numbers)


async def test_a_members_number_that_is_taken_is_drawn_again(
    house: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _enrol(house)
    draws = iter([first.member_id, first.member_id, 4_711])
    monkeypatch.setattr(store, "draw_member_id", lambda: next(draws))
    second = await _enrol(house)
    assert (second.member_id, second.is_new, second.replayed) == (4_711, True, False)
