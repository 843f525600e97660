"""People: who works here and with what roles, tokens of machines, and one's own sessions."""

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import passkeys, people, second_factor, tokens, totp
from access.models import ApiToken, Staff
from access.roles import ALL_MACHINE, EVERYONE, SCOPES, Role
from core.actors import Actor
from core.errors import Fault, Invalid
from core.http.doors import actors
from core.runtime import installed
from web.guard import COOKIE
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("people_pages", __name__)
PLACE = "/people"
ADMINS = actors(Role.ADMIN)
READERS = actors(Role.ADMIN, Role.AUDITOR)
STAFF_MAX = 500
TOKEN_DAYS = 365


@page(blueprint, "GET", "/people", door=READERS)
def everyone(session: Session, refusal: Refusal | None = None) -> str:
    """Show who works here, and the tokens of machines."""
    staff = list(session.scalars(sa.select(Staff).order_by(Staff.email).limit(STAFF_MAX)))
    return frame.rendered(
        session,
        "people.html",
        place=PLACE,
        staff=staff,
        tokens=list(session.scalars(sa.select(ApiToken).order_by(ApiToken.id.desc()).limit(STAFF_MAX))),
        roles=[role.value for role in Role],
        scopes=[ALL_MACHINE, *sorted(SCOPES)],
        days=TOKEN_DAYS,
        with_factor=second_factor.holders(session, [each.id for each in staff]),
        may_change=Role.ADMIN in flask.g.actor.roles,
        refusal=refusal,
    )


@act(blueprint, "/people", door=ADMINS, again=everyone)
def add(session: Session) -> flask.Response:
    """Add a person with a first password."""
    form = flask.request.form
    made = people.create(
        installed(), session, email=form.get("email", ""), roles=form.getlist("roles[]"),
        password=form.get("password", ""), actor=_me(),
    )  # fmt: skip
    return forms.done(flask.url_for(".everyone"), f"{made.email} may sign in.")


@act(blueprint, "/people/<staff_id>/roles", door=ADMINS, again=lambda session, refusal, **_: everyone(session, refusal))
def change_roles(session: Session, staff_id: str) -> flask.Response:
    """Give a person other roles."""
    people.change_roles(session, staff_id, flask.request.form.getlist("roles[]"), actor=_me(), now=installed().clock())
    return forms.done(flask.url_for(".everyone"), "The roles are changed.")


@act(blueprint, "/people/<staff_id>/state", door=ADMINS, again=lambda session, refusal, **_: everyone(session, refusal))
def change_state(session: Session, staff_id: str) -> flask.Response:
    """Turn a person away, or let them sign in again."""
    now = installed().clock()
    if flask.request.form.get("to") == "disabled":
        people.disable(session, staff_id, actor=_me(), now=now)
        return forms.done(flask.url_for(".everyone"), "They are turned away, and every session of theirs has ended.")
    people.enable(session, staff_id, actor=_me(), now=now)
    return forms.done(flask.url_for(".everyone"), "They may sign in again.")


@act(blueprint, "/tokens", door=ADMINS, again=everyone, step_up=True)
def make_token(session: Session) -> tuple[str, int]:
    """Make a token, and show it this once."""
    form = flask.request.form
    days = form.get("days", "")
    if not days.isdecimal():
        raise Invalid.of(Fault("days", "takes a number of days"))
    made = tokens.create(
        installed(), session, name=form.get("name", ""), scopes=form.getlist("scopes[]"), days=int(days), actor=_me()
    )
    session.flush()
    return frame.rendered(session, "token.html", place=PLACE, made=made, name=form.get("name", "")), 201


@act(
    blueprint, "/tokens/<token_id>/revoke", door=ADMINS, again=lambda session, refusal, **_: everyone(session, refusal)
)
def revoke_token(session: Session, token_id: str) -> flask.Response:
    """Revoke a token at once."""
    tokens.revoke(session, token_id, actor=_me(), now=installed().clock())
    return forms.done(flask.url_for(".everyone"), "The token is revoked.")


