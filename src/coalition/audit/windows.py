"""What is recorded where a window is closed, for whoever has settlement close one."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.audit.actor import Actor
from coalition.audit.store import record
from settlement.service import Note
from settlement.window import Window


def noting_closes(actor: Actor, now: datetime) -> Note:
    """What settlement calls with each window that it closes, inside the transaction of that."""

    async def note(connection: AsyncConnection, window: Window, ends_at: datetime) -> None:
        await record(
            connection,
            actor,
            now,
            "window.close",
            window.label,
            before={"status": "open", "closes_at": window.closes_at},
            after={
                "status": "closed",
                "closes_at": ends_at,
                "early": ends_at < window.closes_at,
            },
        )

    return note
