"""The coalition of the API's tests, which is what is attacked."""

from tests.coalition.api.conftest import prepared, serve, world

__all__ = ["prepared", "serve", "world"]
