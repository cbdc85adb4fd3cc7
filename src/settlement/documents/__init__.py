"""A statement as a file, one format a module: each turns the same rows into the same bytes.

FORMATS is the one table of them: a format more is a module here, a row there, and a test. Each has
a number, and a window's statements stay in the number that they were issued in: a change of any
byte is a number more, and the modules of the one before move into a room of their own (v1/, v2/).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from settlement.documents import csv_file, json_file, xlsx_file
from settlement.documents.v1 import csv_file as csv_file_1
from settlement.documents.v1 import json_file as json_file_1
from settlement.documents.v1 import xlsx_file as xlsx_file_1
from settlement.documents.v2 import csv_file as csv_file_2
from settlement.documents.v2 import json_file as json_file_2
from settlement.documents.v2 import xlsx_file as xlsx_file_2
from settlement.statement import Statement

BOM = b"\xef\xbb\xbf"

Render = Callable[[Statement], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """How a statement becomes a file, and what such a file is called on the web.

    renders holds a way for each number that statements were ever issued in.
    """

    renders: Mapping[int, Render]
    media_type: str
    may_have_bom: bool = False


# By the ending of the file's name.
FORMATS = {
    "json": Format(
        {1: json_file_1.render, 2: json_file_2.render, 3: json_file.render}, "application/json"
    ),
    "csv": Format(
        {1: csv_file_1.render, 2: csv_file_2.render, 3: csv_file.render},
        "text/csv",
        may_have_bom=True,
    ),
    "xlsx": Format(
        {1: xlsx_file_1.render, 2: xlsx_file_2.render, 3: xlsx_file.render},
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
}


def write_document(statement: Statement, ending: str, *, bom: bool = False) -> bytes:
    """The statement of a netted window in one of FORMATS, in the number it was issued in.

    The same statement always gives the same bytes. bom puts UTF-8's byte order mark before them,
    which a spreadsheet needs to take a CSV file for UTF-8.
    """
    number = statement.window.statement_format
    assert number is not None, f"window {statement.window.label} is not netted"
    format_ = FORMATS[ending]
    assert format_.may_have_bom or not bom, f"{ending} has no byte order mark"
    content = format_.renders[number](statement)
    return BOM + content if bom else content
