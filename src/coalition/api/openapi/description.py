"""The OpenAPI document where Litestar's own falls short: bodies, files, and one example a struct.

The examples themselves are examples.py; the document's head is head.py.
"""

from collections.abc import Iterable, Iterator

from litestar import Litestar
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)
from litestar.routes import HTTPRoute

from coalition.api.openapi import examples
from coalition.api.openapi.schemes import KEY_SCHEME, SESSION_SCHEME
from coalition.wire import bodies
from coalition.wire.syntax import may_be_empty

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Where somebody says who it is.
_OPEN_TO_ALL = ("/v1/session", "/v1/setup", "/v1/setup/finish")
_CARDS = ("card", "from_card", "to_card")
# Every struct of a request, the parts of bodies included.
_BODIES = {body.__name__: body for body in bodies.Body.__subclasses__()}


def complete(app: Litestar) -> None:
    """Put in what is missing: in place, as Litestar serves the very document it made."""
    document = app.openapi_schema
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if "scopes" in handler.opt and handler.resolve_include_in_schema():
                    operation = _operation(document, route.path_format, method.lower())
                    _say_scopes(operation, handler.opt["scopes"], handler.opt["right"])
                elif route.path_format in _OPEN_TO_ALL and method == "POST":
                    # Litestar gives it the router's.
                    _operation(document, route.path_format, "post").security = []
    schemas = document.components.schemas
    for name, example in examples.STRUCTS.items():
        schemas[name].examples = [example]
    for name in _BODIES.keys() & schemas.keys():
        schemas[name].additional_properties = False
        for field, schema in (schemas[name].properties or {}).items():
            _say_how_cards_read(field, schema)
    for operation in _operations(document):
        for parameter in operation.parameters or ():
            if isinstance(parameter, Parameter) and parameter.schema is not None:
                _say_how_cards_read(parameter.name, parameter.schema)
        if operation.request_body is not None:
            _say_whether_required(operation.request_body)
    _operation(document, "/v1/batches", "post").request_body = RequestBody(
        _content(examples.FILE), required=True
    )
    results = _operation(document, "/v1/batches/{batch_id}/results", "get")
    _answer(results).content = _content(examples.RESULTS)
    statement = _operation(document, "/v1/windows/{window}/statements/{merchant}", "get")
    _answer(statement).content = {
        "application/json": OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.OBJECT, examples=[examples.STATEMENT])
        ),
        **_content({"text/csv": "section,window,what", _XLSX: "(a workbook)"}),
    }


def _say_scopes(operation: Operation, scopes: Iterable[str], right: str | None) -> None:
    # One of them is enough, and so each is a requirement of its own.
    keys = [{KEY_SCHEME: [scope]} for scope in scopes]
    operation.security = [*keys, {SESSION_SCHEME: [right] if right else []}]


def _say_how_cards_read(name: str, schema: Schema | Reference) -> None:
    # Here only: members/card.py is what reads them, in less time and with better words.
    if name in _CARDS and isinstance(schema, Schema):
        schema.pattern = "^[1-9][0-9]{15}$"
        schema.examples = schema.examples or ["9000000000000001"]


def _say_whether_required(body: RequestBody | Reference) -> None:
    assert isinstance(body, RequestBody)
    for content in body.content.values():
        schema = content.schema
        if isinstance(schema, Schema) and schema.all_of:
            schema = schema.all_of[0]
        if isinstance(schema, Reference):
            body.required = not may_be_empty(_BODIES[schema.ref.rsplit("/", 1)[1]])


def _content(examples_: dict[str, str]) -> dict[str, OpenAPIMediaType]:
    return {
        media_type: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, examples=[example]))
        for media_type, example in examples_.items()
    }


def _operations(document: OpenAPI) -> Iterator[Operation]:
    for item in (document.paths or {}).values():
        yield from filter(None, (item.get, item.post))


def _operation(document: OpenAPI, path: str, method: str) -> Operation:
    found = getattr((document.paths or {})[path], method)
    assert isinstance(found, Operation)
    return found


def _answer(operation: Operation) -> OpenAPIResponse:
    found = (operation.responses or {})["200"]
    assert isinstance(found, OpenAPIResponse)
    return found
