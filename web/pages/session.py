"""Signing in and out by form."""

from urllib.parse import urlsplit

import flask
from sqlalchemy.orm import Session

from access import lockout, passkeys, people
from access.roles import EVERYONE
from core.errors import Forbidden, NotFound
from core.http.doors import OPEN, actors
from core.runtime import installed
from web import session as sessions
from web.guard import COOKIE
from web.pages import frame, half_signed_in
from web.pages.frame import page

blueprint = flask.Blueprint("session_pages", __name__)


@page(blueprint, "GET", "/", door=actors(*EVERYONE), transaction=False)
def home() -> flask.Response:
    """Lead to the first place the person may go."""
    places = frame.places_for(flask.g.actor)
    if not places:
        message = "there is no page for your roles yet; the API has more"
        raise NotFound(message)
    return flask.make_response(flask.redirect(places[0].path))


@page(blueprint, "GET", "/sign-in", door=OPEN, transaction=False)
def sign_in_form() -> str:
    """Show the form."""
    return _form(next_path=flask.request.args.get("next"))


@page(blueprint, "POST", "/sign-in", door=OPEN, transaction=False)
def sign_in() -> flask.Response | tuple[str, int]:
    """Take the form and lead on; the password is checked outside any transaction, for it takes its time."""
    refuse_other_sites(flask.request)
    form = flask.request.form
    next_path = form.get("next")
    email, password = form.get("email", ""), form.get("password", "")
    if not 0 < len(password) <= people.PASSWORD_LENGTH_MAX:
        return _form(next_path=next_path, email=email[:254], refused="wrong"), 401
    found = sessions.sign_in(email[:254], password, None, address=flask.request.remote_addr or "")
    return led_on(found, next_path, email[:254])


@page(blueprint, "POST", "/sign-in/code", door=OPEN, transaction=False)
def second_step() -> flask.Response | tuple[str, int]:
    """Take the code of a second factor, after the password was right a moment ago."""
    refuse_other_sites(flask.request)
    form = flask.request.form
    next_path, email = form.get("next"), form.get("email", "")[:254]
    staff_id = half_signed_in.staff_id_of(form.get("half", ""))
    if staff_id is None:
        return _form(next_path=next_path, email=email, refused="over"), 401
    keys = lockout.keys(email, flask.request.remote_addr or "")
    return led_on(sessions.second_step(staff_id, form.get("code", "")[:60], keys), next_path, email)


def led_on(
    found: people.SignedIn | sessions.NotSignedIn, next_path: str | None, email: str = ""
) -> flask.Response | tuple[str, int]:
    """Return the way on for who is signed in, else the form with the reason."""
    if isinstance(found, people.SignedIn):
        response = flask.make_response(flask.redirect(frame.local_path(next_path), 303))
        sessions.set_cookie(response, found)
        return response
    if found.staff_id is None:
        return _form(next_path=next_path, email=email, refused=found.reason), 401
    half = half_signed_in.sealed(found.staff_id)
    return _form(next_path=next_path, email=email, half=half, refused=found.reason), 401


@page(blueprint, "POST", "/sign-out", door=actors(*EVERYONE))
def sign_out(session: Session) -> flask.Response:
    """End the session."""
    people.close_session(session, flask.request.cookies[COOKIE])
    response = flask.make_response(flask.redirect(flask.url_for("session_pages.sign_in_form"), 303))
    response.delete_cookie(COOKIE)
    return response


def _form(*, next_path: str | None, email: str = "", half: str = "", refused: str = "") -> str:
    runtime = installed()
    return flask.render_template(
        "sign_in.html",
        next_path=frame.local_path(next_path),
        email=email,
        half=half,
        refused=refused,
        options=passkeys.to_show(runtime, passkeys.SIGN_IN) if passkeys.is_possible(runtime) else "",
        sign_on=runtime.sign_on.name if runtime.sign_on else "",
    )


def refuse_other_sites(request: flask.Request) -> None:
    """Raise Forbidden for a form that another site has sent."""
    # There is no session yet to hold a CSRF token. Another site must still not sign a visitor in as somebody else,
    # under whose name he would then go on; browsers say where a form comes from.
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    is_foreign = site in {"cross-site", "same-site"} if site else origin and urlsplit(origin).netloc != request.host
    if is_foreign:
        message = "this form was sent from another site; open the sign-in page here"
        raise Forbidden(message, slug="csrf")
