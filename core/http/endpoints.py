"""One decorator declares a route: its door, what it takes, what it answers, and the transaction around it."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import flask
import marshmallow as ma
from flask_smorest import Blueprint as SmorestBlueprint
from sqlalchemy.orm import Session

from core.http import idempotency
from core.http.doors import Door, DoorKind, current_actor
from core.http.idempotency import StoredAnswer
from core.http.reading import Parser
from core.runtime import installed

ViewT = TypeVar("ViewT", bound=Callable[..., Any])

_SAFE = {"GET", "HEAD", "OPTIONS"}


class Blueprint(SmorestBlueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """A room's routes. Made with the room's name; `description` heads its part of the OpenAPI document."""

    ARGUMENTS_PARSER = Parser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING = {  # noqa: RUF012 - flask-smorest's own name and form
        **SmorestBlueprint.DEFAULT_LOCATION_CONTENT_TYPE_MAPPING,
        "multipart": "multipart/form-data",
    }


def endpoint(
    blueprint: Blueprint,
    method: str,
    rule: str,
    *,
    door: Door,
    body: type[ma.Schema] | ma.Schema | None = None,
    multipart: type[ma.Schema] | None = None,
    query: type[ma.Schema] | None = None,
    answers: type[ma.Schema] | None = None,
    status: int = 200,
    content_type: str | None = None,
    creates: bool = False,
    transaction: bool = True,
    step_up: bool = False,
) -> Callable[[ViewT], ViewT]:
    """Register a view as `method rule` behind `door`.

    The view is called with `session` (unless `transaction` is False), the loaded `body` or `multipart` as `body`, the
    loaded `query` as `query`, and the path's parts by name. GET gets a session that only reads. What it returns is
    written with `answers`; a flask Response goes out as it is.
    With `step_up` a person who has a second factor must have shown it of late.
    With `creates` an Idempotency-Key is honoured, in the same commit as the act itself.
    """

    def register(view: ViewT) -> ViewT:
        def outer(*loaded: Any, **path: Any) -> flask.Response:
            if step_up:
                demand_step_up()
            arguments = dict(path)
            names = [name for name, schema in (("body", body or multipart), ("query", query)) if schema is not None]
            arguments |= dict(zip(names, loaded, strict=True))
            return _answered(view, arguments, method, answers, status, creates=creates, transaction=transaction)

        outer.__name__ = view.__name__
        outer.__doc__ = view.__doc__
        outer.__module__ = view.__module__
        wrapped: Any = outer
        wrapped = blueprint.response(status, answers, content_type=content_type)(wrapped)
        # The last decorator applied is called first: query is loaded after the body, and stands after it.
        if query is not None:
            wrapped = blueprint.arguments(query, location="query")(wrapped)
        if multipart is not None:
            wrapped = blueprint.arguments(multipart, location="multipart")(wrapped)
        elif body is not None:
            wrapped = blueprint.arguments(body, location="json")(wrapped)
        wrapped = blueprint.doc(**_security(door))(wrapped)
        wrapped.door = door
        blueprint.add_url_rule(rule, view.__name__, wrapped, methods=[method])
        return view

    return register


def demand_step_up() -> None:
    """Raise Forbidden where the person has a second factor and has not shown it of late, as the guard has set it up."""
    demand = flask.g.get("demand_step_up")
    if demand is not None:
        demand()


def _security(door: Door) -> dict[str, Any]:
    if door.kind is not DoorKind.ACTORS:
        return {"security": []}
    ways: list[dict[str, list[str]]] = [{"session": []}] if door.roles else []
    if door.scope:
        ways.append({"token": []})
    who = [f"people: {', '.join(sorted(door.roles))}"] if door.roles else []
    who += [f"tokens: `{door.scope}`"] if door.scope else ["no token"]
    return {"security": ways, "x-door": "; ".join(who)}


def _answered(
    view: Callable[..., Any],
    arguments: dict[str, Any],
    method: str,
    answers: type[ma.Schema] | None,
    status: int,
    *,
    creates: bool,
    transaction: bool,
) -> flask.Response:
    if not transaction:
        return _response(view(**arguments), answers, status)
    if method in _SAFE:
        with installed().reading() as session:
            return _response(view(session=session, **arguments), answers, status)
    key = idempotency.key_of(flask.request) if creates else None
    with installed().transaction() as session:
        if key is None:
            return _response(view(session=session, **arguments), answers, status)
        return _once(session, key, lambda: _response(view(session=session, **arguments), answers, status))


def _once(session: Session, key: str, answer: Callable[[], flask.Response]) -> flask.Response:
    runtime, actor_id = installed(), current_actor().id
    stored = idempotency.claim(
        session,
        runtime.keyring,
        actor_id=actor_id,
        key=key,
        fingerprint=idempotency.fingerprint(flask.request),
        now=runtime.clock(),
    )
    if stored is not None:
        response = flask.Response(stored.body, stored.status, mimetype="application/json")
        response.headers["Idempotent-Replayed"] = "true"
        return response
    response = answer()
    kept = StoredAnswer(response.status_code, response.get_data())
    idempotency.keep(session, runtime.keyring, actor_id=actor_id, key=key, answer=kept)
    return response


def _response(result: Any, answers: type[ma.Schema] | None, status: int) -> flask.Response:
    if isinstance(result, flask.Response):
        return result
    if answers is None and result is None:
        return flask.Response(status=status)
    written = answers().dump(result) if answers is not None else result
    return flask.Response(json.dumps(written), status, mimetype="application/json")
