"""Writes every party's statement of every closed window, in every format: folder/window/party.csv.

What a statement says is settlement/statement.py, and a format's bytes are settlement/documents/.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from settlement.documents import FORMATS, write_document
from settlement.obligation import Result
from settlement.statement import build
from settlement.window import Window


def write_statements(
    folder: Path,
    results: Mapping[str, Result],
    windows: Mapping[str, Window],
    names: Mapping[str, str],
    advance: Callable[[str, int], None],
) -> int:
    """Write a statement a window, party and format; how many files that is.

    results and windows are by label; names maps the codes of all parties that get one. A window's
    folder is emptied first, so that nothing of an earlier run stays. advance is told each window.
    """
    count = 0
    for label, result in results.items():
        place = folder / label
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for code, name in names.items():
            statement = build(result, windows[label], code, name)
            for kind in FORMATS:
                (place / f"{code}.{kind}").write_bytes(write_document(statement, kind))
                count += 1
        advance("", 1)
    return count
