"""The OpenAPI document and Swagger UI, served from this machine: no page of ours loads anything from elsewhere."""

from pathlib import Path
from typing import Any

import flask
import flask_swagger_ui
from flask_smorest import Api

from core.http.doors import OPEN, declare

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
# Swagger UI writes its own styles into elements.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API – Clickledger</title>
<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/api/docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div><script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/static/api-docs.js"></script></body></html>
"""


def register(app: flask.Flask, api: Api) -> None:
    """Add /api/openapi.json and /api/docs."""

    def openapi() -> flask.Response:
        """Answer the OpenAPI 3 document."""
        return flask.jsonify(api.spec.to_dict())

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


def _declare_static(app: flask.Flask) -> None:
    # Flask's own view is a lambda made for this application.
    view: Any = app.view_functions["static"]
    declare(view, OPEN)
