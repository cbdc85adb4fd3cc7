"""coalition audit: who changed a card, a key, a merchant or a window, when and from where."""

from datetime import UTC, datetime, timedelta

import click
import msgspec

from coalition.audit import store
from coalition.audit.store import Act
from coalition.commands.shared import example, opened, runs

_SHOWN = timedelta(days=7)
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


@click.command("audit", epilog=example("coalition audit", "coalition audit --since 2026-11-01"))
@click.option(
    "--since",
    type=click.DateTime(_FORMATS),
    help="A day, or a minute such as 2026-11-01T09:30, in UTC.  [default: seven days ago]",
)
@runs
async def show_audit(since: datetime | None) -> None:
    """Show every change of a card, PIN, key, merchant, window or person, one a line, oldest first.

    Over HTTP the house reads the same at /v1/audit.
    """
    moment = datetime.now(UTC) - _SHOWN if since is None else since.replace(tzinfo=UTC)
    async with opened() as (engine, _), engine.connect() as connection:
        acts = await store.since(connection, moment)
    if not acts:
        click.echo(f"Nothing was changed since {moment:%Y-%m-%d %H:%M}Z.")
        return
    for act in acts:
        click.echo(_line(act))


def _line(act: Act) -> str:
    at = act.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    of_member = "" if act.member_id is None else f" of member {act.member_id}"
    who = " ".join(filter(None, (act.actor or "not-known", act.place)))
    return (
        f"{at} {who} {act.action} {act.object}{of_member} {_told(act.before)} -> {_told(act.after)}"
    )


def _told(fields: dict[str, object] | None) -> str:
    return msgspec.json.encode(fields).decode()
