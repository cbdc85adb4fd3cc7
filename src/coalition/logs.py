"""How log lines look: JSON on standard output, or readable lines where that is a terminal.

Here is the one set-up for our own lines and those of the libraries. What is logged, and when,
stands where it happens.
"""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# For Granian, whose loggers would otherwise write lines of their own kind.
GRANIAN: dict[str, object] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}

# How often a line that may come with every request goes out.
LINE_EVERY_S = 1.0
# What SQLAlchemy and PostgreSQL add to an error's message: the values of the row it is about.
_VALUES = re.compile(
    r"(\[parameters: |DETAIL:  ).*?(?=\n\[SQL: |\n\(Background |\n\n|\n  [|+]|\Z)", re.DOTALL
)
_CARD = re.compile(r"(?<![0-9])[0-9]{12}([0-9]{4})(?![0-9])")


def configure() -> None:
    """Set up this process's logging; a second call sets up the same again."""
    is_terminal = sys.stdout.isatty()
    chain: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Plain tracebacks: a rich one shows every local variable, and a request is one.
        structlog.processors.format_exc_info,
        without_values,
        without_cards,
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if is_terminal:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class Sparing:
    """Lets one line a second out and counts the others, where an outage refuses every request.

    now_s is any clock that only goes forward, in seconds. What was left out before the last second
    of an outage goes out with the first line of the next one.
    """

    def __init__(self) -> None:
        self._next_s: float | None = None
        self._left_out = 0

    def due(self, now_s: float) -> dict[str, int] | None:
        """What the line that may go out now says besides; None where it is left out as well."""
        if self._next_s is not None and now_s < self._next_s:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        self._next_s = now_s + LINE_EVERY_S
        return {"left_out": left_out} if left_out else {}


def without_cards(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event with no card's number in it but its last four digits, whoever logged it.

    Any 16 digits are taken for one, right or mistyped.
    """
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CARD.sub(r"************\1", value)
        elif isinstance(value, int) and _CARD.fullmatch(str(value)):
            event[name] = _CARD.sub(r"************\1", str(value))
    return event


def without_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event without the values that the database quotes in its errors: they may be a member's.

    PostgreSQL quotes a row in DETAIL (https://www.postgresql.org/docs/18/error-style-guide.html),
    SQLAlchemy a statement's parameters.
    """
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _VALUES.sub(r"\1(left out)", value)
    return event
