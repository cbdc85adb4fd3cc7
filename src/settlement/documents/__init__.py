"""A statement as a file, one format a module: each turns the same rows into the same bytes.

FORMATS is the one table of them: a format more is a module here, a row there, and a test.
"""

from collections.abc import Callable
from dataclasses import dataclass

from settlement.documents import csv_file, json_file, xlsx_file
from settlement.statement import Statement


@dataclass(frozen=True, slots=True)
class Format:
    """How a statement becomes a file, and what such a file is called on the web."""

    render: Callable[[Statement], bytes]
    media_type: str


# By the ending of the file's name.
FORMATS = {
    "json": Format(json_file.render, "application/json"),
    "csv": Format(csv_file.render, "text/csv"),
    "xlsx": Format(
        xlsx_file.render, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ),
}


def write_document(statement: Statement, ending: str) -> bytes:
    """The statement in one of FORMATS. The same statement always gives the same bytes."""
    return FORMATS[ending].render(statement)
