"""The pages for people: what this server is, and its operations in their own words.

Plain HTML made here, which loads nothing from anywhere. The words are the OpenAPI document's.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

import msgspec
from litestar import MediaType, Response
from litestar.openapi.plugins import OpenAPIRenderPlugin

from coalition.api.openapi.kept import AnyRequest, Document, Kept
from coalition.api.openapi.schemes import KEY_SCHEME, SESSION_SCHEME

_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#eee;padding:0 .2em}dt{margin-top:1rem;font-weight:bold}"
    "dd{margin:0 0 0 1.5rem}"
)
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    # The same address answers JSON to a program.
    "vary": "Accept",
}


class SchemaPage(OpenAPIRenderPlugin):
    """/schema: a page for who asks for text/html, as a browser does; to others the document."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.JSON)
        self._document = Kept(MediaType.JSON, msgspec.json.encode, vary="Accept")
        self._page = Kept(MediaType.HTML, _schema_page, **_HEADERS)

    # Litestar sends a Response as it is, though its own signature says bytes.
    def render(self, request: AnyRequest, openapi_schema: Document) -> Any:
        is_browser = "text/html" in request.headers.get("accept", "").lower()
        kept = self._page if is_browser else self._document
        return kept.answer(request, openapi_schema)


def _schema_page(document: Document) -> bytes:
    return _html(document["info"]["title"], _operations_part(document)).encode()


def _html(title: str, content: str) -> str:
    """A whole page; content is HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{content}</body></html>"
    )


def front_page() -> Response[str]:
    """What stands at the root: what this is, and where to go."""
    return Response(_front_html(), media_type=MediaType.HTML, headers=_HEADERS)


@cache
def _front_html() -> str:
    return _html(
        "A points clearing house",
        "<p>Merchants share one points currency and one card. Members earn at one merchant and "
        "burn at another; every point keeps its origin, and at the end of each period all of it is "
        "netted to one balance a merchant.</p><p>This is the API of such a coalition. Each "
        "merchant asks with its own key.</p><ul>"
        '<li><a href="/schema">What can be asked</a>: every operation, and the scope it needs</li>'
        '<li><a href="/schema/openapi.json">openapi.json</a>, '
        '<a href="/schema/openapi.yaml">openapi.yaml</a>: the same for programs</li>'
        '<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, '
        '<a href="/metrics">/metrics</a>: alive, ready, counted</li></ul>',
    )


def _operations_part(document: Mapping[str, Any]) -> str:
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for method, path, operation in _operations(document):
        for tag in operation["tags"]:
            by_tag.setdefault(tag, []).append(_entry(method, path, operation))
    words = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    parts = [
        '<p>For programs: <a href="/schema/openapi.json">openapi.json</a>, '
        '<a href="/schema/openapi.yaml">openapi.yaml</a>. <a href="/">What this is</a></p>',
        _prose(document["info"]["description"]),
    ]
    for tag, entries in by_tag.items():
        parts.append(f"<h2>{escape(tag)}</h2><p>{escape(words.get(tag, ''))}</p><dl>")
        parts += [*entries, "</dl>"]
    return "".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def _entry(method: str, path: str, operation: Mapping[str, Any]) -> str:
    needed = _needed(operation, KEY_SCHEME)
    scope = f"<p>Scope: <code>{'</code> or <code>'.join(needed)}</code></p>" if needed else ""
    scope += "".join(
        f"<p>Right of a person: <code>{right}</code></p>"
        for right in _needed(operation, SESSION_SCHEME)
    )
    return (
        f"<dt><code>{method} {escape(path)}</code> {escape(operation['summary'])}</dt>"
        f"<dd>{_prose(operation.get('description', ''))}{scope}</dd>"
    )


def _needed(operation: Mapping[str, Any], scheme: str) -> list[str]:
    return [one for way in operation.get("security", ()) for one in way.get(scheme, ())]


def _prose(text: str) -> str:
    """Paragraphs, with what stands in backticks as code."""
    paragraphs = (
        re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(part))
        for part in text.split("\n\n")
        if part
    )
    return "".join(f"<p>{part}</p>" for part in paragraphs)
