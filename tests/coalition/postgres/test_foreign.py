"""A server that is not ours is asked how it is set up."""

from sqlalchemy.ext.asyncio import AsyncEngine

from coalition.postgres.foreign import settings_far_off


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
