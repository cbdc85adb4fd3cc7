"""The coalition that is attacked: the one of the HTTP tests."""

from tests.coalition.api.conftest import prepared, serve, world

__all__ = ["prepared", "serve", "world"]
