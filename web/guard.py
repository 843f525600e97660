"""Opens doors: finds out who asks, and lets a request through to its view only if the view's door allows."""

import flask

from access import people, second_factor, tokens
from access.models import StaffSession
from core.actors import Actor
from core.errors import Forbidden, Unauthorised
from core.http.doors import Door, DoorKind
from core.runtime import installed

COOKIE = "clickledger_session"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = {"GET", "HEAD", "OPTIONS"}


def register(app: flask.Flask) -> None:
    """Check every request to `app` against the door of its view."""
    app.before_request(_admit)


def door_of(app: flask.Flask, endpoint: str) -> Door | None:
    """Return the door the view of `endpoint` declares, None when it declares none."""
    return getattr(app.view_functions[endpoint], "door", None)


def _admit() -> None:
    request = flask.request
    if request.endpoint is None or request.method == "OPTIONS":
        return
    door = door_of(flask.current_app, request.endpoint)
    if door is None:
        # A route without a door is a mistake of ours (a test walks the map); shut is the safe side of it.
        message = "this route has no door"
        raise Forbidden(message)
    if door.kind is not DoorKind.ACTORS:
        return
    actor = _token_actor() or _session_actor()
    if actor is None:
        message = "sign in, or send a bearer token"
        raise Unauthorised(message)
    _check(door, actor)
    flask.g.actor = actor


def _check(door: Door, actor: Actor) -> None:
    if actor.is_person:
        if not actor.roles & door.roles:
            message = f"this takes one of the roles: {', '.join(sorted(door.roles))}"
            raise Forbidden(message)
    elif door.scope is None:
        message = "this is for people who signed in, not for tokens"
        raise Forbidden(message)
    elif door.scope not in actor.scopes:
        message = f"this takes a token with the scope {door.scope}"
        raise Forbidden(message)


def _token_actor() -> Actor | None:
    kind, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    if not kind:
        return None
    runtime = installed()
    now = runtime.clock()
    with runtime.reading() as session:
        token = tokens.live(session, value.strip(), now=now) if kind.lower() == "bearer" else None
    if token is None:
        message = "this token is unknown, over or revoked"
        raise Unauthorised(message)
    if tokens.is_use_worth_noting(token, now=now):
        with runtime.transaction() as session:
            tokens.note_use(session, token.id, now=now)
    return tokens.actor_of(token)


def _demand_step_up(staff_session: StaffSession) -> None:
    runtime = installed()
    with runtime.reading() as session:
        second_factor.demand(session, staff_session, now=runtime.clock())


def _session_actor() -> Actor | None:
    token = flask.request.cookies.get(COOKIE)
    if not token:
        return None
    runtime = installed()
    with runtime.reading() as session:
        found = people.session_of(session, token, now=runtime.clock())
    if found is None:
        return None
    staff_session, staff = found
    if flask.request.method not in _SAFE:
        sent = flask.request.headers.get(CSRF_HEADER) or flask.request.form.get("csrf_token", "")
        if not people.csrf_matches(staff_session.csrf_token, sent):
            message = f"send the session's csrf_token back as {CSRF_HEADER}"
            raise Forbidden(message, slug="csrf")
    flask.g.csrf_token = staff_session.csrf_token
    flask.g.staff = staff
    flask.g.staff_session = staff_session
    flask.g.demand_step_up = lambda: _demand_step_up(staff_session)
    return people.actor_of(staff)
