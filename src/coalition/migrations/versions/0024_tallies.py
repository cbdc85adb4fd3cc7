"""Rules of earning with a memory, as the .sql file beside this one says it."""

from pathlib import Path

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run the script on the driver's own connection: asyncpg prepares one statement at a time."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    adapted = op.get_bind().connection.dbapi_connection
    assert adapted is not None
    adapted.run_async(lambda driver: driver.execute(script))
