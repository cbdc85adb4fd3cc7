"""Keys in the database: two in use a merchant, scopes, rotation, and no secret anywhere."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.errors import CoalitionError, Code
from coalition.keys import store as key_store
from coalition.keys.key import ParsedKey, is_match
from coalition.keys.store import StoredKey
from coalition.terms.store import sync
from coalition.terms.terms import HouseTerms, Terms

PEPPER = b"pepper"
NOW = datetime(2017, 3, 10, 4, 0, tzinfo=UTC)
ZONE = "Asia/Shanghai"
HOUSE = HouseTerms("House", "CNY", ZONE, date(2017, 1, 1), "FREQ=MONTHLY;BYMONTHDAY=1")
TELECOM = Terms("telecom", "Telecom", "CNY", ZONE, date(2017, 1, 1))


@pytest.fixture
async def synced(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await sync(connection, HOUSE, [TELECOM], NOW)
    return engine


async def create(
    engine: AsyncEngine,
    merchant: str = "telecom",
    scopes: Collection[str] = ("earn", "burn"),
    *,
    live: bool = True,
) -> ParsedKey:
    async with engine.begin() as connection:
        return await key_store.create(
            connection,
            pepper=PEPPER,
            merchant=merchant,
            scopes=scopes,
            live=live,
            label="till 7",
            now=NOW,
        )


async def rotate(engine: AsyncEngine, merchant: str = "telecom") -> ParsedKey:
    async with engine.begin() as connection:
        return await key_store.rotate(connection, pepper=PEPPER, merchant=merchant, now=NOW)


async def revoke(engine: AsyncEngine, key_id: str, now: datetime = NOW) -> StoredKey:
    async with engine.begin() as connection:
        return await key_store.revoke(connection, key_id, now)


async def find(engine: AsyncEngine, key_id: str, now: datetime = NOW) -> StoredKey | None:
    async with engine.begin() as connection:
        return (await key_store.find_all(connection, [key_id], now)).get(key_id)


async def test_a_key_is_found_by_its_id_and_matches_by_its_secret(synced: AsyncEngine) -> None:
    key = await create(synced, live=False)
    stored = await find(synced, key.key_id)
    assert stored is not None
    assert (stored.merchant, stored.merchant_id, stored.slot) == ("telecom", 2, 1)
    assert stored.scopes == {"earn", "burn"}
    assert (stored.is_live, stored.label, stored.created_at) == (False, "till 7", NOW)
    assert is_match(PEPPER, key, stored.secret_hmac)
    assert await find(synced, "0" * 12) is None


async def test_no_secret_is_stored_or_shown(synced: AsyncEngine) -> None:
    key = await create(synced)
    async with synced.begin() as connection:
        row = (await connection.execute(text("select cast(k as text) from api_key k"))).scalar_one()
        (listed,) = await key_store.list_keys(connection)
    assert key.key_id in row
    assert key.secret not in row
    assert key.secret.encode().hex() not in row
    assert "hmac" not in repr(listed)


async def test_a_key_is_rotated_under_load_and_a_third_is_refused(synced: AsyncEngine) -> None:
    first = await create(synced, live=False)
    second = await rotate(synced)
    old, new = await find(synced, first.key_id), await find(synced, second.key_id)
    assert old is not None
    assert new is not None
    assert (old.slot, new.slot) == (1, 2)
    assert (new.scopes, new.is_live, new.label) == (old.scopes, old.is_live, old.label)
    for another in (rotate(synced), create(synced)):
        with pytest.raises(CoalitionError) as error:
            await another
        assert error.value.code is Code.LIMIT_REACHED
        assert error.value.detail == (
            f"telecom has two keys in use, {first.key_id} and {second.key_id}: "
            "revoke one of them first"
        )
    await revoke(synced, first.key_id)
    third = await find(synced, (await rotate(synced)).key_id)
    assert third is not None
    assert third.slot == 1


async def test_a_revoked_key_is_listed_and_not_found(synced: AsyncEngine) -> None:
    key = await create(synced)
    assert (await revoke(synced, key.key_id)).revoked_at == NOW
    again = await revoke(synced, key.key_id, NOW + timedelta(days=1))
    assert again.revoked_at == NOW
    assert await find(synced, key.key_id) is None
    async with synced.begin() as connection:
        assert [one.key_id for one in await key_store.list_keys(connection)] == [key.key_id]


@pytest.mark.parametrize(
    ("merchant", "scopes", "code", "says"),
    [
        ("telecom", ["earn", "house"], Code.INVALID, "only the house's own keys"),
        ("telecom", [], Code.INVALID, "at least one scope of earn, burn, transfer"),
        ("telecom", ["earn", "eat"], Code.INVALID, "eat: no such scope; the scopes are earn,"),
        ("pool", ["earn"], Code.INVALID, "the pool asks for nothing"),
        ("nobody", ["earn"], Code.NOT_FOUND, "there is no merchant 'nobody'"),
    ],
)
async def test_a_key_that_may_not_be_is_refused(
    synced: AsyncEngine, merchant: str, scopes: list[str], code: Code, says: str
) -> None:
    with pytest.raises(CoalitionError, match=says) as error:
        await create(synced, merchant, scopes)
    assert error.value.code is code


async def test_the_house_may_have_the_scope_house(synced: AsyncEngine) -> None:
    key = await create(synced, "house", ["house", "statements"])
    stored = await find(synced, key.key_id)
    assert stored is not None
    assert (stored.merchant_id, stored.scopes) == (0, frozenset({"house", "statements"}))


async def test_without_a_key_there_is_nothing_to_rotate_or_revoke(synced: AsyncEngine) -> None:
    with pytest.raises(CoalitionError, match="no key in use to rotate: create one"):
        await rotate(synced)
    with pytest.raises(CoalitionError, match="no key with the id 'nothing'"):
        await revoke(synced, "nothing")


async def test_of_many_keys_made_at_once_two_are_made(synced: AsyncEngine) -> None:
    made = await asyncio.gather(*(create(synced) for _ in range(6)), return_exceptions=True)
    refusals = [one for one in made if isinstance(one, CoalitionError)]
    assert len(refusals) == 4
    assert {one.code for one in refusals} == {Code.LIMIT_REACHED}


@pytest.mark.parametrize("spoil", [lambda key: key, lambda key: key[:-1], lambda key: key + "x"])
async def test_a_whole_key_is_revoked_by_the_id_in_it(
    synced: AsyncEngine, spoil: Callable[[str], str]
) -> None:
    made = await create(synced)
    assert (await revoke(synced, spoil(made.text))).revoked_at == NOW


async def test_whatever_is_taken_for_an_id_no_secret_is_said_again(synced: AsyncEngine) -> None:
    made = await create(synced)
    for sent in (made.text.replace(made.key_id, "0" * 12), made.secret, f"coal-live-{made.text}"):
        with pytest.raises(CoalitionError) as refused:
            await revoke(synced, sent)
        assert refused.value.code is Code.NOT_FOUND
        assert made.secret[:13] not in refused.value.detail


async def test_who_names_no_merchant_is_told_the_codes_there_are(synced: AsyncEngine) -> None:
    with pytest.raises(CoalitionError) as refused:
        await create(synced, "nobody")
    assert refused.value.code is Code.NOT_FOUND
    assert "there are house, telecom;" in refused.value.detail


async def test_a_key_is_good_until_the_end_of_its_day_where_the_merchant_is(
    synced: AsyncEngine,
) -> None:
    key = await create(synced)
    async with synced.begin() as connection:
        changed = await key_store.expire(connection, key.key_id, date(2017, 3, 10), NOW)
    assert changed.expires_on == date(2017, 3, 10)
    last = datetime(2017, 3, 10, 15, 59, tzinfo=UTC)
    assert await find(synced, key.key_id, last) is not None
    assert await find(synced, key.key_id, last + timedelta(minutes=1)) is None


async def test_a_day_that_is_past_where_the_merchant_is_ends_no_key(synced: AsyncEngine) -> None:
    key = await create(synced)
    late = datetime(2017, 3, 10, 16, 0, tzinfo=UTC)
    async with synced.begin() as connection:
        with pytest.raises(CoalitionError, match="2017-03-11 or later"):
            await key_store.expire(connection, key.key_id, date(2017, 3, 10), late)
        await key_store.expire(connection, key.key_id, date(2017, 3, 11), late)
        await key_store.expire(connection, key.key_id, None, late)
        await key_store.revoke(connection, key.key_id, late)
        with pytest.raises(CoalitionError, match="is revoked"):
            await key_store.expire(connection, key.key_id, None, late)


async def test_a_key_past_its_day_makes_room_for_another(synced: AsyncEngine) -> None:
    first, _ = await create(synced), await create(synced)
    async with synced.begin() as connection:
        await key_store.expire(connection, first.key_id, NOW.date(), NOW)
    with pytest.raises(CoalitionError, match="two keys in use"):
        await create(synced)
    later = NOW + timedelta(days=1)
    async with synced.begin() as connection:
        await key_store.rotate(connection, pepper=PEPPER, merchant="telecom", now=later)
        assert (await key_store.find(connection, first.key_id)).revoked_at == later
