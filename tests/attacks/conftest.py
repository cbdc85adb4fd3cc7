"""The small coalition behind a real application, for those who attack it."""

from tests.coalition.api.conftest import prepared, serve, world

__all__ = ["prepared", "serve", "world"]
