"""Sources: who may fire at us, what each has sent of late, a new one step by step, and its secrets."""

from collections.abc import Mapping
from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import Role
from core.errors import Conflict
from core.http.doors import actors
from core.rows import existing
from core.runtime import installed
from partners import routes, sources
from partners.models import Source
from partners.source_rules import SCHEMES
from partners.source_schemas import NewSourceSchema, RotationSchema, SourceChangeSchema
from postback import example, test_firing
from postback.presets.catalogue import CATALOGUE
from postback.presets.shown import shown as shown_preset
from web.pages import forms, frame, traffic
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("source_pages", __name__)
PLACE = "/sources"
READERS = actors(Role.ADMIN, Role.AUDITOR)
WRITERS = actors(Role.ADMIN)
SCHEME_WORDS = {
    "pb1": "pb1: every parameter signed in the URL (HMAC-SHA256)",
    "sw1": "Standard Webhooks: the whole body signed",
    "stripe1": "The way Stripe signs a body",
    "body1": "An HMAC of the body in a header",
    "token": "A token in the URL, and the addresses it comes from",
}
STATES = {
    "pause": ("paused", "It is paused: senders hear 503 and come again."),
    "resume": ("active", "It takes postbacks again."),
}


@page(blueprint, "GET", "/sources", door=READERS)
def every(session: Session) -> str:
    """Show the sources with what came of each in the last day."""
    return frame.rendered(
        session,
        "sources.html",
        place=PLACE,
        rows=traffic.of_sources(session, installed().clock()),
        may_add=Role.ADMIN in flask.g.actor.roles,
    )


@page(blueprint, "GET", "/sources/new", door=WRITERS)
def new(session: Session, refusal: Refusal | None = None) -> str:
    """Choose a network, then say what is needed of it."""
    wanted = flask.request.values.get("q", "").strip().lower()
    name = flask.request.values.get("scheme", "")
    preset = CATALOGUE.get(name.removeprefix("preset:")) if name.startswith("preset:") else None
    is_chosen = preset is not None or name in SCHEMES
    found = [each for each in CATALOGUE.values() if wanted in f"{each.name} {each.title}".lower()]
    return frame.rendered(
        session,
        "source_new.html",
        place=PLACE,
        presets=sorted(found, key=lambda each: each.title.lower()),
        q=wanted,
        schemes=SCHEME_WORDS,
        scheme=name if is_chosen else "",
        preset=shown_preset(preset, sources.postback_url(installed(), "{source_id}")) if preset else None,
        refusal=refusal,
    )


@act(blueprint, "/sources", door=WRITERS, again=new, step_up=True)
def create(session: Session) -> tuple[str, int]:
    """Make it, and show its secret this once."""
    asked = _listed(forms.nested(flask.request.form))
    source, secret = routes.create_source(session, forms.checked(NewSourceSchema, asked))
    session.flush()
    return _once(session, source, secret.value), 201


@page(blueprint, "GET", "/sources/<source_id>", door=READERS)
def one(session: Session, source_id: str, refusal: Refusal | None = None) -> str:
    """Show one source: how it is entered at the network, its secrets, and what came of late."""
    source = existing(session, Source, source_id)
    runtime = installed()
    now = runtime.clock()
    may_change = Role.ADMIN in flask.g.actor.roles
    curl, problem = None, None
    if may_change and source.state != "removed":
        try:
            curl = example.build(runtime, source)
        except Conflict as conflict:
            problem = conflict.detail
    return frame.rendered(
        session,
        "source.html",
        place=PLACE,
        source=source,
        url=sources.postback_url(runtime, source.id),
        url_template=example.url_template(source, sources.postback_url(runtime, source.id)),
        example=curl,
        example_problem=problem,
        may_change=may_change,
        hours=traffic.hours(session, now, source_id=source.id),
        last=traffic.last_receipts(session, source.id),
        live=[
            each
            for each in source.secrets
            if each.revoked_at is None and not (each.not_after and each.not_after <= now)
        ],
        refusal=refusal,
    )


@page(blueprint, "POST", "/sources/<source_id>/fire", door=WRITERS)
def fire(session: Session, source_id: str) -> str:
    """Fire its signed example, and what must be refused, through the door's own checks; nothing of it stays."""
    source = existing(session, Source, source_id)
    problem, shots = None, []
    try:
        shots = test_firing.fire(installed(), session, source)
    except Conflict as conflict:
        problem = conflict.detail
    return frame.rendered(session, "source_fire.html", place=PLACE, source=source, shots=shots, problem=problem)


@act(blueprint, "/sources/<source_id>/state", door=WRITERS, again=one)
def change_state(session: Session, source_id: str) -> flask.Response:
    """Pause it, or let it go on."""
    state, said = STATES["pause" if flask.request.form.get("to") == "pause" else "resume"]
    _change(session, source_id, {"state": state})
    return forms.done(flask.url_for(".one", source_id=source_id), said)


@act(blueprint, "/sources/<source_id>/test-mode", door=WRITERS, again=one)
def change_test_mode(session: Session, source_id: str) -> flask.Response:
    """Turn test mode on or off."""
    is_test = flask.request.form.get("to") == "on"
    _change(session, source_id, {"is_test": is_test})
    said = "Test mode is on: nothing of it is paid." if is_test else "Test mode is off: what comes now counts."
    return forms.done(flask.url_for(".one", source_id=source_id), said)


@act(blueprint, "/sources/<source_id>/addresses", door=WRITERS, again=one)
def change_addresses(session: Session, source_id: str) -> flask.Response:
    """Say from where it may fire."""
    _change(session, source_id, {"allowlist": _lines(flask.request.form.get("allowlist", ""))})
    return forms.done(flask.url_for(".one", source_id=source_id), "The addresses are changed.")


@act(blueprint, "/sources/<source_id>/secrets", door=WRITERS, again=one, step_up=True)
def rotate(session: Session, source_id: str) -> tuple[str, int]:
    """Make a new secret, and show it this once; the older ones stay good for a while."""
    secret = routes.rotate_secret(session, source_id, forms.loaded(RotationSchema))
    session.flush()
    return _once(session, existing(session, Source, source_id), secret.value), 201


def _again(session: Session, source_id: str, refusal: Refusal, **_: object) -> str:
    return one(session, source_id, refusal)


@act(blueprint, "/sources/<source_id>/secrets/<secret_id>/revoke", door=WRITERS, again=_again)
def revoke(session: Session, source_id: str, secret_id: str) -> flask.Response:
    """Revoke a secret at once."""
    left = routes.revoke_secret(session, source_id, secret_id).live_secrets
    said = "The secret is revoked." if left else "The secret is revoked: with none left every postback is refused."
    return forms.done(flask.url_for(".one", source_id=source_id), said)


def _change(session: Session, source_id: str, values: Mapping[str, Any]) -> None:
    version = flask.request.form.get("version", type=int)
    body = forms.checked(SourceChangeSchema, {"version": version, **values})
    routes.change_source(session, source_id, body)


def _once(session: Session, source: Source, secret: str) -> str:
    url = sources.postback_url(installed(), source.id)
    return frame.rendered(
        session, "source_secret.html", place=PLACE, source=source, secret=secret, url=url,
        url_template=example.url_template(source, url),
    )  # fmt: skip


def _listed(asked: dict[str, Any]) -> dict[str, Any]:
    if "allowlist" in asked:
        asked["allowlist"] = _lines(asked["allowlist"])
    if "is_test" in asked:
        asked["is_test"] = True
    return asked


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
