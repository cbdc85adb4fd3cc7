"""Cards in the database: who may change one, what is remembered, and who waits for whom."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner

from coalition.errors import CoalitionError, Code
from coalition.members import cards, store
from coalition.members.card import make_card

NOW = datetime(2017, 3, 10, tzinfo=UTC)
KEY = UUID(int=7)
HOUSE, GROCER, FUEL = 0, 2, 3


@pytest.fixture
async def shops(engine: AsyncEngine) -> AsyncEngine:
    """The house, the grocer and the fuel station."""
    async with engine.begin() as connection:
        for merchant_id, code in ((HOUSE, "house"), (GROCER, "grocer"), (FUEL, "fuel")):
            await connection.execute(
                text(
                    "insert into merchant values (:id, :code, 'x', 'CNY', 'UTC', '2017-01-01',"
                    " false, '{}', now())"
                ),
                {"id": merchant_id, "code": code},
            )
    return engine


async def _enrol(engine: AsyncEngine, by: int = HOUSE) -> store.Enrolled:
    async with engine.begin() as connection:
        return await store.enrol(connection, store.Enrolment(), by, NOW)


async def _replace(
    engine: AsyncEngine, card: int, by: int, key: UUID | None = None, body: int | None = None
) -> cards.Replacement | Code:
    try:
        async with engine.begin() as connection:
            return await cards.replace(connection, card, by, NOW, request_id=key, body_hash=body)
    except CoalitionError as error:
        return error.code


async def test_of_two_replacements_at_once_one_wins(shops: AsyncEngine) -> None:
    made = await _enrol(shops)
    results = await asyncio.gather(*(_replace(shops, made.card, HOUSE) for _ in range(2)))
    assert sorted(isinstance(result, Code) for result in results) == [False, True]
    assert Code.CARD_NOT_ACTIVE in results


async def test_the_same_replacement_issues_one_number_however_many_ask_at_once(
    shops: AsyncEngine,
) -> None:
    made = await _enrol(shops)
    asked = (_replace(shops, made.card, HOUSE, KEY, 1) for _ in range(4))
    found = [one for one in await asyncio.gather(*asked) if isinstance(one, cards.Replacement)]
    assert len(found) == 4
    assert len({one.card for one in found}) == 1
    assert sorted(one.replayed for one in found) == [False, True, True, True]
    async with shops.connect() as connection:
        assert await connection.scalar(text("select count(*) from card")) == 2


async def test_one_key_replaces_one_card_also_when_two_are_asked_for_at_once(
    shops: AsyncEngine,
) -> None:
    one, two = await _enrol(shops), await _enrol(shops)
    results = await asyncio.gather(
        _replace(shops, one.card, HOUSE, KEY, 1), _replace(shops, two.card, HOUSE, KEY, 2)
    )
    assert Code.IDEMPOTENCY_KEY_REUSED in results
    assert sum(isinstance(result, cards.Replacement) for result in results) == 1
    async with shops.connect() as connection:
        # The other member's card is in use still.
        used = "select count(distinct member_id) from card where status = 'active'"
        assert await connection.scalar(text(used)) == 2


async def test_a_card_says_who_issued_it_and_who_blocked_it_when(shops: AsyncEngine) -> None:
    made = await _enrol(shops, GROCER)
    async with shops.begin() as connection:
        await cards.block(connection, made.card, GROCER, NOW)
        await cards.replace(connection, made.card, HOUSE, NOW)
        rows = await connection.execute(
            text("select issued_by, status::text, blocked_by, blocked_at from card order by status")
        )
        assert [tuple(row) for row in rows] == [
            (HOUSE, "active", None, None),
            (GROCER, "replaced", GROCER, NOW),
        ]


async def test_a_card_from_before_is_its_enrollers_and_unblocked_by_the_house_alone(
    shops: AsyncEngine,
) -> None:
    made = await _enrol(shops, GROCER)
    async with owner(shops).begin() as connection:
        # Written before there were these columns, which nobody may change since.
        await connection.execute(text("alter table card disable trigger card_issue_is_history"))
        await connection.execute(text("update card set issued_by = null, status = 'blocked'"))
    async with shops.begin() as connection:
        with pytest.raises(CoalitionError):
            await cards.unblock(connection, made.card, GROCER, NOW)
        assert await cards.unblock(connection, made.card, HOUSE, NOW) == "active"
    assert isinstance(await _replace(shops, made.card, GROCER), cards.Replacement)


async def test_a_familiar_card_is_one_whose_member_was_enrolled_or_served(
    shops: AsyncEngine,
) -> None:
    made = await _enrol(shops, GROCER)

    async def is_familiar(card: int, by: int) -> bool:
        async with shops.connect() as connection:
            return await cards.is_familiar(connection, card, by)

    assert await is_familiar(made.card, GROCER)
    # Not even to the house: a card is looked up by its number alone.
    assert not await is_familiar(made.card, HOUSE)
    assert not await is_familiar(make_card(3), GROCER)
    new = await _replace(shops, made.card, GROCER)
    assert isinstance(new, cards.Replacement)
    assert await is_familiar(new.card, GROCER)


async def test_a_card_is_blocked_after_the_movement_that_holds_its_account(
    shops: AsyncEngine,
) -> None:
    made = await _enrol(shops)

    async def block() -> None:
        async with shops.begin() as connection:
            await cards.block(connection, made.card, HOUSE, NOW)

    async with shops.connect() as till:
        await till.execute(text("select from account for update"))
        blocking = asyncio.create_task(block())
        await asyncio.sleep(0.2)
        status = await till.scalar(text("select status::text from card"))
        assert (status, blocking.done()) == ("active", False)
        await till.rollback()
        await blocking
    async with shops.connect() as connection:
        assert await connection.scalar(text("select status::text from card")) == "blocked"


async def test_a_card_number_that_is_taken_is_drawn_again(
    shops: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _enrol(shops)
    draws = iter([(first.card // 10) % 10**14, 4_711])
    monkeypatch.setattr("coalition.members.cards.secrets.randbelow", lambda _: next(draws))
    monkeypatch.setattr(store, "draw_member_id", lambda: 12)
    second = await _enrol(shops)
    assert second.card == make_card(4_711)


async def test_an_unknown_card_cannot_be_changed(shops: AsyncEngine) -> None:
    assert await _replace(shops, make_card(3), HOUSE) is Code.UNKNOWN_CARD
    async with shops.begin() as connection:
        for change in (
            cards.block(connection, make_card(3), HOUSE, NOW),
            cards.unblock(connection, make_card(3), HOUSE, NOW),
        ):
            with pytest.raises(CoalitionError) as refused:
                await change
            assert refused.value.code is Code.UNKNOWN_CARD


@pytest.mark.parametrize(
    "change",
    [
        "update card set status = 'active' where status = 'replaced'",
        "update card set issued_by = 3",
        "update card set request_id = null, body_hash = null",
        "update card set blocked_by = 3, blocked_at = now() where status = 'active'",
        "update card set blocked_at = null where status = 'replaced'",
    ],
)
async def test_the_database_itself_keeps_what_became_of_a_card(
    shops: AsyncEngine, change: str
) -> None:
    made = await _enrol(shops, GROCER)
    async with shops.begin() as connection:
        await cards.block(connection, made.card, GROCER, NOW)
    assert isinstance(await _replace(shops, made.card, GROCER, KEY, 1), cards.Replacement)
    with pytest.raises(IntegrityError):
        async with owner(shops).begin() as connection:
            await connection.execute(text(change))
