"""What an attack is made against: the small coalition of the API's tests, behind a real app."""

from tests.coalition.api.conftest import prepared, serve, world

__all__ = ["prepared", "serve", "world"]
