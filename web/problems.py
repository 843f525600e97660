"""The one place that knows status codes: every error leaves as an RFC 9457 problem document."""

import logging
from http import HTTPStatus
from typing import Any

import flask
import marshmallow as ma
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from core.errors import (
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Unauthorised,
    Unavailable,
)
from core.logs import request_id
from web.pages import frame
from web.requests import shown

log = logging.getLogger(__name__)

STATUS: dict[type[Problem], int] = {
    Invalid: 422,
    Unauthorised: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
}
RETRY_AFTER_S = 5
TITLES = {
    400: "The request cannot be read",
    401: "Who are you?",
    403: "Not for you",
    404: "Not here",
    405: "Not this method",
    409: "No longer so",
    411: "Length needed",
    413: "Too large",
    415: "Not this media type",
    422: "Not acceptable as it is",
    500: "Our fault",
    503: "Not now",
}


class ProblemSchema(ma.Schema):
    """How a problem document looks in the OpenAPI document."""

    type = ma.fields.String(required=True, metadata={"example": "/problems/invalid"})
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String()
    instance = ma.fields.String()
    request_id = ma.fields.String()
    errors = ma.fields.List(ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String()))


def register(app: flask.Flask) -> None:
    """Answer every error of `app` with a problem document, and as a page where a person looks at it."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)


def document(
    status: int, slug: str, detail: str | None, faults: list[Fault], headers: dict[str, str] | None = None
) -> flask.Response:
    """Return the problem `slug` as application/problem+json, or as a page to a browser."""
    if frame.wants_html(flask.request):
        if status == HTTPStatus.UNAUTHORIZED and flask.request.method == "GET":
            return frame.to_sign_in(flask.request)
        said = [f"{fault.field}: {fault.reason}" for fault in faults] or [detail or ""]
        page = frame.error_page(status, TITLES.get(status, "Problem"), said, request_id.get())
        page.headers.update(headers or {})
        return page
    body: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": TITLES.get(status, "Problem"),
        "status": status,
        "detail": detail,
        "instance": shown(flask.request),
        "request_id": request_id.get(),
    }
    if faults:
        body["errors"] = [{"field": fault.field, "reason": fault.reason} for fault in faults]
    response = flask.jsonify({name: value for name, value in body.items() if value is not None})
    response.status_code = status
    response.mimetype = "application/problem+json"
    response.headers.update(headers or {})
    return response


def status_of(problem: Problem) -> int:
    """Return the HTTP status of `problem`."""
    return next(code for kind, code in STATUS.items() if isinstance(problem, kind))


def _problem(problem: Problem) -> flask.Response:
    status = status_of(problem)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
        log.warning("unavailable", extra={"cause": type(problem.__cause__).__name__})
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return document(status, problem.slug, problem.detail, problem.faults, headers)


def _http_exception(error: HTTPException) -> flask.Response:
    data = getattr(error, "data", None) or {}
    if "messages" in data:
        faults = list(_faults(data["messages"]))
        return document(422, "invalid", "; ".join(f"{f.field}: {f.reason}" for f in faults), faults)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    status = error.code or 500
    slug = (error.name or "problem").lower().replace(" ", "-")
    return document(status, slug, data.get("message") or error.description, [], headers)


def _unexpected(error: Exception) -> flask.Response:
    log.error("unexpected", exc_info=error, extra={"path": shown(flask.request)})
    return document(500, "unexpected", "something broke on our side; the log has it under the request id", [])


def faults(messages: Any) -> list[Fault]:
    """Return marshmallow's messages of one schema as faults."""
    return _faults({"form": messages})


def _faults(messages: Any, path: str = "") -> list[Fault]:
    """Flatten marshmallow's nested messages; the first level, webargs' location (json, query), says nothing."""
    if isinstance(messages, dict):
        found = []
        for key, inner in messages.items():
            below = str(key) if path == "." else f"{path}.{key}".strip(".")
            found += _faults(inner, below if path else ".")
        return found
    field = path.removesuffix("_schema").strip(".") or "body"
    return [Fault(field, str(message)) for message in (messages if isinstance(messages, list) else [messages])]
