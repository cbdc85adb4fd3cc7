"""How routes are described in the OpenAPI document: which problems each may answer.

The security scheme and the document's head are head.py; the words of a route stand beside it.
"""

from dataclasses import dataclass
from itertools import groupby

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema

from coalition.edge.problems import MEDIA_TYPE, STATUS, Problem
from coalition.errors import Code

_OPEN = (Code.MALFORMED, Code.TOO_MANY_REQUESTS)
_READ = (*_OPEN, Code.UNAUTHENTICATED, Code.SCOPE_MISSING, Code.INVALID, Code.BUSY)
_WRITE = (*_READ, Code.TOO_LARGE)
_MOVE = (
    *_WRITE,
    Code.IDEMPOTENCY_KEY_MISSING,
    Code.IDEMPOTENCY_KEY_REUSED,
    Code.IDEMPOTENCY_IN_FLIGHT,
)


@dataclass
class KeyedOperation(Operation):
    """An operation that needs an Idempotency-Key."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or ()), _key_header(is_required=True)]


@dataclass
class MaybeKeyedOperation(Operation):
    """An operation that honours an Idempotency-Key where one is sent."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or ()), _key_header(is_required=False)]


def _key_header(*, is_required: bool) -> Parameter:
    return Parameter(
        name="Idempotency-Key",
        param_in="header",
        required=is_required,
        description="1 to 255 visible ASCII characters, a new one for each new request.",
        schema=Schema(
            type=OpenAPIType.STRING,
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            examples=["8f14e45fceea167a"],
        ),
    )


REPLAYED_HEADER = ResponseHeader(
    name="Idempotent-Replayed",
    description="true where this key was answered before, and this is that answer again",
    documentation_only=True,
)


def opens() -> dict[int, ResponseSpec]:
    """The problems of a GET that needs no key."""
    return _by_status({*_OPEN})


def opens_to_all(*codes: Code) -> dict[int, ResponseSpec]:
    """The problems of a POST by which somebody says who it is."""
    return _by_status({*_OPEN, Code.INVALID, Code.BUSY, Code.TOO_LARGE, *codes})


def reads(*codes: Code) -> dict[int, ResponseSpec]:
    """The problems of a GET, besides the common ones."""
    return _by_status({*_READ, *codes})


def writes(*codes: Code) -> dict[int, ResponseSpec]:
    """The problems of a POST that moves no points."""
    return _by_status({*_WRITE, *codes})


def moves(*codes: Code) -> dict[int, ResponseSpec]:
    """The problems of a POST that moves points, under an Idempotency-Key."""
    return _by_status({*_MOVE, *codes})


def _by_status(codes: set[Code]) -> dict[int, ResponseSpec]:
    order = list(Code)
    ranked = sorted(codes, key=lambda code: (STATUS[code], order.index(code)))
    return {
        status: ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=" or ".join(group),
            media_type=MEDIA_TYPE,
        )
        for status, group in groupby(ranked, key=STATUS.__getitem__)
    }
