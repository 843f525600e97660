"""Signing in and out, for the API and for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import flask
import marshmallow as ma
from sqlalchemy.orm import Session

from access import lockout, people, second_factor
from access.models import Staff
from access.roles import EVERYONE
from core.errors import Unauthorised
from core.http.doors import OPEN, actors
from core.http.endpoints import Blueprint, endpoint
from core.http.wire import Moment, Wire
from core.runtime import installed
from web.guard import COOKIE

blueprint = Blueprint("session", __name__, description="People sign in with a cookie and a CSRF token.")


SAID = {
    "wrong": "no one signs in with this address and password",
    "blocked": "too many attempts failed: wait some minutes and try again",
    "code-needed": "the code of your second factor is needed",
    "wrong-code": "this is not a code of now, or it was taken already",
}
SLUGS = {
    "wrong": "wrong-credentials",
    "blocked": "too-many-attempts",
    "code-needed": "code-needed",
    "wrong-code": "wrong-code",
}


@dataclass(frozen=True)
class Credentials:
    """What a person types."""

    email: str
    password: str
    code: str | None = None


@dataclass(frozen=True)
class Code:
    """A code of a second factor."""

    code: str


class CodeSchema(Wire):
    """Body of a step-up."""

    shape = Code

    code = ma.fields.String(required=True, validate=ma.validate.Length(1, 60))


class CredentialsSchema(Wire):
    """Body of POST /session."""

    shape = Credentials

    email = ma.fields.String(required=True, validate=ma.validate.Length(max=254))
    password = ma.fields.String(required=True, validate=ma.validate.Length(max=people.PASSWORD_LENGTH_MAX))
    code = ma.fields.String(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Length(1, 60),
        metadata={"description": "of the second factor, for who has one: 401 code-needed asks for it"},
    )


class SignedInSchema(ma.Schema):
    """A session just begun."""

    staff_id = ma.fields.String(required=True)
    csrf_token = ma.fields.String(required=True)
    expires_at = Moment(required=True)


@dataclass(frozen=True)
class NotSignedIn:
    """Why nobody is signed in: a `reason` of SAID, or one that the pages alone have."""

    reason: str
    staff_id: str | None = None  # where the password was right
    until: datetime | None = None  # of `blocked`


def sign_in(email: str, password: str, code: str | None, *, address: str) -> people.SignedIn | NotSignedIn:
    """Open a session for the right password and, where the person has one, second factor.

    The hash is computed outside any transaction. What fails slows down whoever sends it (access/lockout.py).
    """
    runtime = installed()
    keys = lockout.keys(email, address)
    with runtime.reading() as session:
        until = lockout.blocked_until(session, keys, now=runtime.clock())
        if until is not None:
            return NotSignedIn("blocked", until=until)
        staff = people.verified(session, email=email, password=password)
        needs_code = staff is not None and second_factor.is_on(session, staff.id)
    if staff is None:
        return _failed(keys, NotSignedIn("wrong"))
    if needs_code and not code:
        return NotSignedIn("code-needed", staff.id)
    return second_step(staff.id, code or "", keys)


def second_step(staff_id: str, code: str, keys: Sequence[lockout.Key]) -> people.SignedIn | NotSignedIn:
    """Open a session for a person whose password was right, by his code where he has a second factor."""
    runtime = installed()
    with runtime.reading() as session:
        until = lockout.blocked_until(session, keys, now=runtime.clock())
    if until is not None:
        return NotSignedIn("blocked", until=until)
    with runtime.transaction() as session:
        staff = session.get_one(Staff, staff_id)
        now = runtime.clock()
        is_on = second_factor.is_on(session, staff_id)
        if staff.disabled_at is None and (not is_on or second_factor.accept(runtime, session, staff_id, code)):
            lockout.forget(session, keys)
            return people.open_session(session, staff, now=now, stepped_up_at=now if is_on else None)
    return _failed(keys, NotSignedIn("wrong-code", staff_id))


def _failed(keys: Sequence[lockout.Key], found: NotSignedIn) -> NotSignedIn:
    runtime = installed()
    with runtime.transaction() as session:
        lockout.note_failure(session, keys, now=runtime.clock())
    return found


def set_cookie(response: flask.Response, signed_in: people.SignedIn) -> None:
    """Give the browser its session: unreadable by scripts, sent to this site alone, over https when we are."""
    response.set_cookie(
        COOKIE,
        signed_in.token,
        expires=signed_in.expires_at,
        httponly=True,
        samesite="Lax",
        secure=installed().public_url.startswith("https://"),
    )


@endpoint(
    blueprint, "POST", "/session", door=OPEN, body=CredentialsSchema, answers=SignedInSchema, status=201,
    transaction=False,
)  # fmt: skip
def open_session(body: Credentials) -> flask.Response:
    """Sign in: answers a cookie, and the csrf_token to send back as X-CSRF-Token with every act."""
    signed_in = sign_in(body.email, body.password, body.code, address=flask.request.remote_addr or "")
    if isinstance(signed_in, NotSignedIn):
        raise Unauthorised(SAID[signed_in.reason], slug=SLUGS[signed_in.reason])
    response = flask.jsonify(SignedInSchema().dump(signed_in))
    response.status_code = 201
    set_cookie(response, signed_in)
    return response


@endpoint(
    blueprint, "POST", "/session/step-up", door=actors(*EVERYONE), body=CodeSchema, status=204
)  # fmt: skip
def step_up(session: Session, body: Code) -> None:
    """Show the second factor again: for ten minutes acts that move money go on without it."""
    second_factor.step_up(installed(), session, flask.g.staff_session, body.code)


@endpoint(blueprint, "DELETE", "/session", door=OPEN, status=204, transaction=False)
def close_session() -> flask.Response:
    """Sign out. Without a session nothing happens: SameSite keeps other sites from sending the cookie here."""
    token = flask.request.cookies.get(COOKIE)
    if token:
        with installed().transaction() as session:
            people.close_session(session, token)
    response = flask.Response(status=204)
    response.delete_cookie(COOKIE)
    return response
