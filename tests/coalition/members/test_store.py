"""Members and cards in the database, and who waits for whom."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition import migrations
from coalition.errors import CoalitionError, Code
from coalition.members import store
from coalition.members.card import make_card

NOW = datetime(2017, 3, 10, tzinfo=UTC)
NOTHING = store.Enrolment()
KEY = UUID(int=7)
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
    ann = store.Enrolment("m-1", "+86 10 1234", date(1990, 2, 28), "zh-CN")
    async with house.begin() as connection:
        made = await store.enrol(connection, ann, 0, NOW)
        row = (
            await connection.execute(
                text(
                    "select a.available, a.held, a.owed, c.status::text, m.external_ref, m.birthday"
                    " from member m join account a using (member_id) join card c using (member_id)"
                    " where c.card_number = :card"
                ),
                {"card": made.card},
            )
        ).one()
    assert tuple(row) == (0, 0, 0, "active", "m-1", date(1990, 2, 28))
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
            return await store.enrol(connection, store.Enrolment(ref), by, NOW)

    async with house.begin() as connection:
        await connection.execute(
            text("insert into merchant select 2, 'shop', name, currency, time_zone, joined_on,"
                 " suspended, terms, synced_at from merchant")
        )  # fmt: skip
    found = await asyncio.gather(*(enrol("m-1") for _ in range(4)))
    assert len({(one.member_id, one.card) for one in found}) == 1
    assert sorted(one.is_new for one in found) == [False, False, False, True]
    async with house.begin() as connection:
        new = await store.replace(connection, found[0].card, NOW)
    assert await enrol("m-1") == store.Enrolled(found[0].member_id, new, is_new=False)
    others = [await enrol("m-2"), await enrol("m-1", by=2)]
    assert [one.is_new for one in others] == [True, True]


async def test_members_that_share_a_reference_from_before_are_kept_and_the_first_is_answered(
    house: AsyncEngine,
) -> None:
    async with house.begin() as connection:
        await connection.execute(text("alter table member drop column repeats_ref"))
        await connection.execute(
            text("insert into member (member_id, enrolled_by, external_ref, enrolled_at)"
                 " values (8, 0, 'm-1', '2017-01-02'), (9, 0, 'm-1', '2017-01-01'),"
                 " (10, 0, null, '2017-01-01'), (11, 0, null, '2017-01-01')")
        )  # fmt: skip
        for member_id in (8, 9):
            await store._issue(connection, member_id, NOW)
    driver = await asyncpg.connect(house.url.set(drivername="postgresql").render_as_string(False))
    try:
        await driver.execute(_MIGRATION.read_text(encoding="utf-8"))
    finally:
        await driver.close()
    async with house.begin() as connection:
        done = await store.enrol(connection, store.Enrolment("m-1"), 0, NOW)
        assert (done.member_id, done.is_new) == (9, False)
        assert await connection.scalar(text("select count(*) from member")) == 4


async def test_another_body_under_the_same_request_is_refused(house: AsyncEngine) -> None:
    async with house.begin() as connection:
        await store.enrol(connection, NOTHING, 0, NOW, request_id=KEY, body_hash=1)
    with pytest.raises(CoalitionError) as refused:
        async with house.begin() as connection:
            await store.enrol(connection, NOTHING, 0, NOW, request_id=KEY, body_hash=2)
    assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_of_two_replacements_at_once_one_wins(house: AsyncEngine) -> None:
    made = await _enrol(house)

    async def replace() -> int | Code:
        try:
            async with house.begin() as connection:
                return await store.replace(connection, made.card, NOW)
        except CoalitionError as error:
            return error.code

    results = await asyncio.gather(replace(), replace())
    assert sorted(isinstance(result, Code) for result in results) == [False, True]
    assert Code.CARD_NOT_ACTIVE in results


async def test_a_card_is_blocked_after_the_movement_that_holds_its_account(
    house: AsyncEngine,
) -> None:
    made = await _enrol(house)

    async def block() -> None:
        async with house.begin() as connection:
            await store.set_blocked(connection, made.card, NOW, blocked=True)

    async with house.connect() as till:
        await till.execute(text("select from account for update"))
        blocking = asyncio.create_task(block())
        await asyncio.sleep(0.2)
        status = await till.scalar(text("select status::text from card"))
        assert (status, blocking.done()) == ("active", False)
        await till.rollback()
        await blocking
    async with house.connect() as connection:
        assert await connection.scalar(text("select status::text from card")) == "blocked"


async def test_a_card_number_that_is_taken_is_drawn_again(
    house: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _enrol(house)
    draws = iter([(first.card // 10) % 10**14, 4_711])
    monkeypatch.setattr("coalition.members.store.secrets.randbelow", lambda _: next(draws))
    second = await _enrol(house)
    assert second.card == make_card(4_711)


async def test_an_unknown_card_cannot_be_blocked_or_replaced(house: AsyncEngine) -> None:
    async with house.begin() as connection:
        with pytest.raises(CoalitionError) as refused:
            await store.replace(connection, make_card(3), NOW)
    assert refused.value.code is Code.UNKNOWN_CARD
