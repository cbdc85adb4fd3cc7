"""The coalition that is attacked: the one of the HTTP tests, or of the tests of files (ledger)."""

from tests.coalition.api.conftest import prepared, serve, world
from tests.coalition.batches.test_posting import ledger

__all__ = ["ledger", "prepared", "serve", "world"]
