"""The OpenAPI document and Swagger UI, served from this machine: no page of ours loads anything from elsewhere."""

from pathlib import Path
from typing import Any

import flask
import flask_swagger_ui
from flask_smorest import Api

from core.http.doors import OPEN, declare
from postback.schemas import PostbackAnswerSchema

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
# Swagger UI writes its own styles into elements.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
_POSTBACK_ANSWERS = {
    "200": "Recorded, or repeated: a source may ask for its network's own words instead",
    "202": "Recorded late: a person looks",
    "401": "Not believed; the reason stands on a receipt",
    "410": "The source is removed",
    "411": "A body needs its Content-Length",
    "413": "More than 64 KiB",
    "414": "A query of more than 8 KiB",
    "422": "Proven, but not to be recorded as it is",
    "429": "Too many; Retry-After says when",
    "503": "Not now: nothing was stored; Retry-After says when",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API – Clickledger</title>
<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/api/docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div><script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/static/api-docs.js"></script></body></html>
"""


def register(app: flask.Flask, api: Api) -> None:
    """Add /api/openapi.json and /api/docs."""
    api.spec.components.schema("PostbackAnswer", schema=PostbackAnswerSchema)

    def openapi() -> flask.Response:
        """Answer the OpenAPI 3 document."""
        document = api.spec.to_dict()
        document["paths"]["/postback/{source_id}"] = _postback_operations()
        return flask.jsonify(document)

    def docs() -> flask.Response:
        """Answer Swagger UI's page."""
        return flask.Response(PAGE, mimetype="text/html", headers={"Content-Security-Policy": CSP})

    def docs_asset(name: str) -> flask.Response:
        """Answer one of Swagger UI's files."""
        return flask.send_from_directory(ASSETS, name, max_age=86400)

    for rule, view in (
        ("/api/openapi.json", openapi),
        ("/api/docs", docs),
        ("/api/docs/<path:name>", docs_asset),
    ):
        declare(view, OPEN)
        app.add_url_rule(rule, view.__name__, view)
    _declare_static(app)


def _postback_operations() -> dict[str, Any]:
    """Describe the postback door: it stands in front of Flask, which has no route for it."""
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/PostbackAnswer"}}}}
    said = {status: {"description": words, **answer} for status, words in _POSTBACK_ANSWERS.items()}
    where = {"in": "path", "name": "source_id", "required": True, "schema": {"type": "string"}}
    return {
        method: {
            "summary": summary,
            "tags": ["postback"],
            "operationId": f"{method}_postback",
            "parameters": [where],
            "responses": said,
            "security": [],
        }
        for method, summary in (
            ("get", "Take a postback whose parameters stand in the query, signed as its source says"),
            ("post", "Take a postback with a body, signed as its source says"),
        )
    }


def _declare_static(app: flask.Flask) -> None:
    # Flask's own view is a lambda made for this application.
    view: Any = app.view_functions["static"]
    declare(view, OPEN)
