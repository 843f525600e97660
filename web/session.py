"""Signing in and out, for the API and for the pages."""

from dataclasses import dataclass

import flask
import marshmallow as ma

from access import people
from core.errors import Unauthorised
from core.http.doors import OPEN
from core.http.endpoints import Blueprint, endpoint
from core.http.wire import Moment, Wire
from core.runtime import installed
from web.guard import COOKIE

blueprint = Blueprint("session", __name__, description="People sign in with a cookie and a CSRF token.")


@dataclass(frozen=True)
class Credentials:
    """What a person types."""

    email: str
    password: str


class CredentialsSchema(Wire):
    """Body of POST /session."""

    shape = Credentials

    email = ma.fields.String(required=True, validate=ma.validate.Length(max=254))
    password = ma.fields.String(required=True, validate=ma.validate.Length(max=people.PASSWORD_LENGTH_MAX))


class SignedInSchema(ma.Schema):
    """A session just begun."""

    staff_id = ma.fields.String(required=True)
    csrf_token = ma.fields.String(required=True)
    expires_at = Moment(required=True)


def sign_in(email: str, password: str) -> people.SignedIn | None:
    """Open a session for the right password, None otherwise. The hash is computed outside any transaction."""
    runtime = installed()
    with runtime.reading() as session:
        staff = people.verified(session, email=email, password=password)
    if staff is None:
        return None
    with runtime.transaction() as session:
        return people.open_session(session, staff, now=runtime.clock())


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
    signed_in = sign_in(body.email, body.password)
    if signed_in is None:
        message = "no one signs in with this address and password"
        raise Unauthorised(message, slug="wrong-credentials")
    response = flask.jsonify(SignedInSchema().dump(signed_in))
    response.status_code = 201
    set_cookie(response, signed_in)
    return response


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
