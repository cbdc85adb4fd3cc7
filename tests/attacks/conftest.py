"""The small coalition behind a real application that the tests of the API have (world, serve)."""

from tests.coalition.api.conftest import prepared, serve, world

__all__ = ["prepared", "serve", "world"]
