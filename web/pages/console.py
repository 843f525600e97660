"""Puts the pages together: their blueprints and what templates may call."""

import json
from typing import Any

import flask

from web.pages import approvals, session, words


def register(app: flask.Flask) -> None:
    """Add the pages to `app`."""
    for blueprint in (session.blueprint, approvals.blueprint):
        app.register_blueprint(blueprint)
    app.jinja_env.filters.update(
        amount=words.amount,
        amounts=words.amounts,
        day=words.day,
        exact_moment=words.exact_moment,
        moment=words.moment,
        month=words.month,
        parts=words.parts,
        pill=words.pill,
        plural=words.plural,
        short_hash=words.short_hash,
        span=words.span,
        tojson_shown=_indented,
        visible=words.visible,
        words=words.words,
        words_first=lambda text: text[:1].upper() + text[1:] + ".",
    )


def _indented(value: Any) -> str:
    # Not Jinja's tojson: that one escapes for scripts and marks its text as safe; this one is text like any other.
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True)
