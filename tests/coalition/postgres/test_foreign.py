"""A server that is not ours is asked how it is set up."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.owner import owner

from coalition.postgres.foreign import dangers, readers, settings_far_off


async def test_a_server_made_for_little_is_told_by_setting_found_and_wanted(
    engine: AsyncEngine,
) -> None:
    # The tests' own server is such a one.
    async with engine.connect() as connection:
        told = await settings_far_off(connection)
    assert [(one.setting, one.found) for one in told] == [
        ("shared_buffers", "64MB"),
        ("max_wal_size", "256MB"),
        ("checkpoint_timeout", "5min"),
    ]
    assert all(one.wanted for one in told)


async def test_a_role_that_owns_the_tables_is_told_and_the_applications_own_is_not(
    engine: AsyncEngine,
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    async with engine.connect() as connection:
        assert await dangers(connection, url) == []
    async with owner(engine).connect() as connection:
        [told] = await dangers(connection, url)
    assert told.startswith("the role coalition_owner owns the tables")


@pytest.mark.parametrize(
    ("is_elsewhere", "is_encrypted", "mode", "tells"),
    [
        (True, False, "", "without TLS"),
        (True, False, "?sslmode=disable", "without TLS"),
        (True, True, "?sslmode=require", "nobody checks"),
        (True, True, "?sslmode=verify-full", ""),
        (False, False, "", ""),
    ],
)
def test_a_way_that_others_can_read_along_is_told(
    is_elsewhere: bool, is_encrypted: bool, mode: str, tells: str
) -> None:
    url = f"postgresql+asyncpg://me@db/points{mode}"
    told = readers(url, is_elsewhere=is_elsewhere, is_encrypted=is_encrypted)
    assert tells in (told or "")
    assert bool(told) == bool(tells)
