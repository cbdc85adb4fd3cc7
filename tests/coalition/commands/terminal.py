"""The command line as somebody types it, against a test's own database."""

from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result
from tests.world import PEPPER

from coalition.cli import main

ALLIANCE = Path(__file__).parents[3] / "configs/merchants/alliance"

# Types a line after `coalition`; expects it to leave with this code, and never with a traceback.
Type = Callable[..., Result]


def typing(database_url: str, **environment: str) -> Type:
    """environment overrides; an empty value counts as not set."""
    base = {"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER, **environment}

    def type_(*words: object, leaves_with: int = 0) -> Result:
        told = CliRunner().invoke(main, [str(word) for word in words], env=base)
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        assert told.exit_code == leaves_with, told.output
        assert "Traceback" not in told.output
        return told

    return type_
