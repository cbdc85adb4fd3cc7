"""The document as bytes, made at the first request and answered from then on.

Spelling YAML took a third of a second of everybody's time, at each request and for anybody.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.enums import OpenAPIMediaType
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin

Document = dict[str, Any]
AnyRequest = Request[Any, Any, Any]


class Kept:
    """An answer that never changes while the process lives, under an ETag of its own."""

    def __init__(self, media_type: str, make: Callable[[Document], bytes], **headers: str) -> None:
        self._media_type = media_type
        self._make = make
        self._headers = headers
        self._content: bytes | None = None

    def answer(self, request: AnyRequest, document: Document) -> Response[bytes]:
        """The content, or 304 for who has it already."""
        if self._content is None:
            self._content = self._make(document)
            self._headers["etag"] = f'"{sha256(self._content).hexdigest()[:32]}"'
        asked = request.headers.get("if-none-match", "")
        if self._headers["etag"] in (one.strip(" \t") for one in asked.split(",")):
            return Response(
                b"", status_code=304, media_type=self._media_type, headers=self._headers
            )
        return Response(self._content, media_type=self._media_type, headers=self._headers)


class KeptPlugin(OpenAPIRenderPlugin):
    """The document at its paths, spelt by `make`."""

    def __init__(
        self, path: str | Sequence[str], media_type: str, make: Callable[[Document], bytes]
    ) -> None:
        # Litestar wants a member of its own lists, and looks at nothing but its value.
        super().__init__(path=path, media_type=media_type)  # type: ignore[arg-type]
        self._kept = Kept(media_type, make)

    # Litestar sends a Response as it is, though its own signature says bytes.
    def render(self, request: AnyRequest, openapi_schema: Document) -> Any:
        return self._kept.answer(request, openapi_schema)


def as_json() -> KeptPlugin:
    return KeptPlugin("/openapi.json", MediaType.JSON, msgspec.json.encode)


def as_yaml() -> KeptPlugin:
    paths = ["/openapi.yaml", "/openapi.yml"]
    return KeptPlugin(paths, OpenAPIMediaType.OPENAPI_YAML, msgspec.yaml.encode)


def refuse_unknown(request: AnyRequest) -> None:
    """Raise not found for what is no page of the document; Litestar's own answer is HTML."""
    if request.path_params:
        raise NotFoundException
