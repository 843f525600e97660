"""Passkeys by form: added and removed by their person, shown to sign in, and again before money moves."""

import flask
from sqlalchemy.orm import Session

from access import lockout, passkeys, people, second_factor
from access.models import Staff
from access.passkeys import SIGN_IN, Shown, Why
from access.roles import EVERYONE
from core.http.doors import OPEN, actors
from core.runtime import installed
from web import session as sessions
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.people import adding, me
from web.pages.session import led_on, refuse_other_sites

blueprint = flask.Blueprint("passkey_pages", __name__)
SOMEBODY = actors(*EVERYONE)


@act(blueprint, "/me/passkeys", door=SOMEBODY, again=me, step_up=True)
def add(session: Session) -> flask.Response | str:
    """Keep a new one; the first second factor of a person brings recovery codes, shown this once."""
    form, runtime = flask.request.form, installed()
    codes = passkeys.add(
        runtime, session, flask.g.staff.id, form.get("name", "").strip(), form.get("credential", ""),
        purpose=adding(), actor=flask.g.actor,
    )  # fmt: skip
    second_factor.freshen(session, flask.g.staff_session, now=runtime.clock())
    if codes:
        return frame.rendered(session, "recovery_codes.html", place="", codes=codes)
    return forms.done(flask.url_for("people_pages.me"), "The passkey is added: it signs you in by itself.")


@act(
    blueprint,
    "/me/passkeys/<passkey_id>/remove",
    door=SOMEBODY,
    again=lambda session, refusal, **_: me(session, refusal),
    step_up=True,
)
def remove(session: Session, passkey_id: str) -> flask.Response:
    """Forget one."""
    passkeys.remove(installed(), session, flask.g.staff.id, passkey_id, actor=flask.g.actor)
    return forms.done(flask.url_for("people_pages.me"), "The passkey is removed: it signs nobody in any more.")


@page(blueprint, "POST", "/sign-in/passkey", door=OPEN, transaction=False)
def sign_in() -> flask.Response | tuple[str, int]:
    """Sign in whoever the passkey belongs to: it shows both factors at once."""
    refuse_other_sites(flask.request)
    form, runtime = flask.request.form, installed()
    keys = lockout.address_keys(flask.request.remote_addr or "")
    with runtime.reading() as session:
        if lockout.blocked_until(session, keys, now=runtime.clock()) is not None:
            return led_on(sessions.NotSignedIn("blocked"), form.get("next"))
    with runtime.transaction() as session:
        found = passkeys.shown(runtime, session, form.get("credential", ""), purpose=SIGN_IN)
        staff = session.get_one(Staff, found.staff_id) if isinstance(found, Shown) else None
        if staff is not None and staff.disabled_at is None:
            now = runtime.clock()
            return led_on(people.open_session(session, staff, now=now, stepped_up_at=now), form.get("next"))
        # One that is over is no guess: a page was left open.
        if found is not Why.OVER:
            lockout.note_failure(session, keys, now=runtime.clock())
    return led_on(sessions.NotSignedIn("over" if found is Why.OVER else "wrong-passkey"), form.get("next"))


@page(blueprint, "GET", "/me/step-up", door=SOMEBODY)
def step_up_form(session: Session, refusal: Refusal | None = None) -> str:
    """Ask for a second factor before the person goes back to what takes it."""
    return frame.rendered(
        session,
        "step_up.html",
        place="",
        options=passkeys.to_show(installed(), _again()) if passkeys.is_possible(installed()) else "",
        next_path=frame.local_path(flask.request.values.get("next")),
        refusal=refusal,
    )


@page(blueprint, "POST", "/me/step-up", door=SOMEBODY, transaction=False)
def step_up() -> flask.Response | tuple[str, int]:
    """Take a code or a passkey, and lead back."""
    form, runtime = flask.request.form, installed()
    # Kept also when it is refused: what was answered once is not answered again, and a copied key is on the record.
    with runtime.transaction() as session:
        why_not = _shown_again(session, form.get("credential", ""), form.get(forms.CODE, "")[:60])
        if why_not is None:
            second_factor.freshen(session, flask.g.staff_session, now=runtime.clock())
    if why_not is None:
        said = "Your second factor is shown: for ten minutes nothing asks for it."
        return forms.done(frame.local_path(form.get("next")), said)
    with runtime.reading() as session:
        return step_up_form(session=session, refusal=Refusal("Nothing was shown", [why_not])), 422


def _shown_again(session: Session, credential: str, code: str) -> str | None:
    """Return why neither is taken, None when one is."""
    runtime, staff_id = installed(), flask.g.staff.id
    if credential:
        found = passkeys.shown(runtime, session, credential, purpose=_again(), staff_id=staff_id)
        return None if isinstance(found, Shown) else found.value
    is_taken = second_factor.accept(runtime, session, staff_id, code)
    return None if is_taken else "this is not a code of now, or it was taken already"


def _again() -> str:
    """Return the purpose of a challenge to show a passkey again within this session."""
    return passkeys.for_session("step-up", flask.g.staff_session.token_sha256)
