"""A statement as a file, one format a module: each turns the same tables into the same bytes."""

from typing import Literal, get_args

from settlement.statement import Statement

Format = Literal["json", "csv", "xlsx"]
FORMATS: tuple[Format, ...] = get_args(Format)


def write_document(statement: Statement, kind: Format) -> bytes:
    """The statement in one format. The same statement always gives the same bytes."""
    # Imported as needed: a server that is asked for CSV does not load the spreadsheet writer.
    if kind == "json":
        from settlement.documents import json_file as document
    elif kind == "csv":
        from settlement.documents import csv_file as document  # type: ignore[no-redef]
    else:
        from settlement.documents import xlsx_file as document  # type: ignore[no-redef]
    return document.render(statement)
