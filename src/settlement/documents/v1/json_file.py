"""Format 1 of a statement's JSON: the fields of format 2, with times in UTC."""

from datetime import datetime

from settlement.documents.v2 import json_file
from settlement.statement import Statement


def render(statement: Statement) -> bytes:
    """UTF-8, fields in a fixed order: the same statement gives the same bytes."""
    window = statement.window
    times = {"opens_at": _time(window.opens_at), "closes_at": _time(window.closes_at)}
    return json_file.as_bytes(json_file.as_dict(statement) | times)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
