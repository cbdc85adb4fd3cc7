"""Writes every party's statement of every closed window, in every format: folder/window/party.csv.

What a statement says is settlement/statement.py, and a format's bytes are settlement/documents/.
"""

import asyncio
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from coalition.clearing.statements import read_statement
from settlement.documents import FORMATS, write_document


async def write_statements(
    connection: AsyncConnection,
    folder: Path,
    labels: Collection[str],
    parties: Collection[str],
    advance: Callable[[str, int], None],
) -> int:
    """Write a statement a closed window, party (a code) and format; how many files that is.

    A window's folder is emptied first, so that nothing of an earlier run stays. advance is told
    each window.
    """
    for label in labels:
        place = folder / label
        await asyncio.to_thread(_empty, place)
        for code in parties:
            statement = await read_statement(connection, label, code)
            for kind in FORMATS:
                content = write_document(statement, kind)
                await asyncio.to_thread((place / f"{code}.{kind}").write_bytes, content)
        advance("", 1)
    return len(labels) * len(parties) * len(FORMATS)


def _empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
