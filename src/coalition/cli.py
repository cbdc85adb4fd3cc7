"""The command `coalition`: one line for each thing an operator does. The work is in commands/."""

import click

from coalition.commands.audit import show_audit
from coalition.commands.batch import post_file
from coalition.commands.importing import import_history
from coalition.commands.keys import keys
from coalition.commands.merchants import merchants
from coalition.commands.people import people
from coalition.commands.privacy import privacy
from coalition.commands.rewards import rewards
from coalition.commands.sealing import seal
from coalition.commands.serving import (
    demo_year,
    jobs_forever,
    migrate_database,
    serve,
)
from coalition.commands.shared import example
from coalition.commands.verifying import verify_ledger
from coalition.commands.windows import statement, windows


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "coalition demo",
        "coalition serve",
        "coalition keys create telecom --scopes earn,burn,members",
    ),
)
@click.version_option(package_name="coalition")
def main() -> None:
    """A clearing house for a coalition of merchants that share one points currency and one card.

    Without DATABASE_URL everything runs on an embedded PostgreSQL in COALITION_DATA (./.coalition).
    """


for command in (
    demo_year,
    serve,
    jobs_forever,
    migrate_database,
    merchants,
    keys,
    people,
    windows,
    statement,
    post_file,
    import_history,
    rewards,
    privacy,
    seal,
    show_audit,
    verify_ledger,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