@page(blueprint, "GET", "/me", door=actors(*EVERYONE))
def me(session: Session, refusal: Refusal | None = None) -> str:
    """Show who I am here, and where I am signed in."""
    runtime = installed()
    found = people.sessions_of(session, flask.g.actor.id, now=runtime.clock())
    here = people.session_of(session, flask.request.cookies[COOKIE], now=runtime.clock())
    return frame.rendered(
        session,
        "me.html",
        place="",
        sessions=[(people.session_name(each), each) for each in found],
        here=people.session_name(here[0]) if here else "",
        has_totp=second_factor.kinds(session, flask.g.actor.id).totp,
        passkeys=passkeys.of(session, flask.g.actor.id),
        options=passkeys.to_add(runtime, session, flask.g.staff, adding()) if passkeys.is_possible(runtime) else "",
        refusal=refusal,
    )


def adding() -> str:
    """Return the purpose of a challenge to add a passkey within this session."""
    return passkeys.for_session("add", flask.g.staff_session.token_sha256)


@act(blueprint, "/me/second-factor", door=actors(*EVERYONE), again=me)
def begin_second_factor(session: Session) -> str:
    """Make a seed, and show it as a picture and as text until it is confirmed."""
    seed = second_factor.begin(installed(), session, flask.g.actor.id)
    return _enrolling(session, seed)


def _enrolling(session: Session, seed: str, refusal: Refusal | None = None) -> str:
    address = totp.address(seed, email=flask.g.staff.email)
    # Drawn on our side: no other machine hears the seed.
    # Here, not above: it costs every start 0.3 s, and people set up a factor once.
    import segno  # noqa: PLC0415

    picture = segno.make(address, error="m").svg_inline(scale=4, omitsize=True, border=4, dark="#000", light="#fff")
    return frame.rendered(session, "second_factor.html", place="", seed=seed, picture=picture, refusal=refusal)


def _enrolling_again(session: Session, refusal: Refusal) -> str:
    seed = second_factor.seed_of(installed(), session, flask.g.actor.id)
    return me(session, refusal) if seed is None else _enrolling(session, seed, refusal)


@act(blueprint, "/me/second-factor/confirm", door=actors(*EVERYONE), again=_enrolling_again)
def confirm_second_factor(session: Session) -> str:
    """Turn it on by a code of it, and show the recovery codes this once."""
    code = flask.request.form.get("code", "")[:60]
    codes = second_factor.confirm(installed(), session, flask.g.actor.id, code, actor=_me())
    second_factor.freshen(session, flask.g.staff_session, now=installed().clock())
    return frame.rendered(session, "recovery_codes.html", place="", codes=codes)


@act(blueprint, "/me/second-factor/remove", door=actors(*EVERYONE), again=me, step_up=True)
def remove_second_factor(session: Session) -> flask.Response:
    """Turn it off."""
    second_factor.remove(session, flask.g.actor.id, actor=_me(), now=installed().clock())
    return forms.done(flask.url_for(".me"), "The authenticator is off.")


def _everyone_again(session: Session, refusal: Refusal, **_: object) -> str:
    return everyone(session, refusal)


@act(blueprint, "/people/<staff_id>/second-factor/remove", door=ADMINS, again=_everyone_again, step_up=True)
def remove_of_another(session: Session, staff_id: str) -> flask.Response:
    """Turn off every second factor of somebody who has lost it, and end every session of theirs."""
    second_factor.remove_all(session, staff_id, actor=_me(), now=installed().clock())
    people.end_sessions(session, staff_id)
    return forms.done(flask.url_for(".everyone"), "Their second factor is off: a password alone signs them in.")


@act(
    blueprint,
    "/me/sessions/<name>/end",
    door=actors(*EVERYONE),
    again=lambda session, refusal, **_: me(session, refusal),
)
def end_session(session: Session, name: str) -> flask.Response:
    """End one of my sessions."""
    people.end_session(session, flask.g.actor.id, name, actor=_me(), now=installed().clock())
    return forms.done(flask.url_for(".me"), "The session has ended.")


def _me() -> Actor:
    actor: Actor = flask.g.actor
    return actor
