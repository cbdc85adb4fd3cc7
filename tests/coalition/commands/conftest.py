"""Terminals: on a bare migrated database, and on one where the alliance is synced."""

import pytest
from tests.coalition.commands.terminal import ALLIANCE, Type, typing


@pytest.fixture
def bare(database_url: str) -> Type:
    """Migrated; no merchant is known."""
    return typing(database_url)


@pytest.fixture
def terminal(bare: Type) -> Type:
    """The alliance is synced, and everything that is due is closed."""
    bare("merchants", "sync", ALLIANCE)
    bare("windows", "close", "--all")
    return bare
