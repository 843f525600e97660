"""Around every request: its id, its one access-log line (path without query), safe headers."""

import logging
import re
import time

import flask

from core.errors import NotFound
from core.logs import request_id
from core.runtime import installed
from postback import redaction
from web.metrics import REQUESTS

log = logging.getLogger("clickledger.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def register(app: flask.Flask) -> None:
    """Number, time and log the requests of `app`."""
    app.before_request(_begin)
    app.after_request(_end)


def shown(request: flask.Request) -> str:
    """Return a request's path as a log or an error may show it.

    A path that leads nowhere may be a postback's with a slip in it, and then it ends with a token.
    """
    return request.path if request.endpoint else redaction.path(request.path)


def _begin() -> None:
    given = flask.request.headers.get("X-Request-ID", "")
    flask.g.started = time.perf_counter()
    request_id.set(given if _REQUEST_ID.fullmatch(given) else installed().new_id("req"))
    # PostgreSQL cannot even be asked for an id with a NUL in it.
    if "\0" in flask.request.path:
        message = "nothing here has a NUL in its name"
        raise NotFound(message)


def _end(response: flask.Response) -> flask.Response:
    response.headers["X-Request-ID"] = request_id.get() or ""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    if flask.request.path.startswith("/api/v1") or flask.request.path == "/session":
        response.headers.setdefault("Cache-Control", "no-store")
    seconds = time.perf_counter() - flask.g.get("started", time.perf_counter())
    # The endpoint, not the path: a label for every id would be a time series for every id.
    REQUESTS.labels(flask.request.method, flask.request.endpoint or "none", response.status_code).observe(seconds)
    # No query: a postback's carries its signature and its payout.
    log.info(
        "request",
        extra={
            "method": flask.request.method,
            "path": shown(flask.request),
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            "peer": flask.request.remote_addr,
        },
    )
    return response
