"""The head of the OpenAPI document: what it is about, how to authenticate, how errors look."""

from litestar import Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

from coalition.api.openapi.kept import as_json, as_yaml, refuse_unknown
from coalition.api.openapi.pages import SchemaPage
from coalition.api.openapi.schemes import KEY_SCHEME, SESSION_SCHEME
from coalition.edge.admission import SESSION_COOKIE
from coalition.errors import Code


def openapi_config() -> OpenAPIConfig:
    """Served under /schema as JSON, as YAML and as a page that loads nothing from elsewhere."""
    return OpenAPIConfig(
        title="A points clearing house",
        version="1",
        description=_description(),
        components=Components(
            security_schemes={
                KEY_SCHEME: SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="coal_live_<id>_<secret><crc>",
                    description="A merchant's or the house's key. Scopes: earn, burn, transfer, "
                    "members, statements, house; each operation names those of which it needs "
                    "one, and house is enough for all. A revoked key dies within 2 seconds. A key "
                    "that begins with coal_test_ reaches a test coalition: the same merchants and "
                    "terms, and no live card or point.",
                ),
                SESSION_SCHEME: SecurityScheme(
                    type="apiKey",
                    name=SESSION_COOKIE,
                    security_scheme_in="cookie",
                    description="Who is signed in (POST /v1/session). Each operation names the "
                    "right that the person's role needs for it (docs/people.md). Whatever is no "
                    "GET needs the header X-CSRF-Token beside it.",
                ),
            }
        ),
        tags=[
            Tag("Members and cards", "One universal card, one balance"),
            Tag("Earn", "Points in"),
            Tag("Burn", "Points out, or held"),
            Tag("Rewards and vouchers", "What points buy, and what comes of it"),
            Tag("Move between members", "Gifts"),
            Tag("Paths", "Where points came from and went"),
            Tag("Bulk", "Files of many rows"),
            Tag("Settlement", "Windows, positions, statements"),
            Tag("People", "Who works here, and signs in"),
            Tag("Approvals", "What needs two persons"),
            Tag("Audit", "Who changed what"),
            Tag("Operations", "Alive, ready, counted"),
        ],
        render_plugins=[SchemaPage(), as_json(), as_yaml()],
        openapi_router=Router(
            "/schema", route_handlers=[], include_in_schema=False, before_request=refuse_unknown
        ),
    )


def _description() -> str:
    codes = ", ".join(f"`{code}`" for code in Code)
    return (
        "Merchants earn and burn one points currency over this API; every point keeps its origin, "
        "and windows close into positions that net to zero.\n\n"
        "Every POST that moves points needs an `Idempotency-Key`: the same key and body answer "
        "the first answer again, with `Idempotent-Replayed: true`, for ever. occurred_at may lie "
        "at most 5 minutes ahead of the server's clock; how far back, docs/merchants-guide.md "
        "tells.\n\n"
        "A purchase is added up exactly and rounded down once; what a partial return keeps is "
        "rounded up; a line of a statement is rounded once, half to even. What expires when, and "
        "more of it, with figures: docs/merchants-guide.md, which comes with the program.\n\n"
        f"Errors are problem documents (RFC 9457) with a stable `code`. Where several apply, the "
        f"first of these is answered: {codes}."
    )
