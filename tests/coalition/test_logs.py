"""Log lines: JSON where a program reads them, plain tracebacks, and nobody's values in them."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from coalition import logs


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_our_lines_and_the_libraries_lines_are_json_with_the_time_in_utc(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    structlog.get_logger().info("api started", merchants=2)
    logging.getLogger("apscheduler.executors").error("Job %s failed", "close")
    ours, theirs = _lines(capsys)
    assert (ours["event"], ours["merchants"], ours["level"]) == ("api started", 2, "info")
    assert (theirs["event"], theirs["level"]) == ("Job close failed", "error")
    for line in (ours, theirs):
        assert datetime.fromisoformat(str(line["timestamp"])).tzinfo == UTC


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_traceback_shows_no_local_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    logs.configure()
    secret = "-".join(["coal", "live", "sesame"])
    try:
        raise RuntimeError(f"refused: {len(secret)} characters")
    except RuntimeError:
        structlog.get_logger().exception("unexpected error")
        logging.getLogger("library").exception("unexpected error")
    told = capsys.readouterr().out
    assert told.count("RuntimeError: refused") == 2
    assert "coal-live-sesame" not in told


def test_a_line_that_comes_with_every_request_goes_out_once_a_second_with_a_count() -> None:
    sparing = logs.Sparing()
    seconds = [7.0, 7.0, 7.5, 7.99, 8.0, 8.9, 9.1, 60.0, 61.0]
    assert [sparing.due(now_s) for now_s in seconds] == [
        *({}, None, None, None),
        *({"left_out": 3}, None),
        *({"left_out": 1}, {}, {}),
    ]


def test_the_values_that_a_database_error_quotes_are_left_out() -> None:
    error = (
        "IntegrityError: duplicate key\nDETAIL:  Key (card)=(9123) exists.\n[SQL: insert x]\n"
        "[parameters: ('9123', 'Wang')]\n(Background on this error at: elsewhere)\n\n"
        "The above exception was the direct cause"
    )
    told = logs.without_values(None, "error", {"exception": error})["exception"]
    assert "9123" not in told
    assert "Wang" not in told
    for kept in ("duplicate key", "insert x", "Background", "The above"):
        assert kept in told
